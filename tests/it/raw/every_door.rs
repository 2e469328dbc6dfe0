//! One process, one socket, every protocol: told apart by the first bytes of each connection, and none disturbs another.

use std::thread;

use crate::lsapi::packets;
use crate::peer::Peer;
use crate::peer::ask::Ask;
use crate::peer::bare::Bare;
use crate::peer::conn::Conn;
use crate::peer::wire::{self, BEGIN_REQUEST};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Door {
    FastCgi,
    Lsapi,
    Scgi,
    Uwsgi,
    Http,
}

const DOORS: [Door; 5] = [Door::FastCgi, Door::Lsapi, Door::Scgi, Door::Uwsgi, Door::Http];

/// A connection on which an answer is waited for.
enum Asked {
    Lsapi(Box<packets::Conn>),
    Other(Door, Box<Conn>),
}

impl Door {
    fn name(self) -> &'static str {
        match self {
            Self::FastCgi => "fastcgi",
            Self::Lsapi => "lsapi",
            Self::Scgi => "scgi",
            Self::Uwsgi => "uwsgi",
            Self::Http => "http",
        }
    }

    /// Sends a request on a connection of its own: a POST if there is a body.
    fn ask(self, peer: &Peer, uri: &str, body: &[u8]) -> Asked {
        if self == Self::Lsapi {
            let ask = if body.is_empty() { packets::Ask::get(uri) } else { packets::Ask::post(uri, body.to_vec()) };
            let mut conn = packets::Conn::open(peer);
            conn.send(&ask.all());
            return Asked::Lsapi(Box::new(conn));
        }
        let ask = if body.is_empty() { Ask::get(uri) } else { Ask::post(uri, body) };
        let mut conn = peer.connect();
        conn.send(&match self {
            Self::FastCgi | Self::Lsapi => ask.all(),
            Self::Scgi => Bare::Scgi.all(&ask),
            Self::Uwsgi => Bare::Uwsgi.all(&ask),
            Self::Http => http(uri, body),
        });
        Asked::Other(self, Box::new(conn))
    }
}

/// As a proxy asks that closes after each request.
fn http(uri: &str, body: &[u8]) -> Vec<u8> {
    let head = match body.len() {
        0 => format!("GET {uri} HTTP/1.1\r\n"),
        length => format!("POST {uri} HTTP/1.1\r\nContent-Length: {length}\r\n"),
    };
    [format!("{head}Host: example.org\r\nConnection: close\r\n\r\n").as_bytes(), body].concat()
}

impl Asked {
    /// The status and the body of the answer.
    #[track_caller]
    fn answer(mut self) -> (u32, String) {
        let reply = match &mut self {
            Self::Lsapi(conn) => {
                let reply = conn.reply();
                return (reply.status, reply.text().to_owned());
            }
            Self::Other(Door::FastCgi | Door::Lsapi, conn) => conn.reply(1),
            Self::Other(Door::Scgi, conn) => Bare::Scgi.reply(conn),
            // An answer of known length on a connection that is closed behind it looks in HTTP as it does in uwsgi.
            Self::Other(Door::Uwsgi | Door::Http, conn) => Bare::Uwsgi.reply(conn),
        };
        assert!(!reply.reset, "{reply:?}");
        (reply.status().into(), reply.text())
    }
}

/// Asks for `/env` and checks that it came through this door to this process.
#[track_caller]
fn check(door: Door, peer: &Peer, round: usize) {
    let uri = format!("/env?round={round}");
    let (status, body) = door.ask(peer, &uri, b"").answer();
    assert_eq!(status, 200, "{door:?}, round {round}: {body}");
    let seen: serde_json::Value = serde_json::from_str(&body).unwrap_or_else(|error| panic!("{door:?}: {error}: {body}"));
    let expected: [serde_json::Value; 4] = [door.name().into(), uri.into(), "example.org".into(), peer.process.pid().into()];
    assert_eq!(["gateway", "uri", "host", "pid"].map(|key| seen[key].clone()), expected);
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
                    let (status, counted) = door.ask(peer, "/count", &body).answer();
                    assert!(status == 200 && counted.starts_with(&format!("{} ", body.len())), "{door:?}: {status} {counted}");
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
        let waiting = DOORS.map(|door| (door, door.ask(&peer, "/slow?ms=400", b"")));
        let before = peer.log().len();
        let mut conn = peer.connect();
        conn.send(&bytes);
        let (answer, _) = conn.rest_and_end();
        let proper: &[u8] = if bad == Door::Http && code == "LG0301" { b"HTTP/1.1 400 Bad Request\r\n" } else { b"" };
        assert!(answer.starts_with(proper) && answer.is_empty() == proper.is_empty(), "{bad:?}: {}", String::from_utf8_lossy(&answer));
        for (door, asked) in waiting {
            assert_eq!(asked.answer(), (200, "done\n".to_owned()), "{door:?}, while {bad:?} was bad");
        }
        let line = peer.log().split_off(before);
        assert!(line.contains(code), "{bad:?}: {line:?}");
        DOORS.into_iter().enumerate().for_each(|(round, door)| check(door, &peer, round));
        watch.unharmed(1..=2, &format!("bad input by {bad:?}"));
    }
}
