//! What an app sees of a request, and what becomes of its answer.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::process::Command;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use super::client::{Ended, Http, ask, get, post};
use crate::peer::{Peer, testapp};

fn env(peer: &Peer, request: &str) -> Value {
    let response = ask(peer, request);
    response.assert_whole(200);
    serde_json::from_slice(&response.body).unwrap()
}

#[track_caller]
fn assert_env(env: &Value, expected: &Value) {
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&env[name], value, "{name}");
    }
}

#[test]
fn each_route_answers_as_it_should() {
    let peer = Peer::start();
    let empty_sha = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let twelve = "x".repeat(12);
    let mut kept = Http::connect(&peer);
    for (uri, status, body) in [
        ("/hello", 200, "hello, world\n"),
        ("/count", 200, &*format!("0 {empty_sha}\n")),
        ("/echo", 200, ""),
        ("/big?n=12", 200, &twelve),
        ("/big", 200, ""),
        ("/slow?ms=10", 200, "done\n"),
        ("/cancelled", 200, "0\n"),
        ("/noread", 413, "too big\n"),
        ("/early?n=12", 200, &format!("{twelve}0\n")),
        ("/status/418", 418, "418\n"),
        ("/status/599", 599, "599\n"),
        ("/sse?n=2&ms=5", 200, "data: 0\n\ndata: 1\n\n"),
        ("/stderr?text=hello", 200, "ok\n"),
        ("/status/204", 204, ""),
        ("/status/304", 304, ""),
        ("/status/205", 205, ""),
        ("/no/such/route", 404, ""),
    ] {
        let response = kept.ask(get(uri));
        response.assert_whole(status);
        assert_eq!(response.text(), body, "{uri}");
    }
    let response = kept.ask(get("/redirect?to=/hello&code=308"));
    assert_eq!((response.status, response.header("location")), (308, Some("/hello")));
    let response = kept.ask(get("/headers?n=12&len=34"));
    assert_eq!(response.header("x-h-11").map(str::len), Some(34));
    assert_eq!(peer.log().matches("hello").count(), 1, "a warning goes to stderr: {}", peer.log());
}

#[test]
fn requests_may_wait_behind_one_another() {
    let peer = Peer::start();
    let mut conn = Http::connect(&peer);
    conn.send([get("/slow?ms=200"), get("/hello"), get("/big?n=100000"), get("/pid")].concat());
    assert_eq!(conn.response().text(), "done\n");
    assert_eq!(conn.response().text(), "hello, world\n");
    assert_eq!(conn.response().body.len(), 100_000);
    conn.response().assert_whole(200);
}

#[test]
fn the_beginning_of_a_request_that_came_with_the_last_one_is_not_lost() {
    let peer = Peer::start();
    for first in [get("/hello").into_bytes(), post("/echo", b"hello, world\n")] {
        let mut conn = Http::connect(&peer);
        conn.send([&first[..], b"GET /pid HTTP/1.1\r\nHost: example.org\r\n"].concat());
        assert_eq!(conn.response().text(), "hello, world\n");
        thread::sleep(Duration::from_millis(50));
        conn.send("\r\n");
        conn.response().assert_whole(200);
    }
}

/// More than one buffer of hyper holds, with an empty line behind the last, which is the beginning of nothing.
#[test]
fn a_long_queue_of_requests_is_answered_whole_and_in_order() {
    const QUEUE: usize = 583;
    let peer = Peer::start();
    for end in ["", "\r\n"] {
        let mut kept = Http::connect(&peer);
        let requests: Vec<_> = (0..QUEUE).map(|index| format!("GET /status/{} HTTP/1.1\r\nHost: a\r\n\r\n", 200 + index % 4)).collect();
        kept.send(requests.concat() + end);
        for index in 0..QUEUE {
            let status = u16::try_from(200 + index % 4).unwrap();
            assert_eq!(kept.response().status, status, "answer {index}, with {end:?} behind the last");
        }
        kept.ask(get("/hello")).assert_whole(200);
    }
}

/// The version is not known from the first look at a request with a long first line, and what follows is not for whoever read that.
#[test]
fn what_comes_behind_a_long_first_line_loses_no_byte_and_gets_none_twice() {
    let peer = Peer::start();
    let mut kept = Http::connect(&peer);
    kept.send(format!("GET /hello?{} HTTP/1.1\r\nHost: a\r\n\r\nGET /env HTTP/1.1\r\nHost: b", "x".repeat(300)));
    kept.response().assert_whole(200);
    kept.send("\r\n\r\nPOST /echo HTTP/1.1\r\nHost: c\r\nContent-Length: 3\r\n\r\nabcGET /hello HTTP/1.1\r\nHost: d\r\n\r\n");
    let env: Value = serde_json::from_slice(&kept.response().body).unwrap();
    assert_env(&env, &json!({ "host": "b" }));
    assert_eq!(kept.response().text(), "abc");
    kept.response().assert_whole(200);
}

