//! One request in every disguise that records allow: any padding, any cut, any form of a length.

use crate::peer::Peer;
use crate::peer::ask::Ask;
use crate::peer::conn::Conn;
use crate::peer::wire::{self, BEGIN_REQUEST, Form, MAX_CONTENT, PARAMS, STDIN};

/// SHA-256 of `0123456789`, made with sha256sum.
const DIGITS: &str = "10 84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882\n";

/// The variables that the app sees for a request whose PARAMS are sent as they are here.
fn vars_seen(conn: &mut Conn, params: &[u8]) -> serde_json::Value {
    let ask = Ask::get("/env").keep();
    conn.send(&[&ask.begin()[..], params, &ask.stdin()].concat());
    let reply = conn.reply(1);
    reply.assert_whole(200);
    let mut env: serde_json::Value = serde_json::from_slice(reply.body()).unwrap();
    env["vars"].take()
}

/// What `/env` has to say about the variables of a request.
fn vars_sent(ask: &Ask) -> serde_json::Value {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    ask.vars().iter().map(|(name, value)| vec![text(name), text(value)]).collect()
}

#[test]
fn a_pair_may_be_cut_anywhere_between_two_records() {
    let peer = Peer::start();
    let mut conn = peer.connect();
    let ask = Ask::get("/env").set("LONG", &"v".repeat(200));
    let (pairs, sent) = (ask.pairs(), vars_sent(&ask));
    for cut in 1..pairs.len() {
        let params = [wire::record(PARAMS, 1, &pairs[..cut]), wire::record(PARAMS, 1, &pairs[cut..]), wire::record(PARAMS, 1, &[])];
        assert_eq!(vars_seen(&mut conn, &params.concat()), sent, "cut after {cut} bytes");
    }
}

#[test]
fn pairs_longer_than_a_record_arrive_whole() {
    let peer = Peer::start();
    let mut conn = peer.connect();
    let ask = Ask::get("/env").set("LONG", &"0123456789".repeat(10_000));
    for size in [7, 8192, 65_500, MAX_CONTENT] {
        let params = wire::stream(PARAMS, 1, &ask.pairs(), size);
        assert_eq!(vars_seen(&mut conn, &params), vars_sent(&ask), "in records of {size} bytes");
    }
}

#[test]
fn a_length_may_take_one_byte_or_four() {
    let peer = Peer::start();
    let mut conn = peer.connect();
    for (of_name, of_value) in [(Form::Short, Form::Long), (Form::Long, Form::Short), (Form::Long, Form::Long), (Form::Short, Form::Short)] {
        // On both sides of the bound, and nothing at all.
        let ask = [0, 1, 127, 128, 129, 255, 256, 300]
            .iter()
            .fold(Ask::get("/env"), |ask, &size| ask.set(&format!("V_{size}"), &"v".repeat(size)).set(&"N".repeat(size.max(2)), "value"));
        let pairs: Vec<u8> = ask.vars().iter().flat_map(|(name, value)| wire::pair_in(name, value, of_name, of_value)).collect();
        let params = wire::stream(PARAMS, 1, &pairs, MAX_CONTENT);
        assert_eq!(vars_seen(&mut conn, &params), vars_sent(&ask), "{of_name:?} names, {of_value:?} values");
    }
}

#[test]
fn repeated_and_empty_variables_are_kept_in_order() {
    let peer = Peer::start();
    let ask = Ask::get("/env");
    let extra = [("TWICE", "b"), ("TWICE", "a"), ("EMPTY", ""), ("", "nameless"), ("TWICE", "b")];
    let more: Vec<u8> = extra.iter().flat_map(|(name, value)| wire::pair(name.as_bytes(), value.as_bytes())).collect();
    let params = wire::stream(PARAMS, 1, &[ask.pairs(), more].concat(), MAX_CONTENT);
    let seen = vars_seen(&mut peer.connect(), &params);
    let tail = &seen.as_array().unwrap()[ask.vars().len()..];
    assert_eq!(serde_json::json!(tail), serde_json::json!(extra));
}

#[test]
fn padding_of_any_size_is_skipped() {
    let peer = Peer::start();
    let mut conn = peer.connect();
    let ask = Ask::post("/count", "0123456789").keep();
    for padding in 0..=255 {
        let bytes = [
            wire::padded(BEGIN_REQUEST, 1, &wire::begin_body(1, 1), padding),
            wire::padded(PARAMS, 1, &ask.pairs(), padding),
            wire::padded(PARAMS, 1, &[], padding),
            wire::padded(STDIN, 1, b"01234", padding),
            wire::padded(STDIN, 1, b"56789", 255 - padding),
            wire::padded(STDIN, 1, &[], padding),
        ];
        conn.send(&bytes.concat());
        let reply = conn.reply(1);
        reply.assert_whole(200);
        assert_eq!(reply.text(), DIGITS, "with {padding} bytes of padding");
    }
}

#[test]
fn a_record_may_be_as_large_as_they_come() {
    let peer = Peer::start();
    let watch = peer.watch();
    let records = 32;
    let ask = Ask::post("/count", vec![b'x'; records * MAX_CONTENT]);
    let stdin = wire::padded(STDIN, 1, &[b'x'; MAX_CONTENT], 255).repeat(records);
    let mut conn = peer.connect();
    conn.send(&ask.head());
    conn.send(&stdin);
    conn.send(&wire::padded(STDIN, 1, &[], 255));
    let reply = conn.reply(1);
    reply.assert_whole(200);
    assert_eq!(reply.text(), peer.ask(&ask).text(), "another sum than without padding");
    assert!(reply.text().starts_with("2097120 "), "{}", reply.text());
    watch.unharmed(0..=0, "the largest records");
}

#[test]
fn a_request_may_arrive_one_byte_at_a_time() {
    let peer = Peer::start();
    let mut conn = peer.connect();
    for byte in Ask::post("/count", "0123456789").all() {
        conn.send(&[byte]);
    }
    let reply = conn.reply(1);
    reply.assert_whole(200);
    assert_eq!(reply.text(), DIGITS);
}

#[test]
fn every_byte_may_have_a_record_of_its_own() {
    let peer = Peer::start();
    let ask = Ask::post("/count", "0123456789");
    let mut conn = peer.connect();
    conn.send(&ask.begin());
    conn.send(&wire::stream(PARAMS, 1, &ask.pairs(), 1));
    conn.send(&wire::stream(STDIN, 1, b"0123456789", 1));
    let reply = conn.reply(1);
    reply.assert_whole(200);
    assert_eq!(reply.text(), DIGITS);
}

#[test]
fn any_id_is_answered_under_itself() {
    let peer = Peer::start();
    for id in [1, 2, 255, 256, 0x0102, 65_535] {
        let reply = peer.ask(&Ask::post("/count", "0123456789").id(id));
        reply.assert_whole(200);
        assert_eq!(reply.text(), DIGITS);
    }
}
