//! The routes of the test application, so that the other tests may rely on them.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::peer::Peer;
use crate::peer::ask::Ask;
use crate::peer::wire::{self, PARAMS};

fn env(peer: &Peer, ask: &Ask) -> Value {
    let reply = peer.ask(ask);
    reply.assert_whole(200);
    assert_eq!(reply.header("content-type").as_deref(), Some("application/json"));
    serde_json::from_slice(reply.body()).unwrap()
}

#[test]
fn each_route_answers_as_it_should() {
    let peer = Peer::start();
    let empty_sha = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let twelve = "x".repeat(12);
    for (uri, status, body) in [
        ("/hello", 200, "hello, world\n"),
        ("/count", 200, &*format!("0 {empty_sha}\n")),
        ("/echo", 200, ""),
        ("/big?n=12", 200, &twelve),
        ("/big", 200, ""),
        ("/slow?ms=10", 200, "done\n"),
        ("/cancelled", 200, "0\n"),
        ("/spin?ms=10", 200, "done\n"),
        ("/noread", 413, "too big\n"),
        ("/early?n=12", 200, &format!("{twelve}0\n")),
        ("/status/200", 200, "200\n"),
        ("/status/418", 418, "418\n"),
        ("/status/599", 599, "599\n"),
        ("/status/1000", 400, "not a status code\n"),
        ("/status/99", 400, "not a status code\n"),
        ("/stderr?text=hello", 200, "ok\n"),
    ] {
        let reply = peer.get(uri);
        reply.assert_whole(status);
        assert_eq!(reply.text(), body, "{uri}");
        assert_eq!(reply.header("content-type").as_deref(), Some("text/plain"), "{uri}");
    }
    for uri in ["/status/x", "/big?n=-1", "/big?n=x", "/slow?ms=", "/redirect", "/redirect?to=/&code=1", "/headers?n=40000"] {
        peer.get(uri).assert_whole(400);
    }
    peer.get("/no/such/route").assert_whole(404);
    peer.ask(&Ask::post("/hello", "")).assert_whole(405);
}

#[test]
fn a_status_without_a_body_has_none() {
    let peer = Peer::start();
    for code in [204, 205, 304] {
        let reply = peer.get(&format!("/status/{code}"));
        reply.assert_whole(code);
        assert_eq!(reply.text(), "", "{code}");
    }
}

#[test]
fn a_head_request_gets_the_head_alone() {
    let peer = Peer::start();
    let head = |uri: &str| peer.ask(&Ask::get(uri).set("REQUEST_METHOD", "HEAD"));
    for (uri, status, length) in [
        ("/hello", 200, Some("13")),
        ("/big?n=100000&cl=1", 200, Some("100000")),
        ("/big?n=100000", 200, None),
        ("/no/such/route", 404, None),
        ("/noread", 413, Some("8")),
    ] {
        let reply = head(uri);
        reply.assert_whole(status);
        assert_eq!(reply.text(), "", "{uri}");
        if length.is_some() {
            assert_eq!(reply.header("content-length").as_deref(), length, "{uri}");
        }
    }
}

#[test]
fn an_interim_status_never_goes_out() {
    let peer = Peer::start();
    // Web servers take it for the final one.
    for code in [100, 101, 103, 199] {
        peer.get(&format!("/status/{code}")).assert_whole(500);
    }
}

#[test]
fn a_refusal_has_no_body_either_where_none_may_be() {
    let peer = Peer::start();
    let ask = Ask::get("/hello").set("HTTP_HOST", "no host");
    peer.ask(&ask).assert_whole(400);
    let reply = peer.ask(&ask.set("REQUEST_METHOD", "HEAD"));
    reply.assert_whole(400);
    assert_eq!(reply.text(), "");
}

#[test]
fn a_length_is_declared_when_it_is_known() {
    let peer = Peer::start();
    assert_eq!(peer.get("/hello").header("content-length").as_deref(), Some("13"));
    // The body had ended before the head went out.
    assert_eq!(peer.get("/big?n=100").header("content-length").as_deref(), Some("100"));
    assert_eq!(peer.get("/big?n=1000000").header("content-length"), None);
    assert_eq!(peer.get("/big?n=1000000&cl=1").header("content-length").as_deref(), Some("1000000"));
}

#[test]
fn env_tells_what_the_app_sees() {
    let peer = Peer::start_with_generation("17\n");
    let ask = Ask::get("/env?a=%20b&c").set("HTTP_X_TEST", "a\\b").set("HTTP_X_BYTES", "grün");
    let env = env(&peer, &ask);
    let expected = json!({
        "method": "GET",
        "uri": "/env?a=%20b&c",
        "version": "HTTP/1.1",
        "scheme": "http",
        "host": "example.org",
        "mount": "",
        "remote": "203.0.113.7:50312",
        "gateway": "fastcgi",
        "profile": "nginx",
        "pid": peer.process.pid(),
        "generation": "17",
    });
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&env[name], value, "{name}");
    }
    assert!(env["original_uri"].as_str().is_some_and(|uri| uri.ends_with("/env?a=%20b&c")), "{env}");
    let headers = env["headers"].as_array().unwrap();
    for pair in [json!(["host", "example.org"]), json!(["x-test", "a\\\\b"]), json!(["x-bytes", "grün"])] {
        assert!(headers.contains(&pair), "{pair} is not in {headers:?}");
    }
    assert_eq!(env["vars"].as_array().unwrap().len(), ask.vars().len());
}

