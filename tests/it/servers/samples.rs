//! What the owner of a site expects of the samples in `htaccess-samples/`, with real files beside the program.

use super::apache;
use super::door::Door;
use super::server::{Server, Setup};
use super::site::{self, Site};

/// The samples with which a program answers, and a server that can run it.
const WITH_A_PROGRAM: [(&str, Door); 3] =
    [("apache-fcgid.htaccess", Door::Fcgid), ("apache-fcgid-side-door.htaccess", Door::Fcgid), ("apache-cgi.htaccess", Door::Cgid)];

/// Files that nobody may download, under names that people really give them.
const PRIVATE: [&str; 12] = [
    "data.sqlite3",
    "app.db-wal",
    "app.sqlite-journal",
    "index.html~",
    "lodger.toml",
    "data.sqlite",
    "visits.db",
    "error.log",
    "app.new",
    "page.html.bak",
    ".env",
    ".git/config",
];

/// A web space with the sample in the top folder and in a sub-folder, each with real files.
fn start(name: &str, door: Door) -> Server {
    let site = Site::new();
    let more = if door == Door::Fcgid { apache::load("cgid") + &apache::cgid_socket(&site) } else { String::new() };
    let server = Setup::new(door).htaccess(&site::sample(name)).lines(&more).start_in(site);
    for folder in ["", "sub/"] {
        server.site.write(&format!("{folder}.htaccess"), &site::sample(name));
        server.site.write(&format!("{folder}index.html"), "welcome of the host\n");
        server.site.write(&format!("{folder}style.css"), "body {}\n");
        server.site.write(&format!("{folder}img/a b.txt"), "a picture\n");
        server.site.write(&format!("{folder}.well-known/acme-challenge/token"), "proof\n");
        for path in PRIVATE {
            // The program reads this one itself.
            let text = if path == "lodger.toml" { "# secret\n[[site]]\n" } else { "secret\n" };
            server.site.write(&format!("{folder}{path}"), text);
        }
        if let Some(program) = door.program() {
            server.site.install(&format!("htdocs/{folder}{program}"));
        }
    }
    server
}

