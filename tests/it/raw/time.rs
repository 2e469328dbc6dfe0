//! What has to wait for real time.

use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use crate::peer::Peer;
use crate::peer::ask::Ask;
use crate::peer::wire::{self, MAX_CONTENT, STDIN, STDOUT};

/// All of them at once, so that together they take no longer than the longest.
#[test]
fn times_are_kept() {
    let cases = [
        ("variables", variables_that_do_not_come_are_given_up as fn()),
        ("trickle", variables_that_trickle_in_are_given_up_as_well),
        ("handler", a_handler_that_takes_too_long_is_given_up_with_504),
        ("linger", a_connection_does_not_linger_for_ever),
        ("write", an_answer_that_nobody_takes_is_given_up),
        ("rest", a_process_that_nobody_asks_gives_the_pages_of_its_program_back),
    ];
    thread::scope(|scope| {
        for (name, case) in cases {
            thread::Builder::new().name(name.to_owned()).spawn_scoped(scope, case).unwrap();
        }
    });
}

/// Waits until a time after the start.
fn sleep_until(start: Instant, seconds: u64) {
    sleep(Duration::from_secs(seconds).saturating_sub(start.elapsed()));
}

/// Variables are complete within ten seconds of the first byte, and the first byte comes within ten seconds too.
fn variables_that_do_not_come_are_given_up() {
    let peer = Peer::start();
    let head = Ask::get("/hello").keep().head();
    let watch = peer.watch();
    let mut conns = [
        ("half a record", &head[..5]),
        ("a BEGIN_REQUEST", &head[..16]),
        ("half the variables", &head[..400]),
        ("variables without their end", &head[..head.len() - 8]),
    ]
    .map(|(what, bytes)| {
        let mut conn = peer.connect();
        conn.send(bytes);
        (what, conn)
    });
    let mut silent = peer.connect();
    let start = Instant::now();
    for (what, conn) in &mut conns {
        assert_eq!(conn.rest(), b"", "an answer to {what}");
    }
    silent.assert_closed();
    assert!(start.elapsed() > Duration::from_secs(5), "that was no time to send anything");
    watch.unharmed(0..=4, "requests that never came");
}

fn variables_that_trickle_in_are_given_up_as_well() {
    let peer = Peer::start();
    let head = Ask::get("/hello").head();
    let mut conn = peer.connect();
    let start = Instant::now();
    let sent = head.chunks(8).take(40).take_while(|bytes| {
        sleep(Duration::from_millis(500));
        conn.try_send(bytes).is_ok()
    });
    let sent = sent.count();
    assert!(sent < 40, "the server waited {:?} for variables", start.elapsed());
    assert!(sent > 10, "the server gave up after {:?}", start.elapsed());
}

/// A handler has thirty seconds, which begin anew with each piece of the body.
fn a_handler_that_takes_too_long_is_given_up_with_504() {
    let peer = Peer::start();
    let start = Instant::now();
    let mut slow = peer.connect();
    slow.send(&Ask::get("/slow?ms=600000").keep().all());
    let mut upload = peer.connect();
    upload.send(&Ask::post("/count", "").set("CONTENT_LENGTH", "8").head());
    let mut events = peer.connect();
    events.send(&Ask::get("/sse?n=10&ms=4000").all());
    let mut idle = peer.connect();
    idle.ask(&Ask::get("/hello").keep()).assert_whole(200);
    for piece in 1..=8 {
        sleep_until(start, piece * 5);
        upload.send(&wire::record(STDIN, 1, b"x"));
    }

    let reply = slow.reply(1);
    reply.assert_whole(504);
    peer.expect_cancelled(1);
    slow.ask(&Ask::get("/hello").keep()).assert_whole(200);

    upload.send(&wire::record(STDIN, 1, &[]));
    let reply = upload.reply(1);
    reply.assert_whole(200);
    assert!(reply.text().starts_with("8 "), "{}", reply.text());

    // Neither a body that goes on nor a connection that is kept is measured by that.
    let reply = events.reply(1);
    reply.assert_whole(200);
    assert!(reply.text().ends_with("data: 9\n\n"), "{}", reply.text());
    idle.ask(&Ask::get("/hello")).assert_whole(200);
}

/// The rest of a body is taken for thirty seconds after the answer.
fn a_connection_does_not_linger_for_ever() {
    let peer = Peer::start();
    let watch = peer.watch();
    let mut conn = peer.connect();
    conn.send(&Ask::post("/noread", "").set("CONTENT_LENGTH", "1000").head());
    conn.reply(1).assert_whole(413);
    let start = Instant::now();
    // The answer is over, but somebody who goes on sending is not cut off at once.
    conn.assert_closed();
    let mut sent = 0;
    while conn.try_send(&wire::record(STDIN, 1, b"x")).is_ok() {
        sent += 1;
        sleep(Duration::from_secs(1));
        assert!(start.elapsed() < Duration::from_secs(50), "the connection is still there");
    }
    assert!(sent > 20, "the connection was closed after {:?}", start.elapsed());
    watch.unharmed(0..=1, "a body without an end");
}

/// Who takes nothing for sixty seconds gets nothing more; who takes a little now and then goes on.
fn an_answer_that_nobody_takes_is_given_up() {
    let peer = Peer::start();
    let size = 300_000_000;
    let ask = Ask::get(&format!("/big?n={size}")).all();
    let (mut stalled, mut hesitant) = (peer.connect(), peer.connect());
    stalled.send(&ask);
    hesitant.send(&ask);
    let start = Instant::now();
    for minute_quarter in 1..=5 {
        sleep_until(start, minute_quarter * 15);
        // Enough to make room in the socket.
        for _ in 0..100 {
            assert_eq!(hesitant.record().kind, STDOUT);
        }
    }
    assert!(stalled.rest().len() < size, "the answer was kept for one who took nothing");
    assert!(hesitant.rest().len() > size - 100 * MAX_CONTENT * 6, "the answer was cut off");
}

/// It rests three to six seconds after its last request, and wakes with the next. A debug build that shares the C library holds more of other files than a program that is uploaded.
fn a_process_that_nobody_asks_gives_the_pages_of_its_program_back() {
    let peer = Peer::start();
    let mut kept = peer.connect();
    for _ in 0..2 {
        kept.ask(&Ask::get("/hello").keep()).assert_whole(200);
        let busy = peer.process.resident_memory();
        let start = Instant::now();
        while peer.process.resident_memory() > busy / 3 * 2 {
            assert!(start.elapsed() < Duration::from_secs(20), "{busy} KiB after a request, {} now", peer.process.resident_memory());
            sleep(Duration::from_millis(100));
        }
    }
    kept.ask(&Ask::get("/hello")).assert_whole(200);
}
