//! SCGI and uwsgi: a request in any pieces gets its answer, and a good answer ends with a close that is no reset.

use std::io::Write as _;
use std::thread::{self, sleep};
use std::time::Duration;

use crate::peer::Peer;
use crate::peer::ask::Ask;
use crate::peer::bare::{BOTH, Bare};

const MIB: usize = 1024 * 1024;

#[test]
fn a_request_gets_its_answer_and_the_connection_ends() {
    let peer = Peer::start();
    let watch = peer.watch();
    for door in BOTH {
        let reply = door.ask(&peer, &Ask::get("/hello"));
        reply.assert_over(200);
        assert_eq!((reply.text(), reply.header("content-length")), ("hello, world\n".to_owned(), Some("13".to_owned())));
    }
    watch.unharmed(0..=0, "a request over each");
}

#[test]
fn the_variables_reach_the_app_in_order() {
    let peer = Peer::start();
    for door in BOTH {
        // nginx and Apache send a variable twice when it is configured twice.
        let ask = Ask::get("/env?x=1").set("X_LONG", &"l".repeat(9000)).set("X_EMPTY", "");
        let reply = door.ask(&peer, &ask);
        reply.assert_over(200);
        let seen: serde_json::Value = serde_json::from_slice(reply.body()).unwrap();
        assert_eq!((&seen["gateway"], &seen["uri"], &seen["profile"]), (&door.name().into(), &"/env?x=1".into(), &"nginx".into()));
        let pair = |(name, value): &(Vec<u8>, Vec<u8>)| serde_json::json!([str::from_utf8(name).unwrap(), str::from_utf8(value).unwrap()]);
        let mut sent: Vec<_> = ask.vars().iter().map(pair).collect();
        if door == Bare::Scgi {
            sent.retain(|pair| pair[0] != "CONTENT_LENGTH");
            sent.splice(0..0, [serde_json::json!(["CONTENT_LENGTH", "0"]), serde_json::json!(["SCGI", "1"])]);
        }
        assert_eq!(seen["vars"].as_array().unwrap(), &sent, "{door:?}");
    }
}

#[test]
fn a_body_of_any_size_comes_back_whole() {
    let peer = Peer::start();
    for door in BOTH {
        for size in [0, 1, 2, 3, 1000, 16_383, 16_384, 16_385, 65_535, 65_536, 65_537, MIB] {
            let body: Vec<u8> = (0..size).map(|at| b"0123456789abc"[at % 13]).collect();
            let mut conn = peer.connect();
            let bytes = door.all(&Ask::post("/echo", body.clone()));
            let mut writer = conn.writer();
            let reply = thread::scope(|scope| {
                scope.spawn(|| writer.write_all(&bytes).unwrap());
                door.reply(&mut conn)
            });
            reply.assert_over(200);
            assert!(reply.body() == body, "{door:?}: {size} bytes came back as {}", reply.body().len());
        }
    }
}

#[test]
fn a_request_may_come_in_any_two_pieces() {
    let peer = Peer::start();
    for door in BOTH {
        let ask = Ask::post("/count", "0123456789");
        let (head, all) = (door.head(&ask), door.all(&ask));
        for cut in [1, 2, 3, 4, 5, 6, 100, head.len() - 1, head.len(), head.len() + 1, all.len() - 2, all.len() - 1] {
            let mut conn = peer.connect();
            conn.send(&all[..cut]);
            sleep(Duration::from_millis(20));
            conn.send(&all[cut..]);
            let reply = door.reply(&mut conn);
            reply.assert_over(200);
            assert!(reply.text().starts_with("10 84d89877"), "{door:?}, cut after {cut}: {}", reply.text());
        }
    }
}

#[test]
fn a_request_may_come_byte_by_byte() {
    let peer = Peer::start();
    for door in BOTH {
        let mut conn = peer.connect();
        for byte in door.all(&Ask::post("/count", "0123456789")) {
            conn.send(&[byte]);
            thread::yield_now();
        }
        let reply = door.reply(&mut conn);
        reply.assert_over(200);
        assert!(reply.text().starts_with("10 84d89877"), "{door:?}: {}", reply.text());
    }
}

#[test]
fn what_follows_a_request_belongs_to_nobody() {
    let peer = Peer::start();
    let watch = peer.watch();
    for door in BOTH {
        let (get, post) = (Ask::get("/hello"), Ask::post("/count", "0123456789"));
        let more = vec![b'x'; 50_000];
        for (ask, behind, start) in [(&get, &b"\r\n"[..], "hello"), (&post, b"m", "10 84d89877"), (&post, &more, "10 84d89877")] {
            let mut conn = peer.connect();
            conn.send(&[&door.all(ask)[..], behind].concat());
            let reply = door.reply(&mut conn);
            // A close with them unread would be a reset, which says that the answer broke.
            reply.assert_over(200);
            assert!(reply.text().starts_with(start), "{door:?}: {}", reply.text());
        }
    }
    watch.unharmed(0..=0, "bytes behind a request");
}

