//! Ordinary requests are read by a wire of our own and all others by hyper. Nobody can tell which it was.

use std::thread::sleep;
use std::time::Duration;

use super::client::{Http, Response, get, post};
use crate::peer::Peer;

/// What a client sees of a response, but for the time that it bears.
fn seen(response: &Response) -> String {
    let mut headers: Vec<_> = response.headers().filter(|(name, _)| *name != "date").map(|(name, value)| format!("{name}: {value}")).collect();
    headers.sort();
    let date = response.header("date").map(str::len);
    format!("{} {headers:?} {date:?} {:?} {}", response.status, response.ended, response.text())
}

/// The answer to a request that comes in one piece, which may be ordinary, and to one whose head comes in two, which is not.
fn both(peer: &Peer, request: &str, bodiless: bool) -> [String; 2] {
    [0, 6].map(|cut| {
        let mut conn = Http::connect(peer);
        conn.send(&request[..cut]);
        if cut > 0 {
            sleep(Duration::from_millis(30));
        }
        conn.send(&request[cut..]);
        let response = conn.response_to(bodiless);
        let mut seen = seen(&response);
        if response.header("connection") == Some("close") || request.contains(" HTTP/1.0\r\n") {
            assert_eq!(conn.rest(), b"", "{request}");
            seen.push_str(", closed");
        } else if seen.contains("Whole") {
            conn.ask(get("/hello")).assert_whole(200);
        }
        seen
    })
}

#[test]
fn both_answer_alike() {
    let peer = Peer::start();
    for uri in [
        "/hello",
        "/count",
        "/echo",
        "/big?n=12",
        "/big",
        "/big?n=100000",
        "/big?n=100000&cl=1",
        "/slow?ms=10",
        "/noread",
        "/early?n=12",
        "/status/418",
        "/status/599",
        "/status/204",
        "/status/304",
        "/status/205",
        "/status/100",
        "/sse?n=2&ms=5",
        "/no/such/route",
        "/redirect?to=/hello&code=308",
        "/headers?n=12&len=34",
        "/env?x=%20",
        "/panic",
        "/panic-late?n=1000",
        "/fail-late?n=16384&cl=1",
    ] {
        for (method, bodiless) in [("GET", false), ("HEAD", true), ("OPTIONS", false)] {
            for headers in
                ["", "Connection: close\r\n", "Connection: Keep-Alive\r\nX-Forwarded-For: 192.0.2.1, 192.0.2.2\r\nCookie: a=1\r\nCookie: b=2\r\n"]
            {
                let request = format!("{method} {uri} HTTP/1.1\r\nHost: example.org\r\n{headers}\r\n");
                let [ours, theirs] = both(&peer, &request, bodiless);
                assert_eq!(ours, theirs, "{request}");
            }
        }
    }
    for host in ["a b", "a\r\nHost: b", ""] {
        let [ours, theirs] = both(&peer, &format!("GET /hello HTTP/1.1\r\nHost: {host}\r\nAccept: application/json\r\n\r\n"), false);
        assert_eq!(ours, theirs, "{host:?}");
    }
}

#[test]
fn a_connection_goes_to_and_fro_between_two_requests() {
    let peer = Peer::start();
    let chunked = "POST /count HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    let requests: [(Vec<u8>, u16); 9] = [
        (get("/hello").into(), 200),
        (post("/echo", b"hello"), 200),
        (get("/status/204").into(), 204),
        (chunked.into(), 200),
        (chunked.into(), 200),
        (get("/big?n=70000").into(), 200),
        (post("/noread", &[b'x'; 50_000]), 413),
        (get("/hello").replace("Host", "Connection: upgrade\r\nUpgrade: h2c\r\nHost").into(), 200),
        (get("/slow?ms=20").into(), 200),
    ];
    // One after the other, with and without time for hyper to go, and all at once.
    for pause in [0, 5, 40] {
        let mut conn = Http::connect(&peer);
        for (request, status) in requests.iter().chain(&requests) {
            conn.send(request);
            conn.response().assert_whole(*status);
            sleep(Duration::from_millis(pause));
        }
    }
    for first in 0..requests.len() {
        let mut conn = Http::connect(&peer);
        let order: Vec<_> = requests.iter().cycle().skip(first).take(2 * requests.len()).collect();
        let all: Vec<u8> = order.iter().flat_map(|(request, _)| request.clone()).collect();
        conn.send(&all);
        conn.half_close();
        for (_, status) in order {
            conn.response().assert_whole(*status);
        }
        assert_eq!(conn.rest(), b"");
    }
}

/// However the bytes of several requests are cut into pieces, they are the same requests.
#[test]
fn pieces_make_no_difference() {
    let peer = Peer::start();
    let all = [get("/hello").as_bytes(), &post("/echo", b"GET / HTTP/1.1\r\n\r\n"), b"\r\n", get("/status/404").as_bytes()].concat();
    for cut in 1..all.len() {
        let mut conn = Http::connect(&peer);
        conn.send(&all[..cut]);
        sleep(Duration::from_millis(2));
        conn.send(&all[cut..]);
        assert_eq!(conn.response().text(), "hello, world\n", "cut at {cut}");
        assert_eq!(conn.response().text(), "GET / HTTP/1.1\r\n\r\n", "cut at {cut}");
        conn.response().assert_whole(404);
        conn.ask(get("/hello")).assert_whole(200);
    }
}

#[test]
fn a_connection_that_came_back_is_closed_when_the_process_leaves() {
    let mut peer = Peer::start();
    let mut conns: Vec<Http> = (0..3).map(|_| Http::connect(&peer)).collect();
    for conn in &mut conns {
        conn.ask(post("/count", b"hello")).assert_whole(200);
    }
    sleep(Duration::from_millis(100));
    conns[0].ask(get("/hello")).assert_whole(200);
    conns[1].send(get("/slow?ms=1000"));
    peer.expect_begun(5);
    peer.process.signal("TERM");
    assert_eq!(conns[0].rest(), b"");
    assert_eq!(conns[2].rest(), b"");
    let last = conns[1].response();
    assert_eq!((last.text().as_str(), last.header("connection")), ("done\n", Some("close")));
    assert_eq!(peer.process.exit().code(), Some(0));
}

#[test]
fn a_connection_that_had_a_body_takes_little_memory_when_nobody_uses_it() {
    const CONNECTIONS: u64 = 300;
    let peer = Peer::start();
    let connect = || {
        let mut conn = Http::connect(&peer);
        conn.ask(post("/count", b"hello")).assert_whole(200);
        conn
    };
    drop(connect());
    let before = peer.process.peak_memory();
    // Each has time to let hyper go before the next comes.
    let conns: Vec<Http> = (0..CONNECTIONS).map(|_| (connect(), sleep(Duration::from_millis(25))).0).collect();
    let each = (peer.process.peak_memory() - before) * 1024 / CONNECTIONS;
    assert!(each < 8 * 1024, "{each} bytes each");
    drop(conns);
}
