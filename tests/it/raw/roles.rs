//! The two roles beside the Responder, for which a web server has to be imitated: no other program speaks all of their cases.

use std::fmt::Write as _;
use std::io::Write as _;
use std::thread;

use sha2::{Digest as _, Sha256};

use crate::peer::Peer;
use crate::peer::ask::Ask;
use crate::peer::conn::Reply;
use crate::peer::wire::{self, DATA, STDIN};

const AUTHORIZER: u16 = 2;
const FILTER: u16 = 3;
const MIB: usize = 1024 * 1024;

/// A question to an Authorizer as Apache asks it: no variable says where the program is or what body there is, and there is no STDIN.
fn authorizer(uri: &str) -> Ask {
    let ask = Ask::get(uri).role(AUTHORIZER).set("SERVER_SOFTWARE", "Apache/2.4.62 (Debian)");
    ask.without("SCRIPT_NAME").without("CONTENT_LENGTH").set("FCGI_APACHE_ROLE", "ACCESS_CHECKER")
}

fn filter(uri: &str, body: &str, data_length: usize) -> Ask {
    Ask::post(uri, body).role(FILTER).set("FCGI_DATA_LENGTH", &data_length.to_string()).set("FCGI_DATA_LAST_MOD", "1700000000")
}

/// What `/filter` says of these bytes.
fn counted(bytes: &[u8]) -> String {
    let hash = Sha256::digest(bytes).iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    });
    format!("{} {hash}\n", bytes.len())
}

#[track_caller]
fn assert_granted(reply: &Reply, target: &str) {
    reply.assert_whole(200);
    let nothing = counted(b"");
    let expect = format!("Status: 200 OK\r\nVariable-Seen_Target: {target}\r\nVariable-SEEN_BODY: {}\r\nVariable-USER_ID: 7\r\n\r\n", nothing.trim());
    assert_eq!(String::from_utf8_lossy(&reply.stdout), expect);
}

#[test]
fn an_authorizer_grants_with_variables_and_nothing_else() {
    let peer = Peer::start();
    let mut conn = peer.connect();
    conn.send(&authorizer("/grant").head());
    assert_granted(&conn.reply(1), "/grant");
    conn.assert_closed();
}

#[test]
fn an_authorizer_gets_no_body_whatever_is_sent() {
    let peer = Peer::start();
    let watch = peer.watch();
    for length in ["", "10", "1000000000"] {
        let mut conn = peer.connect();
        let ask = Ask::post("/grant", "0123456789").role(AUTHORIZER).set("CONTENT_LENGTH", length);
        conn.send(&ask.all());
        assert_granted(&conn.reply(1), "/grant");
        conn.assert_closed();
    }
    watch.unharmed(0..=0, "bodies for an authorizer");
}

#[test]
fn an_authorizer_is_asked_again_on_a_kept_connection() {
    let peer = Peer::start();
    let mut conn = peer.connect();
    for ask in [authorizer("/grant").keep(), authorizer("/grant?again").keep()] {
        for empty_stdin in [false, true] {
            conn.send(&ask.head());
            if empty_stdin {
                conn.send(&wire::record(STDIN, 1, &[]));
            }
            conn.reply(1).assert_whole(200);
        }
    }
    conn.ask(&Ask::get("/hello")).assert_whole(200);
    conn.assert_closed();
}

#[test]
fn several_authorizers_share_a_connection() {
    let peer = Peer::start();
    let mut conn = peer.connect();
    for id in 1..=20 {
        conn.send(&authorizer(&format!("/grant?{id}")).id(id).keep().head());
    }
    for id in (1..=20).rev() {
        assert_granted(&conn.reply(id), &format!("/grant?{id}"));
    }
}

/// Where the web server would go on to is no mount of the program that guards it: rules by path would not see what was cut off.
#[test]
fn an_authorizer_sees_the_whole_target() {
    let peer = Peer::start();
    for (script_name, path_info) in [("/grant", "/x"), ("/", "grant/x"), ("", "")] {
        let ask = authorizer("/grant").set("SCRIPT_NAME", script_name).set("PATH_INFO", path_info).set("LODGER_MOUNT", "/grant");
        let mut conn = peer.connect();
        conn.send(&ask.head());
        assert_granted(&conn.reply(1), "/grant");
    }
}

#[test]
fn a_denial_is_a_response_like_any_other() {
    let peer = Peer::start();
    for status in [201, 302, 401, 403] {
        let mut conn = peer.connect();
        conn.send(&authorizer(&format!("/status/{status}")).head());
        let reply = conn.reply(1);
        reply.assert_whole(status);
        assert_eq!(reply.text(), format!("{status}\n"));
        assert_eq!(reply.header("content-length").as_deref(), Some("4"));
    }
    let mut conn = peer.connect();
    conn.send(&authorizer("/redirect?to=/login").head());
    let reply = conn.reply(1);
    reply.assert_whole(302);
    assert_eq!(reply.header("location").as_deref(), Some("/login"));
}