fn with_each(check: impl Fn(&Server, &str)) {
    for (name, door) in WITH_A_PROGRAM {
        let server = start(name, door);
        for folder in ["", "/sub"] {
            println!("{name} in {folder}/");
            check(&server, folder);
        }
    }
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn real_files_come_from_the_disk() {
    with_each(|server, folder| {
        server.get(&format!("{folder}/style.css")).expect(200, "body {}\n");
        server.get(&format!("{folder}/img/a%20b.txt")).expect(200, "a picture\n");
        let token = format!("{folder}/.well-known/acme-challenge/token");
        server.get(&token).expect(200, "proof\n");
        let index = format!("{folder}/index.html");
        server.get(&index).expect(200, "welcome of the host\n");
    });
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn everything_else_is_answered_by_the_program() {
    with_each(|server, folder| {
        server.get(&format!("{folder}/hello")).expect(200, "hello, world\n");
        // The front page, a folder and a page that does not exist: the app's own 404 has no body, Apache's has one.
        for path in ["/", "/img/", "/no/such/page.html", "/.well-known/none"] {
            server.get(&format!("{folder}{path}")).expect(404, "");
        }
        // Apache adds the slash to the name of a real folder before anybody is asked.
        assert_eq!(server.get(&format!("{folder}/img")).status, 301);
        let env = server.get(&format!("{folder}/env")).json();
        assert_eq!(env["mount"], folder);
    });
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn the_program_can_be_asked_by_its_name() {
    with_each(|server, folder| {
        let program = server.door.program().unwrap();
        let name = format!("{folder}/{program}");
        let env = server.get(&format!("{name}/env")).json();
        assert_eq!((&env["mount"], &env["uri"]), (&name.into(), &"/env".into()));
    });
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn private_files_stay_private() {
    with_each(|server, folder| {
        for path in PRIVATE.iter().chain(&[".htaccess"]) {
            let answer = server.get(&format!("{folder}/{path}"));
            assert_eq!(answer.status, 403, "{folder}/{path}");
            assert!(!answer.text().contains("secret"), "{folder}/{path}");
        }
    });
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn logins_reach_the_program() {
    with_each(|server, folder| {
        let ask = server.ask(&format!("{folder}/env")).header("Authorization: Bearer abc");
        let env = ask.send().json();
        assert_eq!(super::routes::values(&env, "authorization"), ["Bearer abc"]);
    });
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn without_its_line_in_the_sample_apache_keeps_logins_back() {
    let sample = site::sample("apache-fcgid.htaccess").replace("CGIPassAuth On", "");
    let server = Setup::new(Door::Fcgid).htaccess(&sample).start();
    let authorization = |htaccess: &str| {
        server.site.write(".htaccess", htaccess);
        let env = server.ask("/env").header("Authorization: Bearer abc").send().json();
        super::routes::values(&env, "authorization").join("|")
    };
    assert_eq!(authorization(&sample), "");
    // The two disguises in which people let it through where CGIPassAuth is not allowed.
    let set_env_if = "SetEnvIf Authorization \"(.+)\" HTTP_AUTHORIZATION=$1\n";
    assert_eq!(authorization(&(sample.clone() + set_env_if)), "Bearer abc");
    let flag = "app.fcgi [E=HTTP_AUTHORIZATION:%{HTTP:Authorization},L]";
    assert_eq!(authorization(&sample.replace("app.fcgi [L]", flag)), "Bearer abc");
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn the_protecting_sample_alone_keeps_files_private() {
    let server = Setup::new(Door::Fcgid).htaccess(&site::sample("protect.htaccess")).start();
    for folder in ["", "sub/"] {
        server.site.write(&format!("{folder}style.css"), "body {}\n");
        server.get(&format!("/{folder}style.css")).expect(200, "body {}\n");
        let token = format!("{folder}.well-known/acme-challenge/token");
        server.site.write(&token, "proof\n");
        server.get(&format!("/{token}")).expect(200, "proof\n");
        for path in PRIVATE {
            // The program reads this one itself.
            let text = if path == "lodger.toml" { "# secret\n[[site]]\n" } else { "secret\n" };
            server.site.write(&format!("{folder}{path}"), text);
            assert_eq!(server.get(&format!("/{folder}{path}")).status, 403, "{folder}{path}");
        }
    }
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn a_host_without_mod_fcgid_runs_the_same_file_as_cgi() {
    let site = Site::new();
    site.install("htdocs/app.fcgi");
    let sample = site::sample("apache-fcgid.htaccess");
    let server = Setup::new(Door::Cgid).htaccess(&sample).start_in(site);
    let env = server.get("/env").json();
    assert_eq!((&env["gateway"], &env["mount"]), (&"cgi".into(), &"".into()));
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn with_a_site_file_apache_sends_no_file_past_its_locks() {
    let toml = "[[site]]\n[[site.route]]\npath = \"/\"\nfiles = \"public\"\n[[site.route]]\npath = \"/members/\"\nfiles = \"members\"\nallow = [\"192.0.2.1\"]\n";
    let server = Setup::new(Door::Fcgid).stock(toml).htaccess(&site::sample("apache-fcgid-site.htaccess")).start();
    server.site.write("public/index.html", "for everybody\n");
    server.site.write("members/index.html", "for members\n");
    server.site.write("members/a.html", "for members\n");
    server.site.write("old.php", "<?php $password = 'secret';\n");
    server.site.write(".well-known/acme-challenge/token", "proof\n");
    server.get("/").expect(200, "for everybody\n");
    server.get("/.well-known/acme-challenge/token").expect(200, "proof\n");
    for (path, status) in
        [("/members/", 403), ("/members/a.html", 403), ("/old.php", 404), ("/public/index.html", 404), ("/lodger.toml", 403), ("/.htaccess", 403)]
    {
        let answer = server.get(path);
        assert_eq!(answer.status, status, "{path}");
        assert!(!answer.text().contains("for members") && !answer.text().contains("password"), "{path}");
    }
}