#[test]
fn a_request_that_does_not_name_the_web_server_decides_nothing_for_those_behind_it() {
    let peer = Peer::start();
    let mut conn = peer.connect();
    // A place in nginx's configuration may set a few variables only; it shares kept connections with the others.
    for (ask, profile) in [(Ask::get("/env").without("SERVER_SOFTWARE"), "unknown"), (Ask::get("/env"), "nginx-keep-conn")] {
        conn.send(&ask.keep().all());
        let env: Value = serde_json::from_str(&conn.reply(1).text()).unwrap();
        assert_eq!(env["profile"], profile);
    }
}

#[test]
fn env_shows_bytes_that_are_no_text() {
    let peer = Peer::start();
    let ask = Ask::get("/env");
    let strange = wire::pair(b"STR\xffANGE", b"a\x80\\\xc3\xa4\xc3");
    let params = [ask.pairs(), strange].concat();
    let mut conn = peer.connect();
    conn.send(&[ask.begin(), wire::stream(PARAMS, 1, &params, 60_000), ask.stdin()].concat());
    let reply = conn.reply(1);
    reply.assert_whole(200);
    let env: Value = serde_json::from_slice(reply.body()).unwrap();
    let last = env["vars"].as_array().unwrap().last().unwrap();
    assert_eq!(last, &json!([r"STR\xffANGE", r"a\x80\\ä\xc3"]));
}

#[test]
fn the_process_and_its_requests_are_counted() {
    let peer = Peer::start_with_generation("before");
    let pid = peer.process.pid();
    assert_eq!(peer.text("/pid"), format!("{pid} 1 before\n"));
    fs::write(peer.site().join("program/generation"), "after").unwrap();
    peer.get("/no/such/route");
    peer.text("/hello");
    assert_eq!(peer.text("/pid"), format!("{pid} 4 before\n"));
    let without = Peer::start();
    assert_eq!(without.text("/pid"), format!("{} 1 0\n", without.process.pid()));
}

#[test]
fn headers_are_made_to_measure() {
    let peer = Peer::start();
    let reply = peer.get("/headers?n=12&len=34");
    reply.assert_whole(200);
    for index in 0..12 {
        let value = reply.header(&format!("x-h-{index}")).expect("a header of this number");
        assert_eq!(value.len(), 34);
    }
    assert_eq!(reply.header("x-h-12"), None);

    let reply = peer.get("/cookies?n=3");
    reply.assert_whole(200);
    assert_eq!(reply.headers("set-cookie"), ["c0=v0", "c1=v1", "c2=v2"]);
}

#[test]
fn a_redirect_goes_where_it_is_told() {
    let peer = Peer::start();
    for (query, status, location) in [
        ("to=/hello", 302, "/hello"),
        ("to=https%3A%2F%2Fexample.net%2Fa%3Fb&code=301", 301, "https://example.net/a?b"),
        ("to=/x&code=308", 308, "/x"),
    ] {
        let reply = peer.get(&format!("/redirect?{query}"));
        reply.assert_whole(status);
        assert_eq!(reply.header("location").as_deref(), Some(location));
    }
    peer.get("/redirect?to=/%0d%0aSet-Cookie:%20a=b").assert_whole(400);
}

#[test]
fn events_come_in_their_own_format() {
    let peer = Peer::start();
    let reply = peer.get("/sse?n=3&ms=5");
    reply.assert_whole(200);
    assert_eq!(reply.header("content-type").as_deref(), Some("text/event-stream"));
    assert_eq!(reply.text(), "data: 0\n\ndata: 1\n\ndata: 2\n\n");
}

#[test]
fn background_work_outlives_its_request_and_the_signal_to_stop() {
    let mut peer = Peer::start();
    assert_eq!(peer.text("/background?ms=1000"), "ok\n");
    peer.process.signal("TERM");
    let status = peer.process.exit();
    assert_eq!(status.code(), Some(0), "{status}, log: {}", peer.log());
    assert_eq!(lines_of_background_logs(peer.site()), 1);
}

/// The lines of every `background.log` below a folder.
fn lines_of_background_logs(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .map(|path| match path.file_name().and_then(|name| name.to_str()) {
            Some("background.log") => fs::read_to_string(&path).unwrap().lines().count(),
            _ if path.is_dir() => lines_of_background_logs(&path),
            _ => 0,
        })
        .sum()
}
