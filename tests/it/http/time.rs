//! What has to wait for real time.

use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use super::client::{Ended, Http, get, post};
use crate::peer::Peer;

/// All of them at once, so that together they take no longer than the longest.
#[test]
fn times_are_kept() {
    let cases = [
        ("head", a_head_that_does_not_come_is_given_up as fn()),
        ("empty line", an_empty_line_between_requests_is_the_beginning_of_nothing),
        ("handler", a_handler_that_takes_too_long_is_given_up_with_504),
        ("linger", the_rest_of_a_body_is_not_taken_for_ever),
        ("write", an_answer_that_nobody_takes_is_given_up),
        ("idle", a_kept_connection_is_closed_when_nobody_uses_it),
    ];
    thread::scope(|scope| {
        for (name, case) in cases {
            thread::Builder::new().name(name.to_owned()).spawn_scoped(scope, case).unwrap();
        }
    });
}

/// Reads to the end of the connection, however long that takes.
fn wait_for_end(conn: &mut Http) -> Duration {
    let start = Instant::now();
    while conn.is_quiet() {
        assert!(start.elapsed() < Duration::from_secs(150), "the connection is still there");
    }
    assert_eq!(conn.rest(), b"");
    start.elapsed()
}

fn a_head_that_does_not_come_is_given_up() {
    let peer = Peer::start();
    let (mut first, mut second, mut third) = (Http::connect(&peer), Http::connect(&peer), Http::connect(&peer));
    second.ask(get("/hello")).assert_whole(200);
    first.send("GET /hello HTTP/1.1\r\nHo");
    second.send("GET /he");
    third.ask(get("/hello") + "GET /hello HTTP/1.1\r\n").assert_whole(200);
    for conn in [&mut first, &mut second, &mut third] {
        let waited = wait_for_end(conn);
        assert!(waited < Duration::from_secs(15), "{waited:?}");
    }
    assert!(peer.log().contains("LG0307"), "{}", peer.log());
}

/// Some clients write one behind the body of a POST.
fn an_empty_line_between_requests_is_the_beginning_of_nothing() {
    let peer = Peer::start();
    let (mut apart, mut together, mut get_one) = (Http::connect(&peer), Http::connect(&peer), Http::connect(&peer));
    apart.ask(post("/count", b"hello")).assert_whole(200);
    apart.send("\r\n");
    together.ask([&*post("/count", b"hello"), b"\r\n"].concat()).assert_whole(200);
    get_one.ask(get("/hello") + "\r\n").assert_whole(200);
    sleep(Duration::from_secs(20));
    for conn in [&mut apart, &mut together, &mut get_one] {
        conn.ask(get("/hello")).assert_whole(200);
    }
}

fn a_handler_that_takes_too_long_is_given_up_with_504() {
    let peer = Peer::start();
    let (mut slow, mut upload, mut events) = (Http::connect(&peer), Http::connect(&peer), Http::connect(&peer));
    slow.send(get("/slow?ms=600000"));
    upload.send("POST /count HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\n");
    events.send(get("/sse?n=10&ms=4000"));
    for _ in 0..8 {
        sleep(Duration::from_secs(5));
        upload.send("x");
    }
    slow.response().assert_whole(504);
    slow.ask(get("/hello")).assert_whole(200);
    peer.expect_cancelled(1);
    upload.response().assert_whole(200);
    let response = events.response();
    response.assert_whole(200);
    assert!(response.text().ends_with("data: 9\n\n"));
}

fn the_rest_of_a_body_is_not_taken_for_ever() {
    let peer = Peer::start();
    let mut conn = Http::connect(&peer);
    conn.send("POST /noread HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n");
    conn.response().assert_whole(413);
    let start = Instant::now();
    while conn.try_send("x") {
        sleep(Duration::from_secs(1));
        assert!(start.elapsed() < Duration::from_secs(50), "the connection is still there");
    }
    assert!(start.elapsed() > Duration::from_secs(20), "closed after {:?}", start.elapsed());
}

fn an_answer_that_nobody_takes_is_given_up() {
    let peer = Peer::start();
    let size = 300_000_000;
    let mut stalled = Http::connect(&peer);
    stalled.send(get(&format!("/big?n={size}")));
    sleep(Duration::from_secs(75));
    let response = stalled.response();
    assert!(response.ended == Ended::Short && response.body.len() < size, "{:?} {}", response.ended, response.body.len());
    assert!(peer.log().contains("LG0505"), "{}", peer.log());
}

fn a_kept_connection_is_closed_when_nobody_uses_it() {
    let peer = Peer::start();
    let mut conn = Http::connect(&peer);
    conn.ask(get("/hello")).assert_whole(200);
    let waited = wait_for_end(&mut conn);
    assert!(waited > Duration::from_secs(110), "{waited:?}");
    assert_eq!(peer.log(), "");
}
