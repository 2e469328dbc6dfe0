//! The stock program with two sites in one `lodger.toml`: whoever starts it and by whatever protocol, each host gets its own pages.

use super::client::Answer;
use super::door::Door;
use super::server::{Server, Setup};
use super::site::Site;

const TWO_SITES: &str = r#"
[[site]]
hosts          = ["a.example", "www.a.example"]
canonical-host = true

  [[site.route]]
  path  = "/"
  files = "../www"

[[site]]
hosts = ["b.example", "*.b.example"]

  [[site.route]]
  path    = "/"
  respond = "site b\n"
"#;

const START_PAGE: &str = "<!doctype html><title>PUBLIC start page</title>\n";

fn ask(server: &Server, host: &str, path: &str) -> Answer {
    server.ask(path).header(&format!("Host: {host}")).send()
}

#[track_caller]
fn check(door: Door) {
    let site = Site::new();
    site.add_www();
    let server = Setup::new(door).stock(TWO_SITES).start_in(site);
    for host in ["a.example", "A.Example", "a.example:8080", "a.example."] {
        let answer = ask(&server, host, "/");
        answer.expect(200, START_PAGE);
        assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"), "{door:?} {host}");
    }
    for host in ["b.example", "shop.b.example", "deep.shop.b.example"] {
        ask(&server, host, "/whatever?x=1").expect(200, "site b\n");
    }
    for host in ["c.example", "bb.example", "b.example.evil.example"] {
        let answer = ask(&server, host, "/");
        assert_eq!((answer.exit, answer.status), (0, 421), "{door:?} {host}: {}", answer.text());
        assert!(answer.text().contains("LG0"), "{door:?}: a code says why: {}", answer.text());
    }
    let answer = ask(&server, "www.a.example", "/docs/?x=%20y");
    assert_eq!((answer.status, answer.header("location")), (308, Some("http://a.example/docs/?x=%20y")), "{door:?}");
    let answer = ask(&server, "a.example", "/docs?x=1");
    assert_eq!((answer.status, answer.header("location")), (308, Some("/docs/?x=1")), "{door:?}");
    let part = server.ask("/alphabet.txt").header("Host: a.example").header("Range: bytes=3-5").send();
    part.expect(206, "def");
    let head = server.ask("/alphabet.txt").header("Host: a.example").arg("--head").send();
    // Apache does not believe a length that comes from its own modules.
    assert!(head.status == 200 && matches!(head.header("content-length"), None | Some("26")), "{door:?}: {head:?}");
    assert_eq!(ask(&server, "a.example", "/nothing-here").status, 404, "{door:?}");
    assert_eq!(ask(&server, "a.example", "/lodger.toml").status, if door.program().is_some() { 403 } else { 404 }, "{door:?}");
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn each_host_gets_its_site_through_mod_fcgid() {
    check(Door::Fcgid);
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn each_host_gets_its_site_through_mod_proxy_fcgi() {
    check(Door::ProxyFcgi);
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn each_host_gets_its_site_through_nginx() {
    check(Door::Nginx);
    check(Door::NginxHttp);
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn each_host_gets_its_site_where_every_request_starts_the_program() {
    check(Door::Cgid);
}
