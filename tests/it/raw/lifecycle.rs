//! How long a connection lives, and how it is closed.

use crate::peer::Peer;
use crate::peer::ask::Ask;
use crate::peer::conn::Unit;
use crate::peer::wire::{self, END_REQUEST, STDERR, STDIN, STDOUT};

#[test]
fn a_connection_is_closed_right_after_its_request() {
    let peer = Peer::start();
    for uri in ["/hello", "/big?n=300000", "/status/204", "/status/404", "/panic", "/no/such/route"] {
        let mut conn = peer.connect();
        conn.send(&Ask::get(uri).all());
        assert!(conn.reply(1).end.is_some(), "{uri}");
        conn.assert_closed();
    }
}

#[test]
fn a_kept_connection_serves_one_request_after_the_other() {
    let peer = Peer::start();
    let mut conn = peer.connect();
    for round in 0..50 {
        let body = vec![b'x'; round * 1000];
        let reply = conn.ask(&Ask::post("/echo", body.clone()).keep());
        reply.assert_whole(200);
        assert_eq!(reply.body(), body);
        let reply = conn.ask(&Ask::get("/hello").id(1 + u16::try_from(round).unwrap()).keep());
        reply.assert_whole(200);
    }
    for uri in ["/status/204", "/status/304", "/status/500", "/panic", "/headers?n=20&len=100", "/sse?n=3&ms=1"] {
        assert!(conn.ask(&Ask::get(uri).keep()).end.is_some(), "{uri}");
    }
    assert!(conn.is_quiet());
    conn.ask(&Ask::get("/hello")).assert_whole(200);
    conn.assert_closed();
}

#[test]
fn requests_may_be_sent_before_the_answers_are_read() {
    let peer = Peer::start();
    let mut conn = peer.connect();
    let asks: Vec<_> = (1..=40).map(|id| Ask::post("/count", vec![b'x'; 1000]).id(id).keep()).collect();
    conn.send(&asks.iter().flat_map(Ask::all).collect::<Vec<u8>>());
    for ask in &asks {
        let reply = conn.reply(ask.id);
        reply.assert_whole(200);
        assert!(reply.text().starts_with("1000 "), "{}", reply.text());
    }
}

#[test]
fn a_second_request_is_served_on_a_connection_that_closes_after_the_first() {
    let peer = Peer::start();
    let mut conn = peer.connect();
    conn.send(&Ask::get("/slow?ms=2000").id(1).all());
    conn.send(&Ask::post("/count", "0123456789").id(2).all());
    let second = conn.reply(2);
    second.assert_whole(200);
    assert!(second.text().starts_with("10 "), "{}", second.text());
    let first = conn.reply(1);
    first.assert_whole(200);
    assert_eq!(first.text(), "done\n");
    assert_eq!(conn.order, [2, 1]);
    conn.assert_closed();
}

#[test]
fn an_answer_does_not_wait_for_a_body_that_nobody_reads() {
    let peer = Peer::start();
    let body = vec![b'x'; 3_000_000];
    let ask = Ask::post("/noread", body);
    let stdin = ask.stdin();
    let (first, rest) = stdin.split_at(stdin.len() / 2);

    let mut conn = peer.connect();
    conn.send(&[&ask.head(), first].concat());
    let reply = conn.reply(1);
    reply.assert_whole(413);
    assert_eq!(reply.text(), "too big\n");
    // The rest is still taken: a web server that cannot send it takes that for a failure and throws the answer away.
    conn.send(rest);
    conn.assert_closed();

    let mut conn = peer.connect();
    let ask = ask.keep();
    conn.send(&[&ask.head(), first].concat());
    conn.reply(1).assert_whole(413);
    conn.send(rest);
    conn.ask(&Ask::get("/hello")).assert_whole(200);
    conn.assert_closed();
}

#[test]
fn an_answer_waits_for_a_web_server_that_sends_everything_first() {
    let peer = Peer::start();
    for uri in ["/noread", "/hello", "/panic", "/no/such/route"] {
        let mut conn = peer.connect();
        conn.send(&Ask::post(uri, vec![b'x'; 3_000_000]).all());
        let reply = conn.reply(1);
        assert!(reply.end.is_some(), "{uri}: {reply:?}");
        assert!(reply.status() >= 400, "{uri}: {reply:?}");
        conn.assert_closed();
    }
}

#[test]
fn an_id_is_free_again_when_its_request_has_ended() {
    let peer = Peer::start();
    let mut conn = peer.connect();
    let upload = Ask::post("/noread", vec![b'x'; 1000]).keep();
    for _ in 0..3 {
        // The web server does not send the rest of a body for which the answer has come.
        conn.send(&[upload.head(), wire::record(STDIN, 1, &[b'x'; 500])].concat());
        conn.reply(1).assert_whole(413);
        let reply = conn.ask(&Ask::post("/count", "0123456789").keep());
        reply.assert_whole(200);
        assert!(reply.text().starts_with("10 "), "{}", reply.text());
    }
}

#[test]
fn a_small_answer_is_three_records() {
    let peer = Peer::start();
    for uri in ["/hello", "/headers?n=60&len=1000", "/status/404", "/panic"] {
        let mut conn = peer.connect();
        conn.send(&Ask::get(uri).set("SERVER_SOFTWARE", "").all());
        let mut records = Vec::new();
        while let Unit::Record(record) = conn.unit() {
            records.push((record.kind, record.content.is_empty()));
        }
        records.retain(|(kind, _)| *kind != STDERR);
        assert_eq!(records, [(STDOUT, false), (STDOUT, true), (END_REQUEST, false)], "{uri}");
    }
}

#[test]
fn a_web_server_may_leave_without_sending_the_rest_of_a_body() {
    let peer = Peer::start();
    let watch = peer.watch();
    for _ in 0..20 {
        let ask = Ask::post("/noread", vec![b'x'; 100_000]);
        let mut conn = peer.connect();
        conn.send(&ask.head());
        conn.send(&wire::record(STDIN, 1, &[b'x'; 1000]));
        conn.reply(1).assert_whole(413);
    }
    watch.unharmed(0..=0, "bodies that were not sent to their end");
}

#[test]
fn a_half_closed_connection_is_answered() {
    let peer = Peer::start();
    for (ask, status) in [
        (Ask::get("/slow?ms=500"), 200),
        (Ask::post("/slow?ms=500", vec![b'x'; 100_000]), 200),
        (Ask::post("/count", vec![b'x'; 100_000]), 200),
        (Ask::get("/sse?n=5&ms=100"), 200),
        (Ask::get("/slow?ms=500").keep(), 200),
        (Ask::get("/panic"), 500),
    ] {
        let mut conn = peer.connect();
        conn.send(&ask.all());
        conn.half_close();
        conn.reply(1).assert_whole(status);
        conn.assert_closed();
    }
    peer.expect_cancelled(0);
}
