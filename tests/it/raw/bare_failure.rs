//! SCGI and uwsgi when something goes wrong: what broke ends with a reset, what is no request ends with one line in the log.

use std::thread::sleep;
use std::time::Duration;

use crate::peer::Peer;
use crate::peer::ask::{Ask, NGINX};
use crate::peer::bare::{BOTH, Bare};

const APACHE: &str = "Apache/2.4.57 (Debian)";
const NOBODY: &str = "no-such-server/1.0";

/// More than the server holds back under any web server, so that the head is out when the failure comes.
const LATE: usize = 200_000;

#[test]
fn an_early_failure_is_a_500() {
    let peer = Peer::start();
    for door in BOTH {
        for uri in ["/panic", "/panic-late?n=16384", "/fail-late?n=0", "/fail-late?n=16384&cl=1"] {
            let reply = door.ask(&peer, &Ask::get(uri));
            reply.assert_over(500);
            assert!(!reply.body().starts_with(b"x"), "{door:?} {uri}: the failed body is in the answer");
        }
    }
}

/// Nothing but a reset tells a web server that the answer is not whole, so it comes after every byte that went out before.
#[test]
fn a_late_failure_is_a_reset_after_what_was_sent() {
    let peer = Peer::start();
    for door in BOTH {
        for software in [NGINX, APACHE, NOBODY] {
            for uri in [format!("/fail-late?n={LATE}"), format!("/fail-late?n={LATE}&cl=1"), format!("/panic-late?n={LATE}")] {
                for ask in [
                    Ask::get(&uri),
                    Ask::post(&uri, "x").set("REQUEST_METHOD", "GET"),
                    Ask::post(&uri, vec![b'x'; 1000]).set("REQUEST_METHOD", "GET"),
                ] {
                    let reply = door.ask(&peer, &ask.set("SERVER_SOFTWARE", software));
                    assert_eq!((reply.status(), reply.reset), (200, true), "{door:?} {software} {uri}: {reply:?}");
                    assert!(reply.body().iter().all(|byte| *byte == b'x') && reply.body().len() > 16_384, "{door:?} {software} {uri}: {reply:?}");
                }
            }
        }
        assert_eq!(peer.text("/hello"), "hello, world\n");
    }
}

/// The byte that a reset needs unread may still be on its way.
#[test]
fn a_late_failure_in_the_middle_of_an_upload_is_a_reset_too() {
    let peer = Peer::start();
    for door in BOTH {
        for body in [1000, 300_000] {
            let ask = Ask::post(&format!("/fail-late?n={LATE}"), vec![b'x'; body]).set("REQUEST_METHOD", "GET").set("SERVER_SOFTWARE", NOBODY);
            let bytes = door.all(&ask);
            let (first, rest) = bytes.split_at(bytes.len() - body / 2);
            let mut conn = peer.connect();
            conn.send(first);
            sleep(Duration::from_millis(200));
            // The server may have closed by now.
            let _ = conn.try_send(rest);
            let reply = door.reply(&mut conn);
            assert_eq!((reply.status(), reply.reset), (200, true), "{door:?}, {body} bytes: {reply:?}");
        }
    }
}

#[test]
fn a_visitor_who_leaves_ends_the_handler() {
    let peer = Peer::start();
    let watch = peer.watch();
    let mut given_up = 0;
    for door in BOTH {
        for ask in [Ask::get("/slow?ms=600000"), Ask::post("/slow?ms=600000", "x"), Ask::post("/slow?ms=600000", vec![b'x'; 240_000])] {
            let mut conn = peer.connect();
            conn.send(&door.all(&ask));
            assert!(conn.is_quiet());
            peer.expect_cancelled(given_up);
            drop(conn);
            given_up += 1;
            peer.expect_cancelled(given_up);
        }
        for ask in [Ask::get("/big?n=1000000000"), Ask::get("/sse?n=100000&ms=5"), Ask::post("/echo", vec![b'x'; 100_000])] {
            let mut conn = peer.connect();
            conn.send(&door.all(&ask));
            sleep(Duration::from_millis(50));
        }
    }
    watch.unharmed(0..=0, "visitors who left");
}

#[test]
fn a_request_that_stops_short_costs_its_own_connection() {
    let peer = Peer::start();
    for door in BOTH {
        let ask = Ask::post("/count", "0123456789");
        let (head, all) = (door.head(&ask), door.all(&ask));
        for cut in [1, 2, 3, 4, 5, 100, head.len() - 2, head.len() - 1] {
            let watch = peer.watch();
            peer.connect().send(&all[..cut]);
            watch.unharmed(0..=1, &format!("{door:?} cut after {cut} bytes and closed"));

            let watch = peer.watch();
            let mut conn = peer.connect();
            conn.send(&all[..cut]);
            conn.half_close();
            assert_eq!(conn.rest(), b"", "{door:?}: an answer to {cut} bytes of a request");
            watch.unharmed(0..=1, &format!("{door:?} cut after {cut} bytes and half closed"));
        }
        for cut in [head.len(), head.len() + 1, all.len() - 1] {
            let watch = peer.watch();
            peer.connect().send(&all[..cut]);
            watch.unharmed(0..=1, &format!("{door:?}: a body cut after {cut} bytes and closed"));

            let watch = peer.watch();
            let mut conn = peer.connect();
            conn.send(&all[..cut]);
            conn.half_close();
            door.reply(&mut conn).assert_over(400);
            watch.unharmed(1..=1, &format!("{door:?}: a body cut after {cut} bytes and half closed"));
        }
    }
}

