//! Bodies in both directions.

use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};

use super::client::{Ended, Http, ask, get, post};
use crate::peer::Peer;

fn chunked(uri: &str, body: &[u8], size: usize) -> Vec<u8> {
    let mut request = format!("POST {uri} HTTP/1.1\r\nHost: example.org\r\nTransfer-Encoding: chunked\r\n\r\n").into_bytes();
    for chunk in body.chunks(size) {
        request.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        request.extend_from_slice(chunk);
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"0\r\n\r\n");
    request
}

fn counted(body: &[u8]) -> String {
    let sum: String = Sha256::digest(body).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{} {sum}\n", body.len())
}

fn mebibyte() -> Vec<u8> {
    (0..1024 * 1024_u32).map(|index| index.to_le_bytes()[(index % 3) as usize]).collect()
}

#[test]
fn a_body_arrives_whole_with_and_without_a_length() {
    let peer = Peer::start();
    let body = mebibyte();
    let mut kept = Http::connect(&peer);
    assert_eq!(kept.ask(post("/count", &body)).text(), counted(&body));
    for size in [1000, 40_000] {
        assert_eq!(kept.ask(chunked("/count", &body, size)).text(), counted(&body));
    }
    assert_eq!(kept.ask(post("/count", b"")).text(), counted(b""));
    assert_eq!(kept.ask(chunked("/count", b"", 1)).text(), counted(b""));
}

/// Apache sends the whole body before it reads anything of the response.
#[test]
fn who_reads_only_after_all_is_sent_is_not_kept_waiting() {
    let peer = Peer::start();
    let body = vec![b'y'; 8 * 1024 * 1024];
    for uri in ["/echo", "/early?n=1000000"] {
        let mut conn = Http::connect(&peer);
        conn.send(post(uri, &body));
        let response = conn.response();
        response.assert_whole(200);
        let expected = if uri == "/echo" { body.len() } else { 1_000_000 + "8388608\n".len() };
        assert_eq!(response.body.len(), expected, "{uri}");
    }
    assert!(peer.process.peak_memory() < 40 * 1024, "{} KiB", peer.process.peak_memory());
}

#[test]
fn what_nobody_reads_is_thrown_away_and_the_connection_kept() {
    let peer = Peer::start();
    let mut conn = Http::connect(&peer);
    conn.send(post("/noread", &vec![b'x'; 3_000_000]));
    conn.response().assert_whole(413);
    conn.ask(get("/hello")).assert_whole(200);
    conn.send(chunked("/noread", &vec![b'x'; 300_000], 5000));
    conn.response().assert_whole(413);
    conn.ask(get("/hello")).assert_whole(200);
}

/// Where the end of the connection ends the response, it is not held up by a body that does not go on.
#[test]
fn a_last_response_ends_before_the_body_that_nobody_reads() {
    let peer = Peer::start();
    for (target, version, close, length) in [
        ("GET /big?n=100000", "HTTP/1.0", "", 100_000),
        ("GET /big?n=100000", "HTTP/1.1", "Connection: close\r\n", 100_000),
        ("POST /noread", "HTTP/1.0", "", "too big\n".len()),
        ("POST /no/such/route", "HTTP/1.1", "Connection: close\r\n", 0),
    ] {
        let mut conn = Http::connect(&peer);
        let start = Instant::now();
        let response = conn.ask(format!("{target} {version}\r\nHost: a\r\n{close}Content-Length: 100000\r\n\r\nabc"));
        assert_eq!(response.body.len(), length, "{target} {version}");
        assert_eq!(conn.rest(), b"");
        assert!(start.elapsed() < Duration::from_secs(10), "{target} {version} {:?}", start.elapsed());
        assert!(conn.try_send("more of it"), "the rest is still taken");
    }
}

#[test]
fn a_client_that_asks_first_is_told_when_the_body_is_wanted() {
    let peer = Peer::start();
    let head = |uri: &str| format!("POST {uri} HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
    let mut conn = Http::connect(&peer);
    conn.send(head("/count"));
    assert_eq!(conn.head().status, 100);
    conn.send("abc");
    assert_eq!(conn.response().text(), counted(b"abc"));
    // Who is refused is not asked for the body, and Apache has to be told that the connection ends with that.
    let mut conn = Http::connect(&peer);
    let refused = conn.ask(head("/noread"));
    assert_eq!((refused.status, refused.header("connection")), (413, Some("close")));
    assert_eq!(conn.rest(), b"");
}

#[test]
fn a_body_that_ends_too_early_is_a_400() {
    let peer = Peer::start();
    for version in ["HTTP/1.1", "HTTP/1.0"] {
        let mut conn = Http::connect(&peer);
        conn.send(format!("POST /count {version}\r\nHost: a\r\nContent-Length: 30\r\n\r\nabc"));
        conn.half_close();
        conn.response().assert_whole(400);
    }
    assert_eq!(peer.log().matches("LG0306").count(), 2, "{}", peer.log());
}

#[test]
fn a_long_answer_streams_and_the_memory_stays_flat() {
    let peer = Peer::start();
    for (request, ended) in [(get("/big?n=100000000"), Ended::Whole), (get("/big?n=100000000&cl=1"), Ended::Whole)] {
        let response = ask(&peer, request);
        assert_eq!((response.body.len(), response.ended), (100_000_000, ended));
    }
    assert!(peer.process.peak_memory() < 40 * 1024, "{} KiB", peer.process.peak_memory());
}
