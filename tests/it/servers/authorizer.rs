//! The authorizer of `examples/` in front of the test application: Apache's three phases under mod_fcgid, mod_authnz_fcgi, and lighttpd.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::Command;

use super::apache;
use super::client::{Answer, Ask};
use super::door::Door;
use super::process::{self, Running};
use super::server::{Server, Setup};
use super::site::{Site, example};
use crate::ports;

/// Copies the guard beside the document root of the web space, where Apache may run it.
fn install(site: &Site) -> PathBuf {
    site.install_example("authorizer", "private/authorizer")
}

/// Starts a program with this listener on descriptor 0, from where it was built: a copy made just now may still be open for writing in a child that another test
/// has forked, and then it does not start.
fn start(program: &str, listener: OwnedFd, site: &Site) -> Running {
    Running::start_on(listener, &Command::new(example(program)), &site.logs().join("output.log"))
}

/// The modules that logins need.
fn login_modules() -> String {
    ["authn_core", "auth_basic", "authz_user"].map(apache::load).concat()
}

/// The lines that make Apache ask for a login.
const LOGIN: &str = "AuthType Basic\nAuthName door\n";

/// The same where mod_fcgid is to check the password: mod_auth_basic is asked before it, and has to let it be asked.
const LOGIN_FOR_FCGID: &str = "AuthType Basic\nAuthName door\nAuthBasicAuthoritative Off\n";

/// Apache with mod_fcgid for the application and for what guards it. `{guard}` in `lines` stands for the guard.
fn fcgid(lines: &str) -> Server {
    let site = Site::new();
    let guard = install(&site);
    let lines = lines.replace("{guard}", guard.to_str().unwrap());
    Setup::new(Door::Fcgid).lines(&login_modules()).lines(&lines).start_in(site)
}

/// A place in Apache's configuration that holds for the whole site.
fn everywhere(lines: &str) -> String {
    format!("<Location />\n{lines}\n</Location>")
}

fn with_cookie(server: &Server, path: &str) -> Ask {
    server.ask(path).header("Cookie: a=b; door=open")
}

fn with_login(server: &Server, login: &str) -> Answer {
    server.ask("/env").arg("--user").arg(login).send()
}

/// A variable that the application sees.
#[track_caller]
fn variable(answer: &Answer, name: &str) -> Option<String> {
    assert_eq!((answer.exit, answer.status), (0, 200), "{}", answer.text());
    let env = answer.json();
    let pairs = env["vars"].as_array().unwrap();
    pairs.iter().find(|pair| pair[0] == name).map(|pair| pair[1].as_str().unwrap().to_owned())
}

