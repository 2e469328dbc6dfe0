//! The ways in which a `.htaccess` can lead to a program under mod_fcgid. Whatever Apache does to the variables on the
//! way, the app sees the same path, in the top folder as in a sub-folder.

use super::door::Door;
use super::server::{Server, Setup};

/// What every one of them begins with.
const PROGRAMS_RUN: &str = "Options +ExecCGI\nAddHandler fcgid-script .fcgi\nRewriteEngine On\n";

/// Serves `htaccess` from `folder` ("" or "/sub") with the program beside it.
fn start(folder: &str, htaccess: &str) -> Server {
    // The document root itself says nothing, so that all that happens in a sub-folder is the sub-folder's doing.
    let server = Setup::new(Door::Fcgid).htaccess("").start();
    let folder = folder.trim_start_matches('/');
    server.site.install(&format!("htdocs/{folder}/app.fcgi").replace("//", "/"));
    let file = format!("{folder}/.htaccess");
    server.site.write(file.trim_start_matches('/'), &format!("{PROGRAMS_RUN}{htaccess}"));
    server
}

/// Asks `/env` below `prefix`, with an escape in the query that must stay as it is.
#[track_caller]
fn check(server: &Server, prefix: &str, mount: &str) {
    let answer = server.get(&format!("{prefix}/env?x=%C3%A9+y"));
    let env = answer.json();
    assert_eq!(env["gateway"], "fastcgi");
    assert_eq!(env["mount"], mount);
    assert_eq!(env["uri"], "/env?x=%C3%A9+y");
    assert_eq!(env["original_uri"], format!("{prefix}/env?x=%C3%A9+y"));
    // Apache decodes and collapses paths; none of that may reach the app.
    let answer = server.get(&format!("{prefix}/status/%32%30%31"));
    answer.expect(201, "201\n");
}

const FOLDERS: [&str; 2] = ["", "/sub"];

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn direct() {
    for folder in FOLDERS {
        let server = start(folder, "");
        let program = format!("{folder}/app.fcgi");
        check(&server, &program, &program);
        // The program without a path is its front page, which this app does not have.
        assert_eq!(server.get(&program).status, 404);
    }
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn rewritten_to_the_program() {
    for folder in FOLDERS {
        let server = start(folder, "RewriteRule ^app\\.fcgi$ - [L]\nRewriteRule ^ app.fcgi [L]\n");
        check(&server, folder, folder);
    }
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn rewritten_to_the_program_and_a_path() {
    for folder in FOLDERS {
        let server = start(folder, "RewriteRule ^app\\.fcgi - [L]\nRewriteRule ^(.*)$ app.fcgi/$1 [L]\n");
        check(&server, folder, folder);
    }
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn fallback_resource() {
    for folder in FOLDERS {
        let server = start(folder, &format!("FallbackResource {folder}/app.fcgi\n"));
        check(&server, folder, folder);
    }
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn error_document() {
    for folder in FOLDERS {
        let server = start(folder, &format!("ErrorDocument 404 {folder}/app.fcgi\n"));
        check(&server, folder, folder);
    }
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn virtual_wrapper() {
    let server = Setup::new(Door::Fcgid).htaccess("").start();
    let program = server.site.install("app/testapp");
    let wrapped = format!("Options +ExecCGI\nSetHandler fcgid-script\nFcgidWrapper {} virtual\n", program.display());
    server.site.write(".htaccess", &wrapped);
    check(&server, "", "");

    // The server says nothing that tells a sub-folder from a page: SCRIPT_NAME is whatever comes first.
    server.site.write(".htaccess", "");
    server.site.write("sub/.htaccess", &wrapped);
    assert_eq!(server.get("/sub/env").status, 404);
    let told = format!("{wrapped}SetEnv LODGER_MOUNT /sub\n");
    server.site.write("sub/.htaccess", &told);
    check(&server, "/sub", "/sub");
}