#[test]
fn what_cannot_be_carried_is_refused_with_an_answer() {
    let peer = Peer::start();
    // The limit on variables is 128 KiB, of which uwsgi can say no more than half.
    let large = Ask::get("/hello").set("X_LARGE", &"x".repeat(140_000));
    let many = |ask: Ask| (0..1100).fold(ask, |ask, at| ask.set(&format!("X_{at}"), "x"));
    let chunked = Ask::post("/count", "").without("CONTENT_LENGTH").set("HTTP_TRANSFER_ENCODING", "chunked");
    let cases = [
        (Bare::Scgi, large, 431, "LG0303"),
        (Bare::Scgi, Ask::post("/count", vec![b'x'; 300_000]).set("X_LARGE", &"x".repeat(140_000)), 431, "LG0303"),
        (Bare::Scgi, many(Ask::get("/hello")), 431, "LG0303"),
        (Bare::Uwsgi, many(Ask::get("/hello")), 431, "LG0303"),
        (Bare::Scgi, chunked.clone(), 411, "LG0308"),
        (Bare::Uwsgi, chunked, 411, "LG0308"),
        (Bare::Scgi, Ask::post("/count", "x").set("CONTENT_LENGTH", "ten"), 400, "LG0304"),
        (Bare::Uwsgi, Ask::post("/count", "x").set("CONTENT_LENGTH", "-1"), 400, "LG0304"),
        (Bare::Scgi, Ask::get("/hello").without("REQUEST_METHOD"), 400, "LG0302"),
        (Bare::Uwsgi, Ask::get("/hello").without("REQUEST_METHOD"), 400, "LG0302"),
    ];
    for (door, ask, status, code) in cases {
        let (watch, before) = (peer.watch(), peer.log().len());
        let reply = door.ask(&peer, &ask);
        reply.assert_over(status);
        assert!(reply.text().contains(code) && peer.log()[before..].contains(code), "{door:?} {status}: {reply:?}, {}", peer.log());
        watch.unharmed(1..=1, &format!("{door:?} {status}"));
    }
}

#[test]
fn what_is_no_request_closes_the_connection_with_one_line() {
    let peer = Peer::start();
    let cases: [(&str, &[u8]); 11] = [
        ("a netstring without its comma", b"24:CONTENT_LENGTH\x000\0SCGI\x001\0;"),
        ("a netstring that is too short", b"20:CONTENT_LENGTH\x000\0SCGI\x001\0,"),
        ("a name without a value", b"15:CONTENT_LENGTH\0,"),
        ("a value without an end", b"16:CONTENT_LENGTH\x000,"),
        ("a variable without a name", b"4:\0ab\0,"),
        ("an empty netstring with something else", b"0:x"),
        ("a pair beyond the packet", &[0, 5, 0, 0, 9, 0, b'a', b'b', b'c']),
        ("a value beyond the packet", &[0, 5, 0, 0, 1, 0, b'a', 9, 0]),
        ("a size beyond the packet", &[0, 4, 0, 0, 1, 0, b'a', 0]),
        ("an empty name", &[0, 4, 0, 0, 0, 0, 0, 0]),
        ("one odd byte", &[0, 1, 0, 0, 1]),
    ];
    for (what, bytes) in cases {
        closed_with_a_line(&peer, what, bytes, "LG0301: the connection was closed: the ");
    }
}

/// Each line names the setting that is wrong.
#[test]
fn a_protocol_that_is_not_spoken_here_closes_the_connection_with_one_line() {
    let peer = Peer::start();
    let cases: [(&str, &[u8], &str); 9] = [
        ("PROXY", b"PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\nGET / HTTP/1.1\r\n", "send-proxy"),
        ("PROXY, version 2", b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c", "send-proxy-v2"),
        ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "proxy_http_version 1.1"),
        ("TLS", b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03", "no `ssl`"),
        ("another modifier", &[5, 4, 0, 0, 1, 0, b'a', 0, 0], "uwsgi_modifier1 0"),
        ("another second modifier", &[0, 4, 0, 1, 1, 0, b'a', 0, 0], "uwsgi_modifier2 0"),
        ("a netstring that never ends", b"99999999999999999999:", "FastCGI, LSAPI, SCGI, uwsgi or HTTP/1.1"),
        ("a netstring without a colon", b"12 CONTENT_LENGTH", "FastCGI, LSAPI, SCGI, uwsgi or HTTP/1.1"),
        ("nothing known", b"\xff\xff\xff\xff", "FastCGI, LSAPI, SCGI, uwsgi or HTTP/1.1"),
    ];
    for (what, bytes, setting) in cases {
        closed_with_a_line(&peer, what, bytes, setting);
        let line = peer.log().lines().last().unwrap().to_owned();
        assert!(line.contains("LG0309: a connection was closed: it speaks "), "{what}: {line}");
    }
}

#[track_caller]
fn closed_with_a_line(peer: &Peer, what: &str, bytes: &[u8], part: &str) {
    let (watch, before) = (peer.watch(), peer.log().len());
    let mut conn = peer.connect();
    conn.send(bytes);
    assert_eq!(conn.rest(), b"", "an answer to {what}");
    watch.unharmed(1..=1, what);
    let line = &peer.log()[before..];
    assert!(line.contains(part), "{what}: {line}");
}

#[test]
fn one_byte_that_could_be_anything_is_waited_for_and_not_answered() {
    let peer = Peer::start();
    let watch = peer.watch();
    for byte in [0, b'1', b'L', b'P', b'\r', 0x16] {
        let mut conn = peer.connect();
        conn.send(&[byte]);
        assert!(conn.is_quiet(), "byte {byte}");
    }
    watch.unharmed(0..=6, "connections that said one byte and left");
}
