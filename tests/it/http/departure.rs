//! Visitors who leave, and a process that does.

use std::thread::sleep;
use std::time::{Duration, Instant};

use super::client::{Http, get, post};
use crate::peer::Peer;

#[test]
fn who_leaves_gives_the_request_up() {
    let peer = Peer::start();
    let slow = get("/slow?ms=600000");
    let ways = [
        ("alone", slow.clone().into_bytes()),
        ("over HTTP/1.0", slow.replace("HTTP/1.1", "HTTP/1.0").into_bytes()),
        ("with others behind", [slow.clone(), slow.clone()].concat().into_bytes()),
        ("with a body", post("/slow?ms=600000", &[b'x'; 1000])),
        ("with a body that is held back", post("/slow?ms=600000", &[b'x'; 200_000])),
        ("in the middle of a body", post("/slow?ms=600000", &[b'x'; 200_000])[..100_000].to_vec()),
    ];
    for (given_up, (way, bytes)) in (1..).zip(ways) {
        let mut conn = Http::connect(&peer);
        conn.send(bytes);
        assert!(conn.is_quiet(), "{way}");
        drop(conn);
        peer.expect_cancelled(given_up);
    }
    assert_eq!(peer.log(), "");
}

#[test]
fn who_only_stops_writing_gets_the_answer() {
    let peer = Peer::start();
    for request in [get("/slow?ms=500"), get("/slow?ms=500").replace("HTTP/1.1", "HTTP/1.0"), get("/big?n=3000000")] {
        let mut conn = Http::connect(&peer);
        conn.send(&request);
        conn.half_close();
        assert_eq!(conn.response().status, 200, "{request}");
        assert_eq!(conn.rest(), b"");
    }
    let mut conn = Http::connect(&peer);
    conn.send(get("/slow?ms=600000"));
    conn.half_close();
    assert!(conn.is_quiet());
    peer.expect_cancelled(0);
    drop(conn);
    peer.expect_cancelled(1);
}

/// The end comes together with the last byte of the body or right behind it, before the app has taken anything.
#[test]
fn who_stops_writing_behind_a_body_gets_the_answer() {
    let peer = Peer::start();
    let chunked = "POST /count HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    let pipelined = [get("/slow?ms=50").as_bytes(), &post("/count", b"hello")].concat();
    for (request, answers, times) in [
        (post("/count", b"hello"), 1, 20),
        (post("/slow?ms=20", b"hello"), 1, 5),
        (post("/count", &[b'x'; 100_000]), 1, 20),
        (post("/noread", &[b'x'; 100_000]), 1, 5),
        (chunked.as_bytes().to_vec(), 1, 20),
        (pipelined, 2, 5),
        (b"POST /count HTTP/1.1\r\nHost: not a host\r\nContent-Length: 5\r\n\r\nhello".to_vec(), 1, 5),
        (b"GET /hello HTTP/1.1\r\nHost: not a host\r\n\r\n".to_vec(), 1, 5),
    ] {
        for _ in 0..times {
            let mut conn = Http::connect(&peer);
            conn.send(&request);
            conn.half_close();
            for _ in 0..answers {
                assert!([200, 400, 413].contains(&conn.response().status));
            }
            assert_eq!(conn.rest(), b"");
        }
    }
    peer.expect_cancelled(0);
}

#[test]
fn the_rest_of_a_body_that_nobody_wants_keeps_no_process_from_leaving() {
    let mut peer = Peer::start();
    let mut conn = Http::connect(&peer);
    conn.send("POST /noread HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nabc");
    conn.response().assert_whole(413);
    peer.process.signal("TERM");
    let start = Instant::now();
    assert_eq!(peer.process.exit().code(), Some(0));
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

#[test]
fn a_process_that_leaves_waits_for_a_request_that_began_behind_another() {
    let mut peer = Peer::start();
    let mut conn = Http::connect(&peer);
    conn.ask(get("/hello") + "GET /hello HTTP/1.1\r\n").assert_whole(200);
    peer.process.signal("TERM");
    sleep(Duration::from_millis(300));
    conn.ask("Host: a\r\n\r\n").assert_whole(200);
    assert_eq!(peer.process.exit().code(), Some(0));
}

#[test]
fn a_process_that_leaves_finishes_what_is_in_work() {
    let mut peer = Peer::start();
    let (mut slow, mut idle, mut half) = (Http::connect(&peer), Http::connect(&peer), Http::connect(&peer));
    let (mut up, mut down) = (Http::connect(&peer), Http::connect(&peer));
    idle.ask(get("/hello")).assert_whole(200);
    slow.send(get("/slow?ms=1500"));
    half.send("GET /hello HT");
    let upload = post("/count", &vec![b'x'; 1_000_000]);
    up.send(&upload[..500_000]);
    down.send(get("/big?n=20000000"));
    peer.expect_begun(4);
    peer.process.signal("TERM");
    assert_eq!(idle.rest(), b"", "an idle connection is closed at once");
    sleep(Duration::from_millis(300));
    half.send("TP/1.1\r\nHost: a\r\n\r\n");
    let response = half.response();
    assert_eq!((response.text().as_str(), response.header("connection")), ("hello, world\n", Some("close")));
    up.send(&upload[500_000..]);
    up.response().assert_whole(200);
    assert_eq!(down.response().body.len(), 20_000_000);
    slow.response().assert_whole(200);
    assert_eq!(peer.process.exit().code(), Some(0), "{}", peer.log());
    assert_eq!(peer.log(), "");
}

#[test]
fn idle_connections_keep_nobody_from_leaving() {
    let mut peer = Peer::start();
    let _silent = Http::connect(&peer);
    let mut kept = Http::connect(&peer);
    kept.ask(get("/hello")).assert_whole(200);
    peer.process.signal("TERM");
    assert_eq!(peer.process.exit().code(), Some(0));
    assert_eq!(kept.rest(), b"");
}
