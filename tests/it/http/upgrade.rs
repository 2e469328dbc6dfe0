//! A WebSocket through the door, with an axum app that knows nothing of it.

use std::thread::sleep;
use std::time::Duration;

use super::client::{Http, get};
use crate::peer::Peer;

const HANDSHAKE: &str = "GET /ws HTTP/1.1\r\nHost: example.org\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

fn open(peer: &Peer) -> Http {
    let mut conn = Http::connect(peer);
    let response = conn.ask(HANDSHAKE);
    assert_eq!(response.status, 101, "{}", response.text());
    // RFC 6455, 1.3 has this very key as its example.
    assert_eq!(response.header("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert_eq!(response.header("upgrade"), Some("websocket"));
    conn
}

/// A frame as a client sends it: final, masked, shorter than 126 bytes.
fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [1, 2, 3, 4];
    let masked = payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask);
    [0x80 | opcode, 0x80 | u8::try_from(payload.len()).unwrap()].into_iter().chain(mask).chain(masked).collect()
}

#[test]
fn a_websocket_sends_back_what_it_gets() {
    let peer = Peer::start();
    let mut conn = open(&peer);
    for _ in 0..3 {
        conn.send(frame(1, b"hello"));
        assert_eq!(conn.take(7).unwrap(), b"\x81\x05hello");
    }
    conn.send(frame(8, &1000_u16.to_be_bytes()));
    assert_eq!(conn.rest(), b"\x88\x02\x03\xe8");
}

#[test]
fn bytes_right_behind_the_handshake_are_not_lost() {
    let peer = Peer::start();
    let mut conn = Http::connect(&peer);
    conn.send([HANDSHAKE.as_bytes(), &frame(1, b"early")].concat());
    assert_eq!(conn.head().status, 101);
    assert_eq!(conn.take(7).unwrap(), b"\x81\x05early");
}

#[test]
fn a_process_that_leaves_waits_for_a_websocket() {
    let mut peer = Peer::start();
    let mut conn = open(&peer);
    peer.process.signal("TERM");
    sleep(Duration::from_millis(1500));
    assert!(peer.process.is_running());
    conn.send(frame(1, b"still"));
    assert_eq!(conn.take(7).unwrap(), b"\x81\x05still");
    drop(conn);
    assert_eq!(peer.process.exit().code(), Some(0));
}

#[test]
fn without_a_handshake_it_is_an_ordinary_request() {
    let peer = Peer::start();
    let mut conn = Http::connect(&peer);
    conn.ask(get("/ws")).assert_whole(400);
    // curl asks so for HTTP/2; an app that knows nothing of it just answers.
    let h2c =
        get("/hello").replace("Host", "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\nHost");
    conn.ask(h2c).assert_whole(200);
    conn.ask(get("/hello")).assert_whole(200);
}
