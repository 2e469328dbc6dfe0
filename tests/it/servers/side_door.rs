//! The sample with the side door: what mod_fcgid cannot do goes to the same program as CGI, and nothing else does.

use super::apache;
use super::client::watch_events;
use super::door::Door;
use super::server::{Server, Setup};
use super::site::{self, Site};

fn start() -> Server {
    let site = Site::new();
    let with_cgid = apache::load("cgid") + &apache::cgid_socket(&site);
    let sample = site::sample("apache-fcgid-side-door.htaccess");
    let server = Setup::new(Door::Fcgid).htaccess(&sample).lines(&with_cgid).start_in(site);
    for folder in ["", "sub/"] {
        server.site.install(&format!("htdocs/{folder}app.fcgi"));
        server.site.install(&format!("htdocs/{folder}app.cgi"));
        server.site.write(&format!("{folder}.htaccess"), &sample);
    }
    server
}

#[track_caller]
fn check_gateway(answer: &super::client::Answer, gateway: &str, mount: &str) {
    let env = answer.json();
    assert_eq!(env["gateway"], gateway);
    assert_eq!(env["mount"], mount);
    assert_eq!(env["uri"], "/env?a=1");
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn ordinary_requests_stay_with_mod_fcgid() {
    let server = start();
    for mount in ["", "/sub"] {
        let ask = || server.ask(&format!("{mount}/env?a=1"));
        check_gateway(&ask().send(), "fastcgi", mount);
        check_gateway(&ask().body(vec![b'b'; 131_072]).send(), "fastcgi", mount);
    }
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn large_bodies_chunked_bodies_and_event_streams_become_cgi() {
    let server = start();
    for mount in ["", "/sub"] {
        let ask = || server.ask(&format!("{mount}/env?a=1"));
        check_gateway(&ask().body(vec![b'b'; 131_073]).send(), "cgi", mount);
        let chunked = ask().header("Transfer-Encoding: chunked").body("b");
        check_gateway(&chunked.send(), "cgi", mount);
        let events = ask().header("Accept: text/event-stream");
        check_gateway(&events.send(), "cgi", mount);
    }
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn bodies_of_any_size_arrive_whole() {
    let server = start();
    for size in [131_072, 131_073, 5_000_000] {
        let answer = server.ask("/echo").body(vec![b'x'; size]).send();
        assert_eq!((answer.exit, answer.status), (0, 200), "{size} bytes");
        assert!(answer.is_filler(size), "{size} bytes");
        let answer = server.ask("/echo").header("Transfer-Encoding: chunked").body(vec![b'x'; size]).send();
        assert_eq!((answer.exit, answer.status), (0, 200), "{size} bytes");
        assert!(answer.is_filler(size), "{size} bytes, chunked");
    }
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn events_are_seen_when_they_are_sent() {
    let server = start();
    let seen = watch_events(server.port, "/sse?n=4&ms=500", 4);
    let spread = seen[3] - seen[0];
    assert!(spread.as_millis() > 750, "events within {spread:?}");
}
