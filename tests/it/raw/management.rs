//! Management records, and the types that nobody knows.

use crate::peer::Peer;
use crate::peer::ask::Ask;
use crate::peer::conn::{Conn, End};
use crate::peer::wire::{self, GET_VALUES, GET_VALUES_RESULT, KEEP_CONN, MAX_CONTENT, Record, STDIN, UNKNOWN_ROLE, UNKNOWN_TYPE};

/// A type that the specification does not name.
const NO_TYPE: u8 = 42;

fn question(names: &[&str]) -> Vec<u8> {
    let pairs: Vec<u8> = names.iter().flat_map(|name| wire::pair(name.as_bytes(), b"")).collect();
    wire::record(GET_VALUES, 0, &pairs)
}

/// The values in the next record, which has to hold nothing else.
fn values(conn: &mut Conn) -> Vec<(String, String)> {
    let record = conn.record();
    assert_eq!((record.kind, record.id), (GET_VALUES_RESULT, 0));
    let mut values = wire::parse_pairs(&record.content);
    values.sort();
    values
}

/// Names and their values, sorted.
type Values = [(&'static str, &'static str)];

#[track_caller]
fn assert_values(conn: &mut Conn, expected: &Values, names: &[&str]) {
    let expected: Vec<_> = expected.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
    assert_eq!(values(conn), expected, "asked for {names:?}");
}

#[test]
fn get_values_gives_the_values_that_are_known_each_once() {
    let peer = Peer::start();
    let mut conn = peer.connect();
    let all = &[("FCGI_MAX_CONNS", "512"), ("FCGI_MAX_REQS", "512"), ("FCGI_MPXS_CONNS", "1")];
    let cases: [(&[&str], &Values); 7] = [
        (&["FCGI_MAX_CONNS", "FCGI_MAX_REQS", "FCGI_MPXS_CONNS"], all),
        (&["FCGI_MPXS_CONNS", "FCGI_MAX_REQS", "FCGI_MAX_CONNS"], all),
        (&["FCGI_MPXS_CONNS"], &all[2..]),
        (&["FCGI_MAX_REQS", "FCGI_MAX_REQS"], &all[1..2]),
        (&["FCGI_NO_SUCH_VALUE", "FCGI_MAX_CONNS", "fcgi_max_reqs", ""], &all[..1]),
        (&["NOTHING_KNOWN"], &[]),
        (&[], &[]),
    ];
    for (names, expected) in cases {
        conn.send(&question(names));
        assert_values(&mut conn, expected, names);
    }
    conn.ask(&Ask::get("/hello")).assert_whole(200);
}

#[test]
fn get_values_is_answered_in_the_middle_of_a_request() {
    let peer = Peer::start();
    let ask = Ask::post("/count", "0123456789");
    let mut conn = peer.connect();
    for piece in [ask.begin(), ask.params(), wire::record(STDIN, 1, b"0123456789")] {
        conn.send(&piece);
        let names = ["FCGI_MPXS_CONNS"];
        conn.send(&question(&names));
        assert_values(&mut conn, &[("FCGI_MPXS_CONNS", "1")], &names);
    }
    conn.send(&wire::record(STDIN, 1, &[]));
    let reply = conn.reply(1);
    reply.assert_whole(200);
    assert!(reply.text().starts_with("10 "), "{}", reply.text());
}

#[test]
fn get_values_that_make_no_sense_hurt_nobody() {
    let peer = Peer::start();
    let many = wire::pair(b"FCGI_MAX_CONNS", b"").repeat(MAX_CONTENT / 16);
    let cases: [(&str, &[u8]); 3] = [
        ("a pair without its end", b"\x0e\x00FCGI_MAX"),
        ("a name of 2^31-1 bytes", b"\xff\xff\xff\xff\x00x"),
        ("one name four thousand times", &many),
    ];
    for (what, content) in cases {
        let watch = peer.watch();
        let mut conn = peer.connect();
        conn.send(&wire::record(GET_VALUES, 0, content));
        conn.half_close();
        let sent = conn.rest();
        assert!(sent.len() < 200, "{what}: {} bytes of answer", sent.len());
        watch.unharmed(0..=1, what);
    }
}

#[test]
fn an_unknown_management_type_is_named_in_the_answer() {
    let peer = Peer::start();
    let mut conn = peer.connect();
    for kind in [12, NO_TYPE, 0, 255] {
        for content in [&b""[..], b"whatever", &[0; MAX_CONTENT]] {
            conn.send(&wire::record(kind, 0, content));
            let expected = Record { kind: UNKNOWN_TYPE, id: 0, content: vec![kind, 0, 0, 0, 0, 0, 0, 0] };
            assert_eq!(conn.record(), expected);
        }
    }
    conn.ask(&Ask::get("/hello")).assert_whole(200);
}

#[test]
fn an_unknown_application_type_is_not_answered_at_all() {
    let peer = Peer::start();
    let ask = Ask::post("/count", "0123456789");
    let unknown: Vec<u8> = [1, 2].iter().flat_map(|&id| wire::record(NO_TYPE, id, b"whatever")).collect();
    let mut conn = peer.connect();
    let pieces = [ask.begin(), ask.params(), ask.stdin()];
    conn.send(&pieces.map(|piece| [unknown.clone(), piece].concat()).concat());
    // An unasked management record would be a panic here.
    let reply = conn.reply(1);
    reply.assert_whole(200);
    assert!(reply.text().starts_with("10 "), "{}", reply.text());
    conn.assert_closed();
}

#[test]
fn a_role_that_nobody_knows_gets_a_500_and_says_so_at_the_end() {
    let peer = Peer::start();
    for role in [0, 4, 7, 0x0100, 65_535] {
        let mut conn = peer.connect();
        let reply = conn.ask(&Ask::post("/count", "0123456789").role(role).keep());
        assert_eq!(reply.status(), 500, "role {role}");
        assert!(reply.stdout_ended, "role {role}");
        assert_eq!(reply.end, Some(End { app_status: 0, protocol_status: UNKNOWN_ROLE }), "role {role}");
        conn.ask(&Ask::get("/hello").keep()).assert_whole(200);

        let mut conn = peer.connect();
        let reply = conn.ask(&Ask::get("/hello").role(role));
        assert_eq!(reply.status(), 500, "role {role}");
        conn.assert_closed();
    }
}

#[test]
fn flags_that_nobody_knows_do_not_matter() {
    let peer = Peer::start();
    let ask = Ask::get("/hello");
    for (flags, stays) in [(0xfe, false), (0xfe | KEEP_CONN, true)] {
        let mut conn = peer.connect();
        conn.send(&[wire::begin(1, wire::RESPONDER, flags), ask.params(), ask.stdin()].concat());
        conn.reply(1).assert_whole(200);
        if stays {
            assert!(conn.is_quiet());
        } else {
            conn.assert_closed();
        }
    }
}
