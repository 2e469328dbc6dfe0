//! Much of what is allowed: no amount of it takes more memory than a little.

use std::io::Write as _;
use std::thread;

use crate::peer::Peer;
use crate::peer::ask::Ask;
use crate::peer::wire::{self, BEGIN_REQUEST, PARAMS, STDIN};

/// Sends bytes again and again from a thread of its own and reads nothing, until the server stops taking them, or has closed, or `times` is
/// reached. Then leaves.
fn flood(peer: &Peer, before: &[u8], bytes: &[u8], times: usize) {
    let mut conn = peer.connect();
    conn.send(before);
    conn.lose_patience_soon();
    let mut writer = conn.writer();
    thread::scope(|scope| {
        scope.spawn(move || {
            for _ in 0..times {
                if writer.write_all(bytes).is_err() {
                    return;
                }
            }
        });
    });
}

/// Two requests that take their time.
fn busy() -> Vec<u8> {
    (1..=2).flat_map(|id| Ask::get("/slow?ms=600000").id(id).keep().all()).collect()
}

#[test]
fn answers_to_management_records_that_nobody_reads_take_little_memory() {
    let peer = Peer::start();
    let unknown = wire::record(42, 0, &[]).repeat(100);
    let question = wire::record(9, 0, &wire::pair(b"FCGI_MAX_CONNS", b"")).repeat(100);
    for before in [Vec::new(), busy()] {
        for bytes in [&unknown, &question] {
            let watch = peer.watch();
            flood(&peer, &before, bytes, 10_000);
            watch.unharmed(0..=1, "a million management records");
        }
    }
}

#[test]
fn refusals_that_nobody_reads_take_little_memory() {
    let peer = Peer::start();
    let refused = Ask::get("/hello").id(7).role(9).keep().all().repeat(10);
    for (what, before) in [("alone", Vec::new()), ("beside requests in work", busy())] {
        let watch = peer.watch();
        flood(&peer, &before, &refused, 10_000);
        // Their lines go to the web server, which does not read.
        watch.unharmed(0..=1, &format!("a hundred thousand refusals, {what}"));
    }
}

#[test]
fn answers_that_nobody_reads_take_little_memory() {
    let peer = Peer::start();
    let ask = Ask::get("/hello").id(7).keep().all().repeat(10);
    let watch = peer.watch();
    flood(&peer, &[], &ask, 10_000);
    watch.unharmed(0..=1, "a hundred thousand answers");
}

#[test]
fn requests_begun_and_never_finished_take_little_memory() {
    let peer = Peer::start();
    let watch = peer.watch();
    let mut conn = peer.connect();
    let piece = Ask::get("/hello").set("LONG", &"v".repeat(60_000)).pairs();
    for id in 1..=400 {
        let ask = Ask::get("/hello").id(id).keep();
        if conn.try_send(&[ask.begin(), wire::record(PARAMS, id, &piece[..60_000])].concat()).is_err() {
            break;
        }
    }
    drop(conn);
    watch.unharmed(0..=1, "four hundred halves of requests");

    let watch = peer.watch();
    let begin: Vec<u8> = (1..=65_535).flat_map(|id| wire::record(BEGIN_REQUEST, id, &wire::begin_body(1, 1))).collect();
    flood(&peer, &[], &begin, 1);
    watch.unharmed(0..=1, "sixty-five thousand requests begun");
}

#[test]
fn tiny_records_with_much_padding_take_little_memory() {
    let peer = Peer::start();
    let ask = Ask::post("/slow?ms=1500", vec![b'x'; 60_000]);
    let stdin: Vec<u8> = (0..60_000).flat_map(|_| wire::padded(STDIN, 1, b"x", 255)).collect();
    let watch = peer.watch();
    let mut conn = peer.connect();
    conn.send(&[ask.head(), stdin, wire::record(STDIN, 1, &[])].concat());
    conn.reply(1).assert_whole(200);
    watch.unharmed(0..=0, "a body that nobody read, in records of one byte");

    let long = Ask::get("/hello").set("LONG", &"v".repeat(100_000));
    let params: Vec<u8> = long.pairs().iter().flat_map(|&byte| wire::padded(PARAMS, 1, &[byte], 255)).collect();
    let watch = peer.watch();
    let mut conn = peer.connect();
    conn.send(&[long.begin(), params, wire::record(PARAMS, 1, &[]), long.stdin()].concat());
    conn.reply(1).assert_whole(200);
    watch.unharmed(0..=0, "variables in records of one byte");
}
