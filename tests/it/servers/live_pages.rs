//! Live pages: what makes them live where they are not by default, and what becomes of them when nobody watches any more.

use super::client::watch_events;
use super::door::Door;
use super::process::wait_for;
use super::server::{Server, Setup};
use super::site::Site;

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn mod_proxy_fcgi_passes_events_on_when_it_is_told_to_flush() {
    let site = Site::new();
    let flushing = format!("ProxyPass \"/\" \"unix:{}|fcgi://localhost/\" flushpackets=on", site.socket().display());
    let server = Setup::new(Door::ProxyFcgi).lines(&flushing).start_in(site);
    let seen = watch_events(server.port, "/sse?n=4&ms=500", 4);
    let spread = seen[3] - seen[0];
    assert!(spread.as_millis() > 750, "events within {spread:?}");
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn a_cgi_program_leaves_when_its_visitor_has_left() {
    let server = Server::start(Door::Cgid);
    // Ten minutes of events, of which the visitor sees half a second.
    let answer = server.ask("/sse?n=6000&ms=100").arg("--max-time").arg("0.5").send();
    assert_eq!(answer.exit, 28, "curl gave up");
    wait_for("the program to notice and to leave", || server.app_pids().is_empty().then_some(()));
}
