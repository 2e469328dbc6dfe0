//! Records in an order that the specification does not know, or for requests that do not exist: ignored, survived.

use crate::peer::Peer;
use crate::peer::ask::Ask;
use crate::peer::wire::{self, DATA, PARAMS, STDIN};

#[test]
fn records_for_an_unknown_id_are_ignored() {
    let peer = Peer::start();
    let watch = peer.watch();
    let mut conn = peer.connect();
    let stray = [
        wire::record(PARAMS, 7, b"\x01\x01xy"),
        wire::record(PARAMS, 7, &[]),
        wire::record(STDIN, 7, b"nobody asked"),
        wire::record(STDIN, 7, &[]),
        wire::record(DATA, 7, b"nobody asked"),
        wire::abort(7),
    ]
    .concat();
    conn.send(&stray);
    let ask = Ask::post("/count", "0123456789");
    conn.send(&[ask.begin(), stray.clone(), ask.params(), stray.clone(), ask.stdin()].concat());
    let reply = conn.reply(1);
    reply.assert_whole(200);
    assert!(reply.text().starts_with("10 "), "{}", reply.text());
    conn.assert_closed();
    watch.unharmed(0..=1, "records for an unknown id");
}

#[test]
fn records_for_a_finished_request_are_ignored() {
    let peer = Peer::start();
    let watch = peer.watch();
    let mut conn = peer.connect();
    let ask = Ask::post("/count", "0123456789").keep();
    for _ in 0..3 {
        conn.ask(&ask).assert_whole(200);
        conn.send(&wire::record(STDIN, 1, b"too late"));
        conn.send(&wire::record(PARAMS, 1, b"\x01\x01xy"));
        conn.send(&wire::record(STDIN, 1, &[]));
        conn.send(&wire::abort(1));
    }
    let reply = conn.ask(&ask);
    reply.assert_whole(200);
    assert!(reply.text().starts_with("10 "), "{}", reply.text());
    watch.unharmed(0..=1, "records for a finished request");
}

#[test]
fn a_body_ends_once() {
    let peer = Peer::start();
    let mut conn = peer.connect();
    let ask = Ask::post("/count", "0123456789").keep();
    let more = wire::stream(STDIN, 1, b"more", 4);
    for _ in 0..3 {
        conn.send(&[ask.all(), more.clone(), more.clone()].concat());
        let reply = conn.reply(1);
        reply.assert_whole(200);
        assert!(reply.text().starts_with("10 "), "{}", reply.text());
    }
}

#[test]
fn variables_end_once() {
    let peer = Peer::start();
    let ask = Ask::post("/env", "0123456789");
    let more = wire::stream(PARAMS, 1, &wire::pair(b"TOO", b"late"), 100);
    let mut conn = peer.connect();
    conn.send(&[ask.head(), more.clone(), ask.stdin(), more].concat());
    let reply = conn.reply(1);
    reply.assert_whole(200);
    let env: serde_json::Value = serde_json::from_slice(reply.body()).unwrap();
    assert_eq!(env["vars"].as_array().unwrap().len(), ask.vars().len());
}

#[test]
fn data_is_nothing_to_a_responder() {
    let peer = Peer::start();
    let ask = Ask::post("/echo", "0123456789");
    let data = wire::stream(DATA, 1, b"a file for a filter", 100);
    let mut conn = peer.connect();
    conn.send(&[ask.begin(), data.clone(), ask.params(), data.clone()].concat());
    conn.send(&[wire::record(STDIN, 1, b"01234"), data.clone()].concat());
    conn.send(&[wire::record(STDIN, 1, b"56789"), data, wire::record(STDIN, 1, &[])].concat());
    let reply = conn.reply(1);
    reply.assert_whole(200);
    assert_eq!(reply.text(), "0123456789");
}

#[test]
fn a_body_may_begin_before_the_variables_end() {
    let peer = Peer::start();
    let ask = Ask::post("/echo", "0123456789");
    let pairs = ask.pairs();
    let mut conn = peer.connect();
    conn.send(&[ask.begin(), wire::record(STDIN, 1, b"012")].concat());
    conn.send(&[wire::record(PARAMS, 1, &pairs[..100]), wire::record(STDIN, 1, b"345")].concat());
    conn.send(&[wire::record(PARAMS, 1, &pairs[100..]), wire::record(STDIN, 1, b"67")].concat());
    conn.send(&[wire::record(PARAMS, 1, &[]), wire::stream(STDIN, 1, b"89", 2)].concat());
    let reply = conn.reply(1);
    reply.assert_whole(200);
    assert_eq!(reply.text(), "0123456789");
}

#[test]
fn a_body_may_end_before_the_variables_do() {
    let peer = Peer::start();
    let ask = Ask::post("/echo", "0123456789");
    let mut conn = peer.connect();
    conn.send(&[ask.begin(), ask.stdin(), ask.params()].concat());
    let reply = conn.reply(1);
    reply.assert_whole(200);
    assert_eq!(reply.text(), "0123456789");
}

#[test]
fn no_body_needs_no_empty_stdin() {
    let peer = Peer::start();
    let empty = |method: &str, uri: &str| Ask::get(uri).set("REQUEST_METHOD", method).set("CONTENT_LENGTH", "0").keep();
    let mut conn = peer.connect();
    for (ask, body) in [
        (empty("POST", "/echo"), ""),
        (empty("GET", "/hello"), "hello, world\n"),
        (empty("PUT", "/early?n=3"), "xxx0\n"),
        // Nothing was said about a body, and this handler does not ask for one.
        (Ask::get("/hello").keep(), "hello, world\n"),
        (Ask::get("/hello").without("CONTENT_LENGTH").keep(), "hello, world\n"),
        // This one does, but in a DELETE nothing is expected that was not said.
        (Ask::get("/echo").set("REQUEST_METHOD", "DELETE").without("CONTENT_LENGTH").keep(), ""),
    ] {
        conn.send(&ask.head());
        let reply = conn.reply(1);
        reply.assert_whole(200);
        assert_eq!(reply.text(), body);
    }
    // The end that came too late belongs to nobody.
    conn.send(&wire::record(STDIN, 1, &[]));
    conn.ask(&Ask::get("/hello")).assert_whole(200);
}

#[test]
fn a_request_without_variables_is_answered() {
    let peer = Peer::start();
    let mut conn = peer.connect();
    conn.send(&[wire::begin(1, wire::RESPONDER, 1), wire::record(PARAMS, 1, &[])].concat());
    conn.send(&wire::record(STDIN, 1, &[]));
    let reply = conn.reply(1);
    assert!(reply.status() >= 400, "{reply:?}");
    reply.assert_whole(reply.status());
    conn.ask(&Ask::get("/hello")).assert_whole(200);
}
