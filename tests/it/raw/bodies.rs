//! Bodies of any size, in both directions at once, in little memory.

use std::io::Write as _;
use std::thread::{self, sleep};
use std::time::Duration;

use crate::peer::Peer;
use crate::peer::ask::Ask;
use crate::peer::wire::{self, STDIN};

const MIB: usize = 1024 * 1024;

#[test]
fn a_large_upload_is_counted_in_little_memory() {
    let peer = Peer::start();
    let watch = peer.watch();
    let size = 256 * MIB;
    let mut conn = peer.connect();
    conn.send(&Ask::post("/count", "").set("CONTENT_LENGTH", &size.to_string()).head());
    let piece = wire::record(STDIN, 1, &[0; 32 * 1024]);
    for _ in 0..size / (32 * 1024) {
        conn.send(&piece);
    }
    conn.send(&wire::record(STDIN, 1, &[]));
    let reply = conn.reply(1);
    reply.assert_whole(200);
    // Made with `head -c 256M /dev/zero | sha256sum`.
    assert_eq!(reply.text(), format!("{size} {ZEROS}\n"));
    watch.unharmed(0..=0, "an upload of 256 MiB");
}

const ZEROS: &str = "a6d72ac7690f53be6ae46ba88506bd97302a093f7108472bd9efc3cefda06484";

#[test]
fn a_body_ends_where_its_stream_ends() {
    let peer = Peer::start();
    for length in ["", "-1", "3", "10"] {
        let reply = peer.ask(&Ask::post("/count", "0123456789").set("CONTENT_LENGTH", length));
        reply.assert_whole(200);
        assert!(reply.text().starts_with("10 "), "CONTENT_LENGTH={length:?}: {}", reply.text());
    }
    let reply = peer.ask(&Ask::post("/count", "0123456789").without("CONTENT_LENGTH"));
    assert!(reply.text().starts_with("10 "), "without CONTENT_LENGTH: {}", reply.text());
}

#[test]
fn a_length_that_is_no_length_gets_a_whole_answer() {
    let peer = Peer::start();
    let mut conn = peer.connect();
    for length in ["99999999999999999999999", "18446744073709551615", "ten", "1e3", "+10", "0x0a", " ", "10, 10"] {
        let reply = conn.ask(&Ask::post("/count", "0123456789").set("CONTENT_LENGTH", length).keep());
        reply.assert_whole(reply.status());
        assert!([200, 400].contains(&reply.status()), "CONTENT_LENGTH={length:?}: {reply:?}");
    }
}

#[test]
fn a_body_shorter_than_promised_is_an_error_to_the_app() {
    let peer = Peer::start();
    let mut conn = peer.connect();
    for body in ["", "012345678"] {
        let reply = conn.ask(&Ask::post("/count", body).set("CONTENT_LENGTH", "10").keep());
        reply.assert_whole(400);
    }
    conn.ask(&Ask::get("/hello")).assert_whole(200);
}

#[test]
fn a_large_answer_takes_little_memory() {
    let peer = Peer::start();
    let watch = peer.watch();
    for uri in ["/big?n=200000000", "/big?n=200000000&cl=1"] {
        let reply = peer.get(uri);
        reply.assert_whole(200);
        assert_eq!(reply.body().len(), 200_000_000);
        assert_eq!(reply.header("content-length").is_some(), uri.ends_with("cl=1"));
    }
    watch.unharmed(0..=0, "answers of 200 MB");
}

#[test]
fn an_answer_that_nobody_reads_takes_little_memory() {
    let peer = Peer::start();
    let watch = peer.watch();
    let mut conns: Vec<_> = (0..10).map(|_| peer.connect()).collect();
    for conn in &mut conns {
        conn.send(&Ask::get("/big?n=1000000000").all());
    }
    sleep(Duration::from_millis(1500));
    drop(conns);
    watch.unharmed(0..=0, "answers that nobody read");
}

#[test]
fn a_body_that_nobody_reads_is_held_back() {
    let peer = Peer::start();
    let watch = peer.watch();
    let mut conn = peer.connect();
    conn.send(&Ask::post("/slow?ms=1500", vec![b'x'; 64 * MIB]).all());
    let reply = conn.reply(1);
    reply.assert_whole(200);
    conn.assert_closed();
    watch.unharmed(0..=0, "a body of 64 MiB that nobody read");
}

#[test]
fn a_body_is_echoed_while_it_arrives() {
    let peer = Peer::start();
    let mut conn = peer.connect();
    let ask = Ask::post("/echo", "").keep().set("CONTENT_LENGTH", "").set("CONTENT_TYPE", "text/x-test; a=b");
    conn.send(&ask.head());
    let mut received = Vec::new();
    for round in 0..20u8 {
        let piece = vec![round; 1000];
        conn.send(&wire::record(STDIN, 1, &piece));
        // This piece comes back before the next one is sent.
        while !received.ends_with(&piece) {
            let record = conn.record();
            assert_eq!((record.kind, record.id), (wire::STDOUT, 1));
            received.extend(record.content);
        }
    }
    let head = String::from_utf8_lossy(&received).to_ascii_lowercase();
    assert!(head.contains("\r\ncontent-type: text/x-test; a=b\r\n"), "{}", &head[..200]);
    conn.send(&wire::record(STDIN, 1, &[]));
    assert!(conn.reply(1).end.is_some());
}

#[test]
fn a_large_body_is_echoed_whole_in_little_memory() {
    let peer = Peer::start();
    let watch = peer.watch();
    let body: Vec<u8> = (0..64 * MIB).map(|index| (index / 251) as u8).collect();
    let mut conn = peer.connect();
    let mut writer = conn.writer();
    let bytes = Ask::post("/echo", body.clone()).all();
    let sending = thread::spawn(move || writer.write_all(&bytes).unwrap());
    let reply = conn.reply(1);
    sending.join().unwrap();
    reply.assert_whole(200);
    assert!(reply.body() == body, "another body came back");
    watch.unharmed(0..=0, "an echo of 64 MiB");
}

/// mod_fcgid and Caddy send the whole body before they read a byte of the answer.
#[test]
fn an_app_may_answer_before_it_reads_to_a_web_server_that_sends_before_it_reads() {
    let peer = Peer::start();
    let watch = peer.watch();
    let mut conn = peer.connect();
    conn.send(&Ask::post("/early?n=4000000", vec![b'y'; 30_000_000]).all());
    let reply = conn.reply(1);
    reply.assert_whole(200);
    assert_eq!(reply.body().len(), 4_000_000 + b"30000000\n".len());
    assert!(reply.body().ends_with(b"x30000000\n"));
    watch.unharmed(0..=0, "an early answer");

    // The same with an echo: what comes back cannot be sent until everything is in.
    let body = vec![b'z'; 10_000_000];
    let mut conn = peer.connect();
    conn.send(&Ask::post("/echo", body.clone()).all());
    let reply = conn.reply(1);
    reply.assert_whole(200);
    assert!(reply.body() == body, "another body came back");
}

#[test]
fn events_are_sent_when_they_happen() {
    let peer = Peer::start();
    let mut conn = peer.connect();
    conn.send(&Ask::get("/sse?n=3&ms=600000").all());
    let mut received = Vec::new();
    while !received.ends_with(b"data: 0\n\n") {
        received.extend(conn.record().content);
    }
    assert!(conn.is_quiet(), "an event came too early");
}
