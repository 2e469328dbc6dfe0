//! Bytes that are no request, and requests over a limit: an answer where one is possible, a closed connection, one line in the log, nothing else.

use super::client::{Ended, Http, ask, get};
use crate::peer::Peer;

#[test]
fn what_is_no_request_is_a_400_and_one_line() {
    let peer = Peer::start();
    for (what, bytes) in [
        ("no version", "GET / gar bage\r\n\r\n"),
        ("a header without a colon", "GET / HTTP/1.1\r\nHost\r\n\r\n"),
        ("two lengths", "POST /count HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd"),
        ("no length", "POST /count HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n"),
        ("a negative length", "POST /count HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n"),
        ("an unknown coding", "POST /count HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, x\r\n\r\n0\r\n\r\n"),
        ("chunks in HTTP/1.0", "POST /count HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        ("a folded header", "GET / HTTP/1.1\r\nHost: a\r\nA: b\r\n c\r\n\r\n"),
        ("a NUL", "GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("broken chunks", "POST /count HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n"),
    ] {
        let watch = peer.watch();
        let before = peer.log().matches("LG0301").count();
        let mut conn = Http::connect(&peer);
        let response = conn.ask(bytes);
        assert_eq!((response.status, response.ended), (400, Ended::Whole), "{what}");
        assert_eq!(conn.rest(), b"", "{what}");
        watch.unharmed(1..=1, what);
        assert_eq!(peer.log().matches("LG0301").count(), before + 1, "{what}: {}", peer.log());
    }
}

#[test]
fn a_request_that_makes_no_sense_is_told_apart() {
    let peer = Peer::start();
    for request in
        ["GET /hello HTTP/1.1\r\nHost: a b\r\n\r\n", "GET /hello HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n"]
    {
        let mut conn = Http::connect(&peer);
        let response = conn.ask(request);
        response.assert_whole(400);
        assert!(response.text().contains("LG0302"), "{request}");
        conn.ask(get("/hello")).assert_whole(200);
    }
}

/// RFC 9112, 6.3: Transfer-Encoding overrides Content-Length, and the connection is closed, so that nothing behind it can be taken for a request.
#[test]
fn a_length_beside_chunks_smuggles_nothing() {
    let peer = Peer::start();
    let smuggled = get("/pid");
    for headers in ["Content-Length: 5\r\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked\r\nContent-Length: 5"] {
        let mut conn = Http::connect(&peer);
        let response = conn.ask(format!("POST /count HTTP/1.1\r\nHost: a\r\n{headers}\r\n\r\n0\r\n\r\n{smuggled}"));
        assert!(response.text().starts_with("0 "), "{}", response.text());
        assert_eq!(conn.rest(), b"", "{headers}");
    }
}

#[test]
fn a_head_over_the_limits_is_a_431() {
    let peer = Peer::start();
    let watch = peer.watch();
    let many = "a: b\r\n".repeat(1100);
    let long = format!("a: {}\r\n", "b".repeat(140_000));
    for headers in [many, long] {
        let mut conn = Http::connect(&peer);
        let request = format!("GET /hello HTTP/1.1\r\nHost: a\r\n{headers}\r\n");
        assert!(conn.try_send(request));
        conn.response().assert_whole(431);
    }
    ask(&peer, format!("GET /hello HTTP/1.1\r\nHost: a\r\n{}\r\n", "a: b\r\n".repeat(900))).assert_whole(200);
    ask(&peer, format!("GET /hello HTTP/1.1\r\nHost: a\r\na: {}\r\n\r\n", "b".repeat(100_000))).assert_whole(200);
    ask(&peer, get(&format!("/{}", "x".repeat(70_000)))).assert_whole(414);
    watch.unharmed(3..=3, "heads over the limits");
}

#[test]
fn fastcgi_and_http_take_turns_on_one_socket() {
    let peer = Peer::start();
    for _ in 0..3 {
        ask(&peer, get("/hello")).assert_whole(200);
        assert_eq!(peer.text("/hello"), "hello, world\n");
    }
}