/// mod_fcgid denies with this status and a page of its own, whatever the guard said.
#[track_caller]
fn assert_denied_by_apache(answer: &Answer) {
    assert_eq!((answer.exit, answer.status), (0, 401), "{}", answer.text());
    assert!(answer.text().contains("could not verify that you"), "{}", answer.text());
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn an_access_checker_lets_in_and_keeps_out() {
    let server = fcgid(&everywhere("FcgidAccessChecker {guard}"));
    let open = with_cookie(&server, "/env").send();
    // The rule that leads everything to the application makes Apache ask twice for one visit, and it joins what it was told.
    assert_eq!(variable(&open, "VISITOR").as_deref(), Some("known by cookie, known by cookie"));
    assert_eq!(variable(&open, "REDIRECT_VISITOR").as_deref(), Some("known by cookie"));
    // mod_fcgid does not take the variables out of what the visitor gets. mod_authnz_fcgi and lighttpd do.
    assert_eq!(open.header("Variable-VISITOR"), Some("known by cookie, known by cookie"));
    with_cookie(&server, "/count").body("hello").send().expect(200, "5 2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824\n");
    assert_eq!(with_cookie(&server, "/hello").arg("--head").send().status, 200);
    assert_denied_by_apache(&server.get("/env"));
    assert_denied_by_apache(&server.ask("/count").body("hello").send());
    let log = server.stop().log_text();
    assert!(log.contains("Access check to access /env failed, reason: script returned status 403"), "{log}");
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn an_access_checker_without_authority_only_sets_variables() {
    let server = fcgid(&everywhere("FcgidAccessChecker {guard}\nFcgidAccessCheckerAuthoritative Off"));
    assert_eq!(variable(&server.get("/env"), "VISITOR"), None);
    assert!(variable(&with_cookie(&server, "/env").send(), "VISITOR").is_some());
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn an_authenticator_knows_passwords() {
    let server = fcgid(&everywhere(&format!("{LOGIN_FOR_FCGID}FcgidAuthenticator {{guard}}\nRequire valid-user")));
    let answer = with_login(&server, "bob:bob");
    assert_eq!(variable(&answer, "REMOTE_USER").as_deref(), Some("bob"));
    assert_eq!(variable(&answer, "REDIRECT_VISITOR").as_deref(), Some("known by password"));
    let wrong = with_login(&server, "bob:xxx");
    assert_denied_by_apache(&wrong);
    // The headers of a denial do arrive; this one makes a browser ask for the password.
    assert_eq!(wrong.header("www-authenticate"), Some("Basic realm=\"door\""));
    assert_denied_by_apache(&server.get("/env"));
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn an_authorizer_knows_who_may_see_what() {
    let server = fcgid(&everywhere(&format!("{LOGIN_FOR_FCGID}FcgidAuthenticator {{guard}}\nFcgidAuthorizer {{guard}}\nRequire valid-user")));
    let answer = with_login(&server, "env:vne");
    assert_eq!(variable(&answer, "REDIRECT_VISITOR").as_deref(), Some("known by password, known by name"));
    for login in ["bob:bob", "env:xxx"] {
        assert_denied_by_apache(&with_login(&server, login));
    }
}

/// Here the test application guards itself, so that the path decides what the guard answers.
#[test]
#[ignore = "needs real web servers: make test-servers"]
fn only_200_is_a_grant_for_mod_fcgid() {
    let site = Site::new();
    let guard = site.install("private/guard");
    let lines = everywhere(&format!("FcgidAccessChecker {}", guard.display()));
    let server = Setup::new(Door::Fcgid).lines(&lines).start_in(site);
    for path in ["/status/201", "/status/204", "/status/404", "/status/500", "/panic", "/redirect?to=/login"] {
        assert_denied_by_apache(&server.get(path));
    }
    // Of a grant nothing reaches the visitor but the answer of the application.
    let cookies = server.get("/cookies?n=2");
    assert_eq!((cookies.status, cookies.headers("Set-Cookie").len()), (200, 2));
    assert!(server.get("/big?n=100000").is_filler(100_000));
}

/// Has systemd's tool listen on a TCP port of the loopback address and start the guard with the first question. Gives the port.
fn start_on_tcp(site: &Site) -> (Running, u16) {
    let port = ports::free();
    let mut command = Command::new("systemd-socket-activate");
    command.arg(format!("--listen=127.0.0.1:{port}")).arg(example("authorizer"));
    let guard = Running::start(&command, &site.logs().join("output.log"));
    process::wait_for("the socket of the guard", || is_listening(port).then_some(()));
    (guard, port)
}

/// Looks for a listener on this port without connecting, which would start the program behind it.
fn is_listening(port: u16) -> bool {
    let address = format!(" 0100007F:{port:04X} 00000000:0000 0A ");
    fs::read_to_string("/proc/net/tcp").unwrap().contains(&address)
}

/// Apache with mod_fcgid for the application and mod_authnz_fcgi for the guard. `{guard}` in `lines` stands for the address of the guard.
fn authnz(lines: &str) -> (Server, Running) {
    let site = Site::new();
    let (guard, port) = start_on_tcp(&site);
    let lines = lines.replace("{guard}", &format!("fcgi://127.0.0.1:{port}/"));
    let server = Setup::new(Door::Fcgid).lines(&login_modules()).lines(&apache::load("authnz_fcgi")).lines(&lines).start_in(site);
    (server, guard)
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn mod_authnz_fcgi_asks_for_passwords_and_pages() {
    let (server, _guard) = authnz(&format!(
        "AuthnzFcgiDefineProvider authn who {{guard}}\nAuthnzFcgiDefineProvider authz where {{guard}}\n{}",
        everywhere(&format!("{LOGIN}AuthBasicProvider who\nRequire where"))
    ));
    let answer = with_login(&server, "env:vne");
    assert_eq!(variable(&answer, "REMOTE_USER").as_deref(), Some("env"));
    assert_eq!(variable(&answer, "VISITOR").as_deref(), Some("known by name"));
    assert_eq!(answer.header("Variable-VISITOR"), None);
    for login in ["bob:bob", "env:xxx"] {
        assert_denied_by_apache(&with_login(&server, login));
    }
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn mod_authnz_fcgi_asks_both_at_once() {
    let place = everywhere(&format!("{LOGIN}AuthBasicProvider both\nRequire both"));
    let (server, _guard) = authnz(&format!("AuthnzFcgiDefineProvider authnz both {{guard}}\n{place}"));
    assert_eq!(variable(&with_login(&server, "bob:bob"), "VISITOR").as_deref(), Some("known by password"));
    assert_denied_by_apache(&with_login(&server, "bob:xxx"));
}

/// The one way in which Apache shows the visitor what the guard has to say.
#[test]
#[ignore = "needs real web servers: make test-servers"]
fn mod_authnz_fcgi_can_leave_the_login_to_the_guard() {
    let provider = "AuthnzFcgiCheckAuthnProvider who Authoritative On RequireBasicAuth Off UserExpr \"%{reqenv:VISITOR}\"";
    let place = everywhere(&format!("{LOGIN}{provider}\nRequire valid-user"));
    let (server, _guard) = authnz(&format!("AuthnzFcgiDefineProvider authn who {{guard}}\n{place}"));
    assert_eq!(variable(&with_login(&server, "bob:bob"), "REMOTE_USER").as_deref(), Some("known by password"));
    with_login(&server, "bob:xxx").expect(401, "Who are you?\n");
    server.get("/env").expect(401, "Who are you?\n");
}

/// lighttpd with the guard at `guard` before everything and the application behind it.
fn lighttpd(site: &Site, guard: u16) -> (Running, u16) {
    let (docroot, logs, socket) = (site.docroot(), site.logs(), site.socket());
    let (docroot, logs, socket) = (docroot.display(), logs.display(), socket.display());
    let app = format!("(( \"socket\" => \"{socket}\", \"check-local\" => \"disable\" ))");
    let file = site.root().join("lighttpd.conf");
    // Somebody else may take a port between the moment when it is found free and the moment when it is used.
    for _ in 0..5 {
        let port = ports::free();
        let text = format!(
            r#"server.bind = "127.0.0.1"
server.port = {port}
server.document-root = "{docroot}"
server.errorlog = "{logs}/lighttpd.log"
server.modules = ( "mod_fastcgi" )
fastcgi.server = (
  "/" => (( "host" => "127.0.0.1", "port" => {guard}, "mode" => "authorizer", "check-local" => "disable" )),
  "/env" => {app},
  "/count" => {app}
)
"#
        );
        fs::write(&file, text).unwrap();
        let mut command = Command::new(process::installed("/usr/sbin/lighttpd"));
        command.arg("-D").arg("-f").arg(&file);
        let mut web = Running::start(&command, &site.logs().join("output.log"));
        let listens = process::wait_for("lighttpd to listen or to leave", || match web.ended() {
            Some(_) => Some(false),
            None => ports::answers(port).then_some(true),
        });
        if listens {
            return (web, port);
        }
    }
    panic!("no port of five was free: {}", site.log_text());
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn lighttpd_asks_and_passes_a_denial_on_whole() {
    let site = Site::new();
    site.write("page.txt", "a page\n");
    let (_guard, guard) = start_on_tcp(&site);
    let listener = UnixListener::bind(site.socket()).unwrap();
    let _app = start("testapp", listener.into(), &site);
    let (_web, port) = lighttpd(&site, guard);

    let ask = |path: &str| Ask::new(port, path);
    let with_cookie = |path: &str| ask(path).header("Cookie: door=open");
    let open = with_cookie("/env").send();
    assert_eq!(variable(&open, "VISITOR").as_deref(), Some("known by cookie"));
    assert_eq!(open.header("Variable-VISITOR"), None);
    with_cookie("/page.txt").send().expect(200, "a page\n");
    with_cookie("/count").body("hello").send().expect(200, "5 2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824\n");
    ask("/env").send().expect(403, "The door is closed.\n");
    ask("/page.txt").send().expect(403, "The door is closed.\n");
    ask("/count").body("hello").send().expect(403, "The door is closed.\n");
}
