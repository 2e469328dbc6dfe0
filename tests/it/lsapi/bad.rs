//! Bad packets over LSAPI: each costs its own connection and one line in the log, or is answered with a page that shows a code.

use std::io::Write as _;
use std::path::Path;

use super::packets::{After, Ask, Conn};
use crate::peer::Peer;

/// A process that has said what it has to say about LSAPI as such (it may run as root here).
fn started() -> Peer {
    let peer = Peer::start();
    assert_eq!(Conn::open(&peer).ask(&Ask::get("/hello")).status, 200);
    peer
}

fn capture(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/lsapi").join(name)).unwrap()
}

#[test]
fn a_packet_that_is_none_closes_its_connection_without_an_answer() {
    let peer = started();
    let usual = Ask::get("/hello").packet();
    let changed = |at: usize, bytes: &[u8]| {
        let mut packet = usual.clone();
        packet[at..at + bytes.len()].copy_from_slice(bytes);
        packet
    };
    let cases = [
        ("an impossible length", b"LS\x01\0\xff\xff\xff\xff".to_vec()),
        ("an abort of nothing", b"LS\x02\0\x08\0\0\0".to_vec()),
        ("a packet of an application", b"LS\x09\0\x08\0\0\0".to_vec()),
        ("a length of nothing", changed(4, &44_u32.to_le_bytes())),
        ("a header block of 4 GiB", changed(8, &[0xFF; 4])),
        ("four milliards of variables", changed(36, &[0xFF; 4])),
        ("a variable that reaches behind the end", changed(48, &[0xFF; 4])),
        ("a header block without its end", changed(usual.len() - 4, b"xxxx")),
        ("the packet that OpenLiteSpeed gets wrong", capture("31-h2-post-nolen-1.c2s")),
    ];
    for (what, bytes) in cases {
        let watch = peer.watch();
        let mut conn = Conn::open(&peer);
        conn.send(&bytes);
        conn.assert_closed();
        watch.unharmed(1..=1, what);
        let log = peer.log();
        assert!(log.lines().next_back().unwrap().contains("LG0301"), "{what}: {log}");
    }
    assert_eq!(Conn::open(&peer).ask(&Ask::get("/hello")).status, 200);
    let mut again = Conn::open(&peer);
    again.send(&capture("31-h2-post-nolen-2.c2s"));
    assert_eq!(again.reply().status, 404, "the packet that OpenLiteSpeed sends then is answered");
}

#[test]
fn garbage_behind_a_request_hurts_no_answer() {
    let peer = started();
    let watch = peer.watch();
    let mut conn = Conn::open(&peer);
    conn.send(&[Ask::get("/slow?ms=100").all(), b"this is no packet".to_vec()].concat());
    let reply = conn.reply();
    assert_eq!((reply.status, reply.text()), (200, "done\n"));
    conn.assert_closed();
    watch.unharmed(1..=1, "garbage behind a request");
}

#[test]
fn a_request_that_stops_short_costs_its_own_connection() {
    let peer = started();
    let ask = Ask::post("/count", b"0123456789".to_vec());
    let all = ask.all();
    for cut in [3, 7, 8, 20, 43, 44, 200, all.len() - 11, all.len() - 10, all.len() - 1] {
        let watch = peer.watch();
        let mut conn = Conn::open(&peer);
        conn.send(&all[..cut]);
        drop(conn);
        let mut conn = Conn::open(&peer);
        conn.send(&all[..cut]);
        conn.half_close();
        let mut rest = Vec::new();
        std::io::Read::read_to_end(&mut conn.stream, &mut rest).unwrap();
        assert!(rest.is_empty() || rest.starts_with(b"LS\x07") && cut >= all.len() - 10, "an answer to {cut} bytes of a request");
        watch.unharmed(0..=2, &format!("a request cut after {cut} bytes"));
    }
}

#[test]
fn a_request_over_the_limits_is_told_so_and_takes_no_memory() {
    let peer = started();
    let watch = peer.watch();
    let fat = Ask::get("/hello").header("X-Fat", &"f".repeat(300_000));
    let many = (0..1100).fold(Ask::get("/hello"), |ask, index| ask.header(&format!("X-{index}"), "v"));
    for (ask, after) in [(fat, After::Over), (many, After::Kept)] {
        let mut conn = Conn::open(&peer);
        // The process may have answered and shut its side before everything is sent.
        let mut writer = conn.stream.try_clone().unwrap();
        let bytes = ask.all();
        let sending = std::thread::spawn(move || writer.write_all(&bytes));
        let reply = conn.reply();
        sending.join().unwrap().unwrap();
        assert_eq!((reply.status, reply.after), (431, after));
        assert!(reply.text().contains("LG0303") && reply.stderr.contains("LG0303"));
    }
    // A packet of sixteen mebibytes that never comes.
    let mut conns: Vec<_> = (0..50).map(|_| Conn::open(&peer)).collect();
    for conn in &mut conns {
        let mut begin = Ask::get("/hello").packet();
        begin.truncate(44);
        begin[4..8].copy_from_slice(&(16_u32 << 20).to_le_bytes());
        conn.send(&begin);
        assert_eq!(conn.reply().status, 431);
    }
    watch.unharmed(0..=0, "requests over the limits");
}

#[test]
fn a_large_body_stays_out_of_the_memory() {
    let peer = started();
    let watch = peer.watch();
    let mut conn = Conn::open(&peer);
    let reply = conn.ask(&Ask::post("/count", vec![7; 64 << 20]));
    assert!(reply.text().starts_with("67108864 "));
    watch.unharmed(0..=0, "a body of 64 MiB");
}

#[test]
fn a_header_line_that_is_none_is_the_clients_mistake() {
    let peer = started();
    let watch = peer.watch();
    let mut conn = Conn::open(&peer);
    let reply = conn.ask(&Ask::get("/hello").header("X-Tag ", "a space before the colon"));
    assert_eq!((reply.status, reply.after), (400, After::Kept));
    assert!(reply.text().contains("LG0304"));
    assert_eq!(conn.ask(&Ask::get("/hello")).status, 200);
    watch.unharmed(0..=0, "a header line that is none");
}

#[test]
fn nobody_is_made_another_user() {
    let peer = started();
    let ask = Ask::get("/hello").special(b"\x01\x01memory_limit", b"99M");
    assert_eq!(Conn::open(&peer).ask(&ask).status, 200, "settings for PHP mean nothing here");
    let mut conn = Conn::open(&peer);
    let reply = conn.ask(&ask.special(b"\0SUEXEC_UGID", &[0; 8]).special(b"\0SUEXEC_AUTH", &[7; 32]));
    assert_eq!((reply.status, reply.after), (500, After::Kept));
    assert!(reply.text().contains("LG0311") && reply.stderr.contains("LG0311"), "{reply:?}");
}

#[test]
fn a_body_without_a_length_is_asked_for_one() {
    let peer = started();
    let mut conn = Conn::open(&peer);
    conn.send(&Ask::get("/hello").length_in_header().all());
    let reply = conn.reply();
    assert_eq!((reply.status, reply.after), (411, After::Over));
}