#[test]
fn an_authorizer_that_panics_denies() {
    let peer = Peer::start();
    let mut conn = peer.connect();
    conn.send(&authorizer("/panic").head());
    conn.reply(1).assert_whole(500);
    conn.assert_closed();
}

#[test]
fn an_authorizer_can_be_given_up() {
    let peer = Peer::start();
    let mut conn = peer.connect();
    conn.send(&authorizer("/slow?ms=600000").keep().head());
    assert!(conn.is_quiet());
    conn.send(&wire::abort(1));
    assert!(conn.reply(1).end.is_some());
    peer.expect_cancelled(1);
    conn.send(&authorizer("/slow?ms=600000").keep().head());
    assert!(conn.is_quiet());
    drop(conn);
    peer.expect_cancelled(2);
}

#[test]
fn a_filter_reads_both_inputs_in_the_order_it_likes() {
    let peer = Peer::start();
    let file = b"the file".repeat(1000);
    for (uri, first, second) in [("/filter", &b"the body"[..], &file[..]), ("/filter?text=data", &file, b"the body")] {
        let mut conn = peer.connect();
        for keep in [true, false] {
            let ask = filter(uri, "the body", file.len());
            let ask = if keep { ask.keep() } else { ask };
            conn.send(&[ask.all(), wire::stream(DATA, 1, &file, 1000)].concat());
            let reply = conn.reply(1);
            reply.assert_whole(200);
            assert_eq!(reply.text(), counted(first) + &counted(second));
        }
        conn.assert_closed();
    }
}

#[test]
fn a_filter_may_get_its_inputs_in_any_order() {
    let peer = Peer::start();
    let (ask, data) = (filter("/filter", "the body", 4), wire::stream(DATA, 1, b"file", 3));
    for records in [[ask.begin(), data.clone(), ask.params(), ask.stdin()], [ask.begin(), ask.stdin(), data, ask.params()]] {
        let mut conn = peer.connect();
        conn.send(&records.concat());
        let reply = conn.reply(1);
        reply.assert_whole(200);
        assert_eq!(reply.text(), counted(b"the body") + &counted(b"file"));
    }
}

#[test]
fn large_inputs_of_a_filter_take_little_memory() {
    let peer = Peer::start();
    let watch = peer.watch();
    let size = 64 * MIB;
    for (uri, status) in [("/filter", 200), ("/filter?text=data", 200), ("/noread", 413)] {
        let ask = filter(uri, "", size).set("CONTENT_LENGTH", &size.to_string());
        let mut conn = peer.connect();
        let mut writer = conn.writer();
        let sending = thread::spawn(move || {
            writer.write_all(&ask.head()).unwrap();
            for kind in [STDIN, DATA] {
                let piece = wire::record(kind, 1, &[0; 32 * 1024]);
                for _ in 0..size / (32 * 1024) {
                    writer.write_all(&piece).unwrap();
                }
                writer.write_all(&wire::record(kind, 1, &[])).unwrap();
            }
        });
        let reply = conn.reply(1);
        sending.join().unwrap();
        reply.assert_whole(status);
        if status == 200 {
            let text = reply.text();
            let counts: Vec<_> = text.lines().map(|line| line.split(' ').next()).collect();
            assert_eq!(counts, [Some(size.to_string().as_str()); 2]);
        }
    }
    watch.unharmed(0..=0, "two inputs of 64 MiB");
}

#[test]
fn a_file_shorter_than_promised_is_an_error_to_a_filter() {
    let peer = Peer::start();
    for uri in ["/filter", "/filter?text=data"] {
        let mut conn = peer.connect();
        conn.send(&[filter(uri, "the body", 10).keep().all(), wire::stream(DATA, 1, b"file", 3)].concat());
        conn.reply(1).assert_whole(400);
        conn.send(&filter(uri, "the body", 10).all());
        conn.send(&wire::open_stream(DATA, 1, b"file", 3));
        conn.half_close();
        conn.reply(1).assert_whole(400);
    }
}

#[test]
fn a_filter_whose_visitor_leaves_between_its_inputs_is_dropped() {
    let peer = Peer::start();
    let watch = peer.watch();
    let mut conn = peer.connect();
    conn.send(&[filter("/slow?ms=600000", "the body", 1000).all(), wire::open_stream(DATA, 1, b"half a file", 3)].concat());
    peer.expect_begun(2);
    drop(conn);
    peer.expect_cancelled(1);
    watch.unharmed(0..=0, "a visitor who left");
}

#[test]
fn a_file_for_any_other_role_is_ignored() {
    let peer = Peer::start();
    let mut conn = peer.connect();
    let ask = Ask::post("/filter", "the body").keep();
    conn.send(&[ask.head(), wire::stream(DATA, 1, b"file", 3), ask.stdin()].concat());
    let reply = conn.reply(1);
    reply.assert_whole(200);
    assert_eq!(reply.text(), counted(b"the body") + &counted(b""));
}
