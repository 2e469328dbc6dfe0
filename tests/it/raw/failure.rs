//! A handler that fails is seen to fail: early by a status, late by whatever the web server takes for a failure.

use crate::peer::Peer;
use crate::peer::ask::{Ask, NGINX};
use crate::peer::conn::{COMPLETE, Reply};

const APACHE: &str = "Apache/2.4.57 (Debian)";
const NOBODY: &str = "no-such-server/1.0";

/// More than the server holds back under any web server, so that the head is out when the failure comes.
const LATE: usize = 200_000;

#[test]
fn a_panic_is_a_500_and_the_process_goes_on() {
    let peer = Peer::start();
    for software in [NGINX, APACHE, NOBODY, ""] {
        for uri in ["/panic", "/panic-late", "/panic-late?n=1", "/panic-late?n=16384"] {
            let reply = peer.ask(&Ask::get(uri).set("SERVER_SOFTWARE", software));
            reply.assert_whole(500);
            assert!(!reply.stdout.windows(4).any(|bytes| bytes == b"xxxx"), "{uri}: the failed body is in the answer");
            assert_eq!(peer.text("/hello"), "hello, world\n");
        }
    }
}

#[test]
fn a_panic_is_told_once_to_the_one_who_reads_the_log() {
    let peer = Peer::start();
    for uri in ["/panic", "/panic-late?n=1000"] {
        let before = peer.log().len();
        let reply = peer.get(uri);
        let told = String::from_utf8(reply.stderr.concat()).unwrap();
        let all = told + &peer.log()[before..];
        assert_eq!(all.matches("a panic on purpose").count(), 1, "{uri}: {all}");
    }
}

#[test]
fn a_kept_connection_survives_a_panic() {
    let peer = Peer::start();
    let mut conn = peer.connect();
    for _ in 0..5 {
        conn.ask(&Ask::get("/panic").keep()).assert_whole(500);
        conn.ask(&Ask::post("/panic-late?n=1000", "").keep()).assert_whole(405);
        conn.ask(&Ask::get("/panic-late?n=1000").keep()).assert_whole(500);
        conn.ask(&Ask::get("/hello").keep()).assert_whole(200);
    }
}

#[test]
fn a_body_that_fails_early_is_a_500_without_a_trace_of_it() {
    let peer = Peer::start();
    for software in [NGINX, APACHE, NOBODY] {
        for query in ["n=0", "n=1", "n=16384", "n=0&cl=1", "n=16384&cl=1"] {
            let reply = peer.ask(&Ask::get(&format!("/fail-late?{query}")).set("SERVER_SOFTWARE", software));
            reply.assert_whole(500);
            let length = reply.header("content-length").expect("the length of the error page");
            assert_eq!(length, reply.body().len().to_string());
            assert!(!reply.body().contains(&b'\0') && !reply.body().starts_with(b"x"), "{query}: {reply:?}");
        }
    }
}

/// Asks for a body that fails late, and checks what came before the failure.
fn fail_late(peer: &Peer, software: &str, declared: bool, keep: bool) -> Reply {
    let uri = format!("/fail-late?n={LATE}{}", if declared { "&cl=1" } else { "" });
    let ask = Ask::get(&uri).set("SERVER_SOFTWARE", software);
    let mut conn = peer.connect();
    let reply = conn.ask(&if keep { ask.keep() } else { ask });
    assert_eq!(reply.status(), 200);
    assert!(reply.body().iter().all(|&byte| byte == b'x'), "something else than the body was sent");
    assert!(reply.body().len() <= LATE);
    let expected = declared.then(|| (LATE + 1).to_string());
    assert_eq!(reply.header("content-length"), expected);
    assert!(!reply.reset, "the connection was reset");
    if reply.end.is_none() || !keep {
        assert_eq!(conn.rest(), b"");
    }
    assert_eq!(peer.text("/hello"), "hello, world\n");
    reply
}

#[test]
fn behind_nginx_a_short_body_of_known_length_ends_properly() {
    let peer = Peer::start();
    let reply = fail_late(&peer, NGINX, true, false);
    assert_eq!(reply.end, Some(COMPLETE), "nginx waits for ever if the connection is only closed");
    assert!(reply.stdout_ended);
    assert_eq!(reply.junk, b"");
}

