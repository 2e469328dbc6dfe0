//! More than the server takes: each limit has its answer, and what comes after it works.

use std::thread::sleep;
use std::time::Duration;

use crate::peer::ask::Ask;
use crate::peer::wire::{self, PARAMS};
use crate::peer::{Peer, eventually};

const KIB: usize = 1024;

#[test]
fn variables_over_the_limit_are_answered_with_431() {
    let peer = Peer::start();
    let base = Ask::get("/hello").keep();
    let many = |count: usize, size: usize| (0..count).fold(base.clone(), |ask, i| ask.set(&format!("EXTRA_{i}"), &"v".repeat(size)));
    let room_for_pairs = 1024 - base.vars().len();
    let cases = [
        ("a pair of 100 KiB", many(1, 100 * KIB), 200),
        ("a pair longer than the limit", many(1, 129 * KIB), 431),
        ("a pair much longer than the limit", many(1, 900 * KIB), 431),
        ("pairs that are too long together", many(40, 4 * KIB), 431),
        ("as many pairs as are allowed", many(room_for_pairs, 1), 200),
        ("one pair more", many(room_for_pairs + 1, 1), 431),
        ("many pairs more", many(9000, 1), 431),
    ];
    for (what, ask, status) in cases {
        let watch = peer.watch();
        let mut conn = peer.connect();
        conn.ask(&ask).assert_whole(status);
        // The connection is in step, so it serves on.
        conn.ask(&base).assert_whole(200);
        watch.unharmed(0..=1, what);
    }
}

#[test]
fn a_pair_that_promises_more_than_it_has_is_refused() {
    let peer = Peer::start();
    let huge = [0xff, 0xff, 0xff, 0xff];
    let short = wire::pair(b"NAME", b"value");
    let cases: [(&str, Vec<u8>); 7] = [
        ("a name of 2^31-1 bytes", [&huge[..], &[1], b"xy"].concat()),
        ("a value of 2^31-1 bytes", [&[1], &huge[..], b"xy"].concat()),
        ("a name and a value of 2^31-1 bytes", [&huge[..], &huge[..], b"xy"].concat()),
        ("a pair without its last byte", short[..short.len() - 1].to_vec()),
        ("a name length without a value length", vec![5]),
        ("half a long name length", vec![0x80, 0]),
        ("half a long value length", vec![1, 0x80, 0, 0]),
    ];
    let good = Ask::get("/hello").keep();
    for (what, pairs) in cases {
        for place in ["alone", "behind good ones"] {
            let watch = peer.watch();
            let before = if place == "alone" { Vec::new() } else { good.pairs() };
            let mut conn = peer.connect();
            conn.send(&good.begin());
            conn.send(&wire::stream(PARAMS, 1, &[before, pairs.clone()].concat(), 65_535));
            let reply = conn.reply(1);
            reply.assert_whole(400);
            assert!(reply.text().contains("LG0304"), "{what} {place}: {reply:?}");
            watch.unharmed(0..=1, &format!("{what}, {place}"));
        }
    }
}

#[test]
fn the_257th_request_on_a_connection_is_turned_away_with_503() {
    let peer = Peer::start();
    let watch = peer.watch();
    let mut conn = peer.connect();
    let waiting: Vec<u16> = (1..=256).collect();
    for &id in &waiting {
        conn.send(&Ask::get("/slow?ms=600000").id(id).keep().all());
    }
    let refused = conn.ask(&Ask::get("/hello").id(257).keep());
    refused.assert_whole(503);
    let seconds = refused.header("retry-after").expect("a Retry-After header");
    assert!(seconds.parse::<u32>().is_ok_and(|seconds| seconds > 0), "Retry-After: {seconds}");
    for &id in &waiting {
        conn.send(&wire::abort(id));
    }
    for &id in &waiting {
        assert!(conn.reply(id).end.is_some());
    }
    peer.expect_cancelled(256);
    conn.ask(&Ask::get("/hello").id(257).keep()).assert_whole(200);
    watch.unharmed(0..=1, "257 requests on a connection");
}

#[test]
fn the_513th_request_of_a_process_is_turned_away_with_503() {
    let peer = Peer::start();
    let mut conns = [peer.connect(), peer.connect()];
    for conn in &mut conns {
        for id in 1..=256 {
            conn.send(&Ask::get("/slow?ms=600000").id(id).keep().all());
        }
        assert!(conn.is_quiet());
    }
    let refused = peer.get("/hello");
    refused.assert_whole(503);
    assert!(refused.header("retry-after").is_some(), "{refused:?}");
    drop(conns);
    eventually("the requests were not given up", || peer.get("/hello").status() == 200);
    peer.expect_cancelled(512);
}

#[test]
fn a_process_without_free_descriptors_goes_on_when_it_has_some() {
    let peer = Peer::start_with_open_files(24);
    peer.text("/hello");
    let conns: Vec<_> = (0..60).map(|_| peer.connect()).collect();
    let before = peer.process.busy_time();
    sleep(Duration::from_secs(2));
    let busy = peer.process.busy_time() - before;
    assert!(busy < Duration::from_millis(500), "{busy:?} of 2 s were spent on trying to accept");
    drop(conns);
    assert_eq!(peer.text("/hello"), "hello, world\n");
    let lines = peer.log().lines().count();
    assert!(lines <= 5, "{lines} lines about one shortage: {}", peer.log());
}
