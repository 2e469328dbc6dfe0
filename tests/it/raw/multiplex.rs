//! Many requests on one connection: each goes its own way, and none waits for another.

use std::time::{Duration, Instant};

use crate::peer::Peer;
use crate::peer::ask::Ask;
use crate::peer::conn::COMPLETE;
use crate::peer::wire::{self, PARAMS, STDIN};

#[test]
fn two_requests_may_be_interleaved_record_by_record() {
    let peer = Peer::start();
    let mut conn = peer.connect();
    let asks = [Ask::post("/echo", "").id(7).keep(), Ask::post("/echo", "").id(300).keep()];
    let bodies = asks.clone().map(|ask| vec![u8::try_from(ask.id % 200).unwrap(); 5000]);
    for ask in &asks {
        conn.send(&ask.begin());
    }
    let pieces = asks.clone().map(|ask| {
        let ask = ask.set("CONTENT_LENGTH", "5000");
        let pairs: Vec<_> = ask.pairs().chunks(50).map(|piece| wire::record(PARAMS, ask.id, piece)).collect();
        pairs
    });
    for (one, other) in pieces[0].iter().zip(&pieces[1]) {
        conn.send(one);
        conn.send(other);
    }
    for ask in &asks {
        conn.send(&wire::record(PARAMS, ask.id, &[]));
    }
    for start in (0..5000).step_by(100) {
        for (ask, body) in asks.iter().zip(&bodies) {
            conn.send(&wire::record(STDIN, ask.id, &body[start..start + 100]));
        }
    }
    for ask in asks.iter().rev() {
        conn.send(&wire::record(STDIN, ask.id, &[]));
    }
    for (ask, body) in asks.iter().zip(&bodies) {
        let reply = conn.reply(ask.id);
        reply.assert_whole(200);
        assert_eq!(reply.body(), body, "request {}", ask.id);
    }
}

#[test]
fn two_hundred_slow_requests_finish_together() {
    let peer = Peer::start();
    let mut conn = peer.connect();
    let ids = 1..=200;
    let start = Instant::now();
    conn.send(&ids.clone().flat_map(|id| Ask::get("/slow?ms=1000").id(id).keep().all()).collect::<Vec<u8>>());
    for id in ids {
        let reply = conn.reply(id);
        reply.assert_whole(200);
        assert_eq!(reply.text(), "done\n");
    }
    // One after the other they would take 200 seconds.
    assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
}

#[test]
fn a_body_that_nobody_reads_holds_up_no_other_request() {
    let peer = Peer::start();
    let watch = peer.watch();
    let mut conn = peer.connect();
    // More than the window and the buffers of the socket together hold.
    conn.send(&Ask::post("/slow?ms=25000", vec![b'x'; 20_000_000]).id(1).keep().all());
    for id in 2..=20 {
        conn.ask(&Ask::get("/hello").id(id).keep()).assert_whole(200);
    }
    let upload = conn.ask(&Ask::post("/count", vec![b'x'; 1_000_000]).id(21).keep());
    upload.assert_whole(200);
    assert!(upload.text().starts_with("1000000 "), "{}", upload.text());
    assert!(!conn.order.contains(&1), "the slow request was not the last: {:?}", conn.order);
    conn.send(&wire::abort(1));
    assert_eq!(conn.reply(1).end, Some(COMPLETE));
    watch.unharmed(0..=0, "a body that nobody read");
}

#[test]
fn a_body_kept_back_for_others_is_read_whole_in_the_end() {
    let peer = Peer::start();
    let mut conn = peer.connect();
    // The first sends before it reads, so its body has to wait somewhere while the second is served.
    let ask = Ask::post("/early?n=8000000", vec![b'x'; 8_000_000]).id(1).keep();
    conn.send(&ask.head());
    conn.send(&Ask::get("/slow?ms=100").id(2).keep().all());
    conn.send(&ask.stdin());
    conn.send(&Ask::get("/hello").id(3).keep().all());
    conn.reply(2).assert_whole(200);
    conn.reply(3).assert_whole(200);
    let reply = conn.reply(1);
    reply.assert_whole(200);
    assert_eq!(reply.body().len(), 8_000_000 + b"8000000\n".len());
    assert!(reply.body().ends_with(b"x8000000\n"));
}

#[test]
fn a_large_answer_holds_up_no_small_one() {
    let peer = Peer::start();
    let mut conn = peer.connect();
    conn.send(&Ask::get("/big?n=200000000").id(1).keep().all());
    conn.send(&Ask::get("/hello").id(2).keep().all());
    conn.reply(2).assert_whole(200);
    assert_eq!(conn.order, [2], "the small answer came after the large one");
    let large = conn.reply(1);
    large.assert_whole(200);
    assert_eq!(large.body().len(), 200_000_000);
}

#[test]
fn a_panic_hurts_no_other_request_on_the_connection() {
    let peer = Peer::start();
    let mut conn = peer.connect();
    conn.send(&Ask::get("/slow?ms=700").id(1).keep().all());
    conn.send(&Ask::get("/panic").id(2).keep().all());
    conn.send(&Ask::get("/panic-late?n=1000").id(3).keep().all());
    conn.send(&Ask::get("/fail-late?n=1000").id(4).keep().all());
    for (id, status) in [(2, 500), (3, 500), (4, 500), (1, 200)] {
        conn.reply(id).assert_whole(status);
    }
    conn.ask(&Ask::get("/hello")).assert_whole(200);
}
