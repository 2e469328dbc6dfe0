//! Bytes that are no FastCGI: they cost their own connection and at most one line in the log.

use std::ops::RangeInclusive;

use crate::peer::Peer;
use crate::peer::ask::Ask;
use crate::peer::conn::Conn;
use crate::peer::wire::{self, BEGIN_REQUEST, PARAMS, STDIN};

/// A record of a version that does not exist.
fn version_2(kind: u8) -> Vec<u8> {
    let mut bytes = wire::record(kind, 1, b"12345678");
    bytes[0] = 2;
    bytes
}

/// Sends bytes after which no more will come, and waits until the server has closed the connection.
fn send_and_wait_for_the_end(conn: &mut Conn, bytes: &[u8]) {
    // The server may close as soon as it has seen enough, so that the rest cannot be sent.
    if conn.try_send(bytes).is_ok() {
        conn.half_close();
    }
    conn.rest();
}

#[test]
fn a_connection_closed_without_a_byte_is_not_worth_a_line() {
    let peer = Peer::start();
    let watch = peer.watch();
    for _ in 0..20 {
        drop(peer.connect());
    }
    let mut probe = peer.connect();
    probe.half_close();
    probe.assert_closed();
    watch.unharmed(0..=0, "twenty connections without a byte");
}

#[test]
fn a_request_that_stops_short_costs_its_own_connection() {
    let peer = Peer::start();
    let ask = Ask::post("/count", "0123456789");
    let (head, all) = (ask.head(), ask.all());
    // Inside the first header, between header and content, between records, inside a pair, inside the end of PARAMS,
    // and inside the body.
    let cuts = [1, 4, 7, 8, 12, 16, 20, 24, 25, 300, head.len() - 9, head.len() - 8, head.len() - 1];
    for cut in cuts {
        let watch = peer.watch();
        drop_after(&peer, &all[..cut]);
        watch.unharmed(0..=1, &format!("a request cut after {cut} bytes and closed"));

        let watch = peer.watch();
        let mut conn = peer.connect();
        conn.send(&all[..cut]);
        conn.half_close();
        assert_eq!(conn.rest(), b"", "an answer to {cut} bytes of a request");
        watch.unharmed(0..=1, &format!("a request cut after {cut} bytes and half closed"));
    }
    for cut in [head.len() + 4, head.len() + 12, all.len() - 8, all.len() - 3] {
        let watch = peer.watch();
        drop_after(&peer, &all[..cut]);
        watch.unharmed(0..=1, &format!("a body cut after {cut} bytes and closed"));
    }
}

fn drop_after(peer: &Peer, bytes: &[u8]) {
    let mut conn = peer.connect();
    conn.send(bytes);
}

#[test]
fn a_wrong_version_closes_the_connection_with_one_line() {
    let peer = Peer::start();
    let ask = Ask::post("/count", "0123456789").keep();
    let cases: [(&str, Vec<u8>); 4] = [
        ("as the first record", version_2(BEGIN_REQUEST)),
        ("after BEGIN", [ask.begin(), version_2(PARAMS)].concat()),
        ("in the body", [ask.head(), version_2(STDIN)].concat()),
        ("between the records of the body", {
            let piece = wire::record(STDIN, 1, b"01234");
            [ask.head(), piece.clone(), version_2(STDIN), piece].concat()
        }),
    ];
    for (place, bytes) in cases {
        let watch = peer.watch();
        let mut conn = peer.connect();
        conn.send(&bytes);
        assert_eq!(conn.rest(), b"", "an answer to a wrong version {place}");
        watch.unharmed(1..=1, &format!("a wrong version {place}"));
    }

    let watch = peer.watch();
    let mut conn = peer.connect();
    conn.ask(&ask).assert_whole(200);
    conn.send(&version_2(BEGIN_REQUEST));
    assert_eq!(conn.rest(), b"");
    watch.unharmed(1..=1, "a wrong version after a request");
}

#[test]
fn what_is_no_fastcgi_closes_the_connection_with_one_line() {
    let peer = Peer::start();
    let cases: [(&str, &[u8], RangeInclusive<usize>); 6] = [
        ("binary", &[0xff; 64], 1..=1),
        ("TLS", b"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03", 1..=1),
        ("HTTP/2 without TLS", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 1..=1),
        ("the PROXY protocol", b"PROXY TCP4 192.0.2.1 192.0.2.2 5 80\r\n", 1..=1),
        ("the PROXY protocol 2", b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c", 1..=1),
        ("blanks", b"        ", 1..=1),
    ];
    for (what, bytes, lines) in cases {
        let watch = peer.watch();
        send_and_wait_for_the_end(&mut peer.connect(), bytes);
        watch.unharmed(lines, what);
    }
}

#[test]
fn random_bytes_close_the_connection() {
    let peer = Peer::start();
    let watch = peer.watch();
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let rounds = 200;
    for _ in 0..rounds {
        let mut bytes: Vec<u8> = (0..random.below(3000) + 8).map(|_| random.byte()).collect();
        // Half of them look like FastCGI at first.
        if random.byte() < 128 {
            bytes[0] = 1;
            bytes[1] %= 13;
        }
        send_and_wait_for_the_end(&mut peer.connect(), &bytes);
    }
    watch.unharmed(0..=rounds, "random bytes");
}

#[test]
fn a_begin_request_too_short_to_say_anything_closes_the_connection() {
    let peer = Peer::start();
    for size in 0..8 {
        let watch = peer.watch();
        let mut conn = peer.connect();
        conn.send(&wire::record(BEGIN_REQUEST, 1, &wire::begin_body(1, 0)[..size]));
        conn.rest();
        watch.unharmed(0..=1, &format!("a BEGIN_REQUEST of {size} bytes"));
    }
}

#[test]
fn a_second_begin_for_an_active_id_closes_the_connection() {
    let peer = Peer::start();
    let slow = Ask::get("/slow?ms=600000").keep();
    for (number, first) in [(0, slow.begin()), (1, slow.all())] {
        let watch = peer.watch();
        let mut conn = peer.connect();
        conn.send(&first);
        if number > 0 {
            assert!(conn.is_quiet());
        }
        conn.send(&slow.begin());
        assert_eq!(conn.rest(), b"", "a second BEGIN_REQUEST was answered");
        watch.unharmed(0..=1, "a second BEGIN_REQUEST");
        peer.expect_cancelled(number);
    }
}

/// Numbers that look random and are the same every time (xorshift64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn byte(&mut self) -> u8 {
        self.next().to_be_bytes()[0]
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}
