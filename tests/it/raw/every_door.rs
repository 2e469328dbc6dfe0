//! One process, one socket, every protocol: told apart by the first bytes of each connection, and none disturbs another.

use std::thread;

use crate::peer::Peer;
use crate::peer::ask::Ask;
use crate::peer::door::{DOORS, Door};
use crate::peer::wire::{self, BEGIN_REQUEST};

/// Asks for `/env` and checks that it came through this door to this process.
#[track_caller]
fn check(door: Door, peer: &Peer, round: usize) {
    let reply = door.ask(peer, &Ask::get(&format!("/env?round={round}")));
    assert_eq!(reply.status(), 200, "{door:?}, round {round}: {reply:?}");
    let seen: serde_json::Value = serde_json::from_slice(reply.body()).unwrap_or_else(|error| panic!("{door:?}: {error}: {reply:?}"));
    let expected = (door.name().into(), format!("/env?round={round}").into(), "example.org".into(), peer.process.pid().into());
    assert_eq!((&seen["gateway"], &seen["uri"], &seen["host"], &seen["pid"]), (&expected.0, &expected.1, &expected.2, &expected.3));
}

#[test]
fn one_process_answers_every_protocol_by_turns() {
    let peer = Peer::start();
    let watch = peer.watch();
    for round in 0..100 {
        // Each protocol follows each other one.
        let (first, step) = (round % DOORS.len(), 1 + round % (DOORS.len() - 1));
        for turn in 0..DOORS.len() {
            check(DOORS[(first + turn * step) % DOORS.len()], &peer, round);
        }
    }
    watch.unharmed(0..=1, "every protocol by turns");
}

#[test]
fn one_process_answers_every_protocol_at_once() {
    let peer = &Peer::start();
    let watch = peer.watch();
    thread::scope(|scope| {
        for door in DOORS.into_iter().cycle().take(2 * DOORS.len()) {
            scope.spawn(move || {
                for round in 0..50 {
                    check(door, peer, round);
                    let body = vec![b'a' + u8::try_from(round % 26).unwrap(); 1 + round * 1000];
                    let reply = door.ask(peer, &Ask::post("/count", body.clone()));
                    assert_eq!(reply.status(), 200, "{door:?}: {reply:?}");
                    assert!(reply.text().starts_with(&format!("{} ", body.len())), "{door:?}: {reply:?}");
                }
            });
        }
    });
    watch.unharmed(0..=1, "every protocol at once");
}

/// What is no request in the terms of each protocol, and the code of the line that it is worth.
fn bad_input() -> [(Door, Vec<u8>, &'static str); 6] {
    let mut version_2 = wire::record(BEGIN_REQUEST, 1, b"12345678");
    version_2[0] = 2;
    [
        (Door::FastCgi, [wire::begin(1, 1, 0), version_2].concat(), "LG0301"),
        (Door::Lsapi, [b"LS\x01\0\x30\0\0\0", &[0xff; 40][..]].concat(), "LG0301"),
        (Door::Scgi, b"24:CONTENT_LENGTH\x000\0SCGI\x001\0;".to_vec(), "LG0301"),
        (Door::Uwsgi, vec![0, 5, 0, 0, 9, 0, b'a', b'b', b'c'], "LG0301"),
        (Door::Http, b"GET / HTTP/1.1\r\nno header\r\n\r\n".to_vec(), "LG0301"),
        (Door::Http, b"PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n".to_vec(), "LG0309"),
    ]
}

#[test]
fn bad_input_on_one_door_hurts_no_request_on_any() {
    let peer = Peer::start();
    for (bad, bytes, code) in bad_input() {
        let watch = peer.watch();
        let mut waiting = DOORS.map(|door| {
            let mut conn = peer.connect();
            conn.send(&door.all(&Ask::get("/slow?ms=400")));
            (door, conn)
        });
        let before = peer.log().len();
        let mut conn = peer.connect();
        conn.send(&bytes);
        let (answer, _) = conn.rest_and_end();
        let proper: &[u8] = if bad == Door::Http && code == "LG0301" { b"HTTP/1.1 400 Bad Request\r\n" } else { b"" };
        assert!(answer.starts_with(proper) && answer.is_empty() == proper.is_empty(), "{bad:?}: {}", String::from_utf8_lossy(&answer));
        for (door, conn) in &mut waiting {
            let reply = door.reply(conn);
            assert_eq!((reply.status(), reply.text()), (200, "done\n".to_owned()), "{door:?}, while {bad:?} was bad: {reply:?}");
        }
        let line = peer.log().split_off(before);
        assert!(line.contains(code), "{bad:?}: {line:?}");
        DOORS.into_iter().enumerate().for_each(|(round, door)| check(door, &peer, round));
        watch.unharmed(1..=2, &format!("bad input by {bad:?}"));
    }
}
