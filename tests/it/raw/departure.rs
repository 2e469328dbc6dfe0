//! A visitor who left: the handler is dropped, and nothing else happens.

use std::thread::sleep;
use std::time::Duration;

use crate::peer::Peer;
use crate::peer::ask::Ask;
use crate::peer::conn::COMPLETE;
use crate::peer::wire::{self, PARAMS};

#[test]
fn an_aborted_request_is_given_up_and_ends_at_once() {
    let peer = Peer::start();
    let watch = peer.watch();
    let mut conn = peer.connect();
    for round in 1..=3 {
        conn.send(&Ask::get("/slow?ms=600000").keep().all());
        assert!(conn.is_quiet());
        conn.send(&wire::abort(1));
        let reply = conn.reply(1);
        assert_eq!(reply.end, Some(COMPLETE));
        assert_eq!(reply.stdout, b"", "the visitor is gone, so there is no answer");
        peer.expect_cancelled(round);
    }
    conn.ask(&Ask::get("/hello").keep()).assert_whole(200);
    watch.unharmed(0..=0, "aborted requests");
}

#[test]
fn the_last_request_may_be_aborted_too() {
    let peer = Peer::start();
    let mut conn = peer.connect();
    conn.send(&Ask::get("/slow?ms=600000").all());
    conn.send(&wire::abort(1));
    assert_eq!(conn.reply(1).end, Some(COMPLETE));
    conn.assert_closed();
}

#[test]
fn a_request_may_be_aborted_in_any_state() {
    let peer = Peer::start();
    let mut conn = peer.connect();
    let upload = Ask::post("/count", vec![b'x'; 100_000]).keep();
    let stdin = upload.stdin();
    let states = [
        ("before the variables", upload.begin()),
        ("between the variables", [upload.begin(), wire::record(PARAMS, 1, &upload.pairs()[..300])].concat()),
        ("before the body", upload.head()),
        ("in the body", [&upload.head(), &stdin[..32_768 + 8]].concat()),
        ("in an answer", Ask::get("/sse?n=100000&ms=20").keep().all()),
    ];
    for (state, bytes) in states {
        conn.send(&bytes);
        sleep(Duration::from_millis(100));
        conn.send(&wire::abort(1));
        assert_eq!(conn.reply(1).end, Some(COMPLETE), "aborted {state}");
        conn.ask(&Ask::get("/hello").keep()).assert_whole(200);
    }
}

#[test]
fn an_abort_hurts_no_other_request_on_the_connection() {
    let peer = Peer::start();
    let mut conn = peer.connect();
    for id in 1..=10 {
        conn.send(&Ask::get("/slow?ms=3000").id(id).keep().all());
    }
    // A handler that has not begun when the abort comes is not dropped, it is never made.
    assert!(conn.is_quiet());
    for id in [2, 4, 6, 8, 10] {
        conn.send(&wire::abort(id));
    }
    for id in 1..=10 {
        let reply = conn.reply(id);
        assert_eq!(reply.end, Some(COMPLETE), "request {id}");
        let expected: &[u8] = if id % 2 == 0 { b"" } else { b"done\n" };
        assert!(reply.stdout.ends_with(expected), "request {id}: {reply:?}");
        assert_eq!(reply.stdout.is_empty(), id % 2 == 0, "request {id}: {reply:?}");
    }
    peer.expect_cancelled(5);
}

#[test]
fn a_closed_connection_gives_up_its_requests() {
    let peer = Peer::start();
    let watch = peer.watch();
    let ways = [
        ("alone", vec![Ask::get("/slow?ms=600000")]),
        ("on a kept connection", vec![Ask::get("/slow?ms=600000").keep()]),
        ("with a body", vec![Ask::post("/slow?ms=600000", vec![b'x'; 1000])]),
        // More than the server takes for a handler that does not read, and less than the socket holds besides.
        ("with a body that is held back", vec![Ask::post("/slow?ms=600000", vec![b'x'; 240_000])]),
        ("together", (1..=5).map(|id| Ask::get("/slow?ms=600000").id(id).keep()).collect()),
    ];
    let mut given_up = 0;
    for (way, asks) in ways {
        let mut conn = peer.connect();
        for ask in &asks {
            conn.send(&ask.all());
        }
        assert!(conn.is_quiet(), "{way}");
        drop(conn);
        given_up += asks.len() as u64;
        peer.expect_cancelled(given_up);
    }
    watch.unharmed(0..=0, "visitors who left");
}

#[test]
fn a_half_closed_connection_that_closes_gives_up_its_requests() {
    let peer = Peer::start();
    let mut conn = peer.connect();
    conn.send(&Ask::get("/slow?ms=600000").all());
    conn.half_close();
    assert!(conn.is_quiet());
    peer.expect_cancelled(0);
    drop(conn);
    peer.expect_cancelled(1);
}

#[test]
fn a_visitor_may_leave_in_the_middle_of_anything() {
    let peer = Peer::start();
    let watch = peer.watch();
    let upload = Ask::post("/count", vec![b'x'; 100_000]);
    let half_an_upload = [&upload.head(), &upload.stdin()[..60_000]].concat();
    for bytes in [
        half_an_upload,
        Ask::get("/big?n=1000000000").all(),
        Ask::get("/sse?n=100000&ms=5").all(),
        Ask::post("/echo", vec![b'x'; 100_000]).all(),
        Ask::get("/early?n=100000000").head(),
    ] {
        let mut conn = peer.connect();
        conn.send(&bytes);
        sleep(Duration::from_millis(100));
    }
    watch.unharmed(0..=0, "visitors who left in the middle");
}