#[test]
fn behind_nginx_a_failed_body_of_unknown_length_is_poisoned() {
    let peer = Peer::start();
    let reply = fail_late(&peer, NGINX, false, false);
    assert_eq!(reply.end, None, "nginx would take that for a whole answer");
    assert!(!reply.stdout_ended);
    assert_eq!(reply.junk, [0xff; 16]);
}

#[test]
fn a_failed_body_is_cut_off_elsewhere() {
    let peer = Peer::start();
    for (software, keep) in [(NGINX, true), (APACHE, false), (APACHE, true), (NOBODY, false), (NOBODY, true), ("", false)] {
        for declared in [true, false] {
            let reply = fail_late(&peer, software, declared, keep);
            let case = format!("{software:?}, length declared: {declared}, kept: {keep}");
            assert_eq!(reply.end, None, "{case}");
            assert!(!reply.stdout_ended, "{case}");
            assert_eq!(reply.junk, b"", "{case}");
            // An open STDERR before the end of the connection crashes HAProxy 2.6.
            assert_eq!(reply.stderr.last().map(Vec::len), Some(0), "{case}");
        }
    }
}

#[test]
fn under_mod_fcgid_a_failed_body_ends_properly() {
    let peer = Peer::start_under_mod_fcgid();
    for declared in [true, false] {
        let reply = fail_late(&peer, APACHE, declared, false);
        assert_eq!(reply.end, Some(COMPLETE), "mod_fcgid kills a process that only closes");
        assert_eq!(reply.junk, b"");
    }
}

#[test]
fn a_late_failure_hurts_no_other_request_on_the_connection() {
    let peer = Peer::start();
    for software in [NGINX, APACHE, NOBODY] {
        let mut conn = peer.connect();
        conn.send(&Ask::get("/slow?ms=1000").set("SERVER_SOFTWARE", software).id(1).keep().all());
        conn.send(&Ask::get(&format!("/fail-late?n={LATE}")).set("SERVER_SOFTWARE", software).id(2).keep().all());
        let slow = conn.reply(1);
        slow.assert_whole(200);
        assert_eq!(slow.text(), "done\n");
        let failed = conn.reply(2);
        assert_eq!((failed.status(), failed.end), (200, None), "{software}");
    }
}

#[test]
fn a_late_failure_costs_no_request_that_came_behind_it() {
    let peer = Peer::start();
    for software in [NGINX, NOBODY] {
        for in_company in [false, true] {
            let get = |uri, id| Ask::get(uri).set("SERVER_SOFTWARE", software).id(id).keep().all();
            let mut conn = peer.connect();
            if in_company {
                conn.send(&get("/slow?ms=1000", 1));
            }
            // Enough for the head to go out, and little enough to be written at once.
            conn.send(&[get("/fail-late?n=50000", 2), get("/hello", 3)].concat());
            conn.reply(3).assert_whole(200);
            if in_company {
                conn.reply(1).assert_whole(200);
            }
            let failed = conn.reply(2);
            assert_eq!((failed.status(), failed.end), (200, None), "{software}");
        }
    }
}

#[test]
fn a_late_panic_is_seen_like_any_late_failure() {
    let peer = Peer::start();
    let reply = peer.get(&format!("/panic-late?n={LATE}"));
    assert_eq!((reply.status(), reply.end), (200, None));
    assert_eq!(reply.junk, [0xff; 16]);
    let ask = Ask::get(&format!("/panic-late?n={LATE}")).set("SERVER_SOFTWARE", NOBODY);
    let reply = peer.ask(&ask);
    assert_eq!((reply.status(), reply.end), (200, None));
    assert_eq!(reply.junk, b"");
    assert_eq!(peer.text("/hello"), "hello, world\n");
}

#[test]
fn a_warning_goes_to_the_log_of_the_web_server_once() {
    let peer = Peer::start();
    let watch = peer.watch();
    let reply = peer.get("/stderr?text=the%20sky%20is%20falling");
    reply.assert_whole(200);
    let told = String::from_utf8(reply.stderr.concat()).unwrap();
    assert_eq!(told.matches("the sky is falling").count(), 1, "{told:?}");

    let long = "0123456789".repeat(2000);
    let reply = peer.get(&format!("/stderr?text={long}"));
    reply.assert_whole(200);
    let sizes: Vec<_> = reply.stderr.iter().map(Vec::len).collect();
    assert!(sizes.iter().all(|&size| (1..=4096).contains(&size)), "records of {sizes:?} bytes");
    assert!(!reply.stderr.is_empty());
    watch.unharmed(0..=0, "warnings that went to the web server");
}