#[test]
fn connections_that_nobody_uses_take_little_memory() {
    const CONNECTIONS: u64 = 500;
    let peer = Peer::start();
    let connect = || {
        let mut conn = Http::connect(&peer);
        conn.ask(get("/hello")).assert_whole(200);
        conn
    };
    drop(connect());
    let before = peer.process.peak_memory();
    let conns: Vec<Http> = (0..CONNECTIONS).map(|_| connect()).collect();
    let each = (peer.process.peak_memory() - before) * 1024 / CONNECTIONS;
    assert!(each < 8 * 1024, "{each} bytes each");
    drop(conns);
}

#[test]
fn a_head_request_gets_the_head_alone() {
    let peer = Peer::start();
    let mut conn = Http::connect(&peer);
    for (uri, status, length) in
        [("/hello", 200, Some("13")), ("/big?n=100000&cl=1", 200, Some("100000")), ("/big?n=100000", 200, None), ("/noread", 413, Some("8"))]
    {
        conn.send(get(uri).replace("GET", "HEAD"));
        let response = conn.response_to(true);
        assert_eq!((response.status, response.header("content-length")), (status, length), "{uri}");
    }
    conn.ask(get("/hello")).assert_whole(200);
}

#[test]
fn an_interim_status_of_the_app_never_goes_out() {
    let peer = Peer::start();
    for code in [100, 101, 103, 199] {
        ask(&peer, get(&format!("/status/{code}"))).assert_whole(500);
    }
}

#[test]
fn env_tells_what_the_app_sees() {
    let peer = Peer::start();
    let asked =
        env(&peer, "GET /env?a=%20b&c HTTP/1.1\r\nHost: example.org:81\r\nX-Test: a\r\nConnection: keep-alive\r\nTE: trailers\r\nProxy: x\r\n\r\n");
    let expected = json!({
        "method": "GET", "uri": "/env?a=%20b&c", "original_uri": "/env?a=%20b&c", "version": "HTTP/1.1", "scheme": "http", "host": "example.org:81",
        "mount": "", "remote": null, "gateway": "http", "profile": "unknown", "vars": [],
        "headers": [["host", "example.org:81"], ["x-test", "a"]],
    });
    assert_env(&asked, &expected);
}

#[test]
fn a_front_on_a_unix_socket_is_believed() {
    let peer = Peer::start();
    let asked = env(
        &peer,
        "GET http://inner/env HTTP/1.1\r\nHost: inner\r\nX-Forwarded-For: 192.0.2.66, 203.0.113.7\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: shop.example\r\n\r\n",
    );
    assert_env(&asked, &json!({"uri": "/env", "remote": "203.0.113.7:0", "scheme": "https", "host": "shop.example"}));
}

/// Any user of the machine may connect to a port on it.
#[test]
fn a_peer_on_a_port_is_the_client_itself() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (theirs, address) = listener.accept().unwrap();
    let mut process = Command::new(testapp()).env_clear().stdin(OwnedFd::from(theirs)).spawn().unwrap();
    let request = "GET /env HTTP/1.1\r\nHost: inner\r\nConnection: close\r\nX-Forwarded-For: 192.0.2.66\r\nX-Forwarded-Proto: https\r\n\
                   X-Forwarded-Host: evil.example\r\n!~Passenger-Envvars: x\r\n\r\n";
    ours.write_all(request.as_bytes()).unwrap();
    let mut response = String::new();
    ours.read_to_string(&mut response).unwrap();
    let env: Value = serde_json::from_str(response.split_once("\r\n\r\n").unwrap().1).unwrap();
    assert_env(&env, &json!({"remote": address.to_string(), "scheme": "http", "host": "inner"}));
    assert!(!response.contains("!~"), "{response}");
    drop(ours);
    process.wait().unwrap();
}

#[test]
fn litespeed_starts_us_in_the_place_of_node() {
    let peer = Peer::start_as_lsnode("/shop");
    let asked = env(&peer, "GET /shop/env?x HTTP/1.1\r\nHost: example.org\r\nX-Forwarded-For: 203.0.113.7\r\nAccept-Encoding: gzip\r\n\r\n");
    let expected = json!({"uri": "/env?x", "original_uri": "/shop/env?x", "mount": "/shop", "profile": "litespeed", "remote": "203.0.113.7:0"});
    assert_env(&asked, &expected);
    assert_eq!(peer.log(), "", "its arguments are no reason for a line");
}

#[test]
fn http_1_0_is_answered_in_its_own_way() {
    let peer = Peer::start();
    let old = |uri: &str| get(uri).replace("HTTP/1.1", "HTTP/1.0");
    let response = ask(&peer, old("/hello"));
    assert_eq!((response.text().as_str(), response.ended), ("hello, world\n", Ended::Whole));
    let response = ask(&peer, old("/big?n=1000000"));
    assert_eq!((response.body.len(), response.ended, response.header("transfer-encoding")), (1_000_000, Ended::Closed, None));
    let mut kept = Http::connect(&peer);
    for _ in 0..3 {
        let keep = old("/hello").replace("Host", "Connection: keep-alive\r\nHost");
        kept.ask(keep).assert_whole(200);
        kept.ask(String::from_utf8(post("/count", &[b'x'; 5000])).unwrap().replace("HTTP/1.1\r\n", "HTTP/1.0\r\nConnection: keep-alive\r\n"))
            .assert_whole(200);
    }
}