/// A close with a byte unread would be a reset, which a web server takes for a response that broke.
#[test]
fn a_good_answer_never_ends_with_a_reset() {
    let peer = &Peer::start();
    let asks = &[
        (Ask::get("/hello"), 200),
        (Ask::post("/echo", "a"), 200),
        (Ask::post("/count", vec![b'x'; 70_000]), 200),
        (Ask::get("/big?n=300000"), 200),
        (Ask::post("/noread", "body"), 413),
        (Ask::get("/status/204"), 204),
    ];
    thread::scope(|scope| {
        for door in BOTH {
            scope.spawn(move || {
                for (ask, status) in asks.iter().cycle().take(1000) {
                    door.ask(peer, ask).assert_over(*status);
                    let mut conn = peer.connect();
                    conn.send(&[&door.all(ask)[..], b"\r\n"].concat());
                    door.reply(&mut conn).assert_over(*status);
                }
            });
        }
    });
}

#[test]
fn a_long_answer_ends_well_too() {
    let peer = Peer::start();
    for door in BOTH {
        for extra in 0..20 {
            let size = 12 * MIB + extra * 1000;
            let reply = door.ask(&peer, &Ask::get(&format!("/big?n={size}")));
            reply.assert_over(200);
            assert_eq!(reply.body().len(), size, "{door:?}");
        }
    }
}

#[test]
fn large_bodies_take_little_memory() {
    let peer = Peer::start();
    let size = 64 * MIB;
    for door in BOTH {
        let watch = peer.watch();
        let mut conn = peer.connect();
        conn.send(&door.head(&Ask::post("/count", "").set("CONTENT_LENGTH", &size.to_string())));
        let piece = [0; 32 * 1024];
        for _ in 0..size / piece.len() {
            conn.send(&piece);
        }
        let reply = door.reply(&mut conn);
        reply.assert_over(200);
        assert!(reply.text().starts_with(&format!("{size} ")), "{door:?}: {}", reply.text());
        watch.unharmed(0..=0, "an upload of 64 MiB");

        let watch = peer.watch();
        let reply = door.ask(&peer, &Ask::get("/big?n=100000000&cl=1"));
        reply.assert_over(200);
        assert_eq!(reply.body().len(), 100_000_000, "{door:?}");
        watch.unharmed(0..=0, "an answer of 100 MB");
    }
}

/// The connection stays until the client has sent what it wants to send: closing before would take the answer from it.
#[test]
fn an_answer_to_an_unread_upload_arrives_whole() {
    let peer = Peer::start();
    for door in BOTH {
        let watch = peer.watch();
        for size in [1, 2, 1000, 200_000, MIB] {
            let reply = door.ask(&peer, &Ask::post("/noread", vec![b'x'; size]));
            reply.assert_over(413);
            assert_eq!(reply.text(), "too big\n", "{door:?}: {size} bytes");
        }
        watch.unharmed(0..=0, "uploads that nobody read");
    }
}

#[test]
fn an_answer_may_begin_before_the_upload_ends() {
    let peer = Peer::start();
    for door in BOTH {
        // Nothing is known of this server, so nothing is held back for its upload.
        let ask = Ask::post("/early?n=3000000", vec![b'x'; 3_000_000]).set("SERVER_SOFTWARE", "no-such-server/1.0");
        let mut conn = peer.connect();
        // All of the request is written before any of the answer is read.
        conn.send(&door.all(&ask));
        let reply = door.reply(&mut conn);
        reply.assert_over(200);
        assert!(reply.body().ends_with(b"3000000\n"), "{door:?}: {reply:?}");
    }
}

#[test]
fn a_half_closed_connection_gets_its_answer() {
    let peer = Peer::start();
    for door in BOTH {
        for ask in [Ask::get("/slow?ms=300"), Ask::post("/slow?ms=300", "body")] {
            let mut conn = peer.connect();
            conn.send(&door.all(&ask));
            conn.half_close();
            let reply = door.reply(&mut conn);
            reply.assert_over(200);
            assert_eq!(reply.text(), "done\n", "{door:?}");
        }
    }
}

#[test]
fn a_busy_process_finishes_what_it_was_asked() {
    for door in BOTH {
        let mut peer = Peer::start();
        let mut conns = [Ask::get("/slow?ms=1500"), Ask::post("/slow?ms=1500", "body")].map(|ask| {
            let mut conn = peer.connect();
            conn.send(&door.all(&ask));
            conn
        });
        peer.expect_begun(2);
        peer.process.signal("TERM");
        for conn in &mut conns {
            let reply = door.reply(conn);
            reply.assert_over(200);
            assert_eq!(reply.text(), "done\n", "{door:?}");
        }
        assert_eq!(peer.process.exit().code(), Some(0), "{door:?}: {}", peer.log());
    }
}
