//! A process that is told to stop finishes what it has begun, and leaves with 0.

use std::thread::sleep;
use std::time::Duration;

use crate::peer::ask::Ask;
use crate::peer::{Peer, eventually};

const SIGNALS: [&str; 3] = ["TERM", "INT", "USR1"];

/// A process that has been told to stop has left, and well.
#[track_caller]
fn assert_gone(peer: &mut Peer, why: &str) {
    let status = peer.process.exit();
    assert_eq!(status.code(), Some(0), "{why}: {status}, log: {}", peer.log());
}

#[test]
fn an_idle_process_leaves_at_once() {
    for start in [Peer::start, Peer::start_under_mod_fcgid] {
        for signal in SIGNALS {
            let mut peer = start();
            peer.text("/hello");
            peer.process.signal(signal);
            assert_gone(&mut peer, signal);
        }
    }
}

#[test]
fn a_process_that_was_never_asked_leaves_too() {
    let mut peer = Peer::start();
    // The handlers of the signals are there when the listener is served, so a connection is accepted first.
    let mut probe = peer.connect();
    probe.half_close();
    probe.assert_closed();
    peer.process.signal("TERM");
    assert_gone(&mut peer, "TERM");
}

#[test]
fn idle_connections_keep_nobody_from_leaving() {
    let mut peer = Peer::start();
    let silent = peer.connect();
    let mut kept = peer.connect();
    kept.ask(&Ask::get("/hello").keep()).assert_whole(200);
    peer.process.signal("TERM");
    assert_gone(&mut peer, "TERM");
    kept.assert_closed();
    drop(silent);
}

#[test]
fn a_busy_process_finishes_first() {
    for start in [Peer::start, Peer::start_under_mod_fcgid] {
        for signal in SIGNALS {
            let mut peer = start();
            let mut conn = peer.connect();
            conn.send(&Ask::get("/slow?ms=1500").all());
            peer.expect_begun(1);
            peer.process.signal(signal);
            let reply = conn.reply(1);
            reply.assert_whole(200);
            assert_eq!(reply.text(), "done\n", "{signal}");
            assert_gone(&mut peer, signal);
        }
    }
}

#[test]
fn a_second_sigterm_does_not_cut_the_drain() {
    let mut peer = Peer::start();
    let mut conn = peer.connect();
    conn.send(&Ask::get("/slow?ms=4000").all());
    peer.expect_begun(1);
    for _ in 0..3 {
        peer.process.signal("TERM");
        sleep(Duration::from_millis(300));
    }
    assert!(peer.process.is_running());
    conn.reply(1).assert_whole(200);
    assert_gone(&mut peer, "three times TERM");
}

#[test]
fn bodies_on_their_way_arrive_whole() {
    let mut peer = Peer::start();
    let upload = Ask::post("/count", vec![b'x'; 1_000_000]);
    let stdin = upload.stdin();
    let mut up = peer.connect();
    up.send(&[&upload.head(), &stdin[..500_000]].concat());
    let mut down = peer.connect();
    down.send(&Ask::get("/big?n=20000000").all());
    let mut many = peer.connect();
    for id in 1..=5 {
        many.send(&Ask::get("/slow?ms=1000").id(id).keep().all());
    }
    peer.expect_begun(7);
    peer.process.signal("TERM");
    sleep(Duration::from_millis(200));
    up.send(&stdin[500_000..]);
    let reply = up.reply(1);
    reply.assert_whole(200);
    assert!(reply.text().starts_with("1000000 "), "{}", reply.text());
    let reply = down.reply(1);
    reply.assert_whole(200);
    assert_eq!(reply.body().len(), 20_000_000);
    for id in 1..=5 {
        many.reply(id).assert_whole(200);
    }
    assert_gone(&mut peer, "TERM in the middle of bodies");
}

#[test]
fn a_request_that_has_begun_to_arrive_is_served() {
    for start in [Peer::start, Peer::start_under_mod_fcgid] {
        let mut peer = start();
        let bytes = Ask::post("/count", "0123456789").all();
        let mut conn = peer.connect();
        conn.send(&bytes[..100]);
        assert!(conn.is_quiet());
        peer.process.signal("TERM");
        sleep(Duration::from_millis(300));
        conn.send(&bytes[100..]);
        conn.reply(1).assert_whole(200);
        assert_gone(&mut peer, "TERM");
    }
}

#[test]
fn a_listener_of_our_own_is_shut_while_the_last_request_is_served() {
    let mut peer = Peer::start_under_mod_fcgid();
    let mut conn = peer.connect();
    conn.send(&Ask::get("/slow?ms=3000").all());
    peer.expect_begun(1);
    peer.process.signal("TERM");
    // mod_fcgid goes to another process when it is refused, and waits when it is not.
    eventually("connections are not refused", || peer.refuses_connections());
    assert!(peer.process.is_running(), "the process left without finishing");
    conn.reply(1).assert_whole(200);
    assert_gone(&mut peer, "TERM");
}

#[test]
fn a_shared_listener_stays_open_for_the_next_process() {
    let mut peer = Peer::start();
    let mut conn = peer.connect();
    conn.send(&Ask::get("/slow?ms=4000").all());
    peer.expect_begun(1);
    peer.process.signal("TERM");
    sleep(Duration::from_secs(1));
    // Nobody takes this one before the successor is there.
    let mut next = peer.connect();
    next.send(&Ask::get("/hello").all());
    assert!(next.is_quiet(), "a process that is leaving took a new connection");
    let mut old = peer.start_successor();
    next.reply(1).assert_whole(200);
    conn.reply(1).assert_whole(200);
    let status = old.exit();
    assert_eq!(status.code(), Some(0), "{status}");
}
