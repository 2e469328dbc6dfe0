//! Good requests over LSAPI, and what becomes of their connections.

use std::io::Write as _;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::packets::{ABORT, After, Ask, Conn};
use crate::peer::Peer;

/// What `/count` answers.
fn counted(body: &[u8]) -> String {
    let sum: String = Sha256::digest(body).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{} {sum}\n", body.len())
}

fn noise(size: usize) -> Vec<u8> {
    (0..size).map(|index| u8::try_from((index * 31 + index / 4096) % 256).unwrap()).collect()
}

#[test]
fn an_app_sees_the_headers_as_the_client_wrote_them() {
    let peer = Peer::start();
    let ask = Ask::get("/env?x=1")
        .header("X-Y", "dash")
        .header("X_Y", "underscore")
        .header("X-Y", "again")
        .header("Proxy", "evil")
        .header("Connection", "x");
    let reply = Conn::open(&peer).ask(&ask);
    let env: Value = serde_json::from_str(reply.text()).unwrap();
    for (key, value) in [("gateway", "lsapi"), ("profile", "openlitespeed"), ("uri", "/env?x=1"), ("original_uri", "/app/env?x=1"), ("mount", "/app")]
    {
        assert_eq!(env[key], value, "{key}");
    }
    assert_eq!((&env["host"], &env["remote"]), (&json!("example.org"), &json!("203.0.113.7:50312")));
    let mut headers = env["headers"].as_array().unwrap().clone();
    headers.sort_by_key(|pair| pair[0].to_string());
    let expect =
        [["accept", "*/*"], ["host", "example.org"], ["user-agent", "curl/7.88.1"], ["x-y", "dash"], ["x-y", "again"], ["x_y", "underscore"]];
    assert_eq!(Value::Array(headers), json!(expect));
    let vars = env["vars"].as_array().unwrap();
    let made: Vec<_> = vars.iter().filter(|pair| pair[0] == "HTTP_X_Y").map(|pair| pair[1].as_str().unwrap()).collect();
    assert_eq!((made, vars.len()), (vec!["dash", "underscore", "again"], 13 + 8));
}

#[test]
fn a_client_cannot_smuggle_a_header_in_under_another_name() {
    let peer = Peer::start();
    let ask = Ask::get("/env")
        .through_a_front()
        .header("X_Forwarded_For", "198.51.100.1")
        .header("Content_Length", "7")
        .header("x_forwarded_proto", "https");
    let env: Value = serde_json::from_str(Conn::open(&peer).ask(&ask).text()).unwrap();
    assert_eq!((&env["remote"], &env["scheme"]), (&json!("127.0.0.1:50312"), &json!("http")));
    let names: Vec<_> = env["headers"].as_array().unwrap().iter().map(|pair| pair[0].as_str().unwrap()).collect();
    assert!(!names.contains(&"x-forwarded-for") && !names.contains(&"content-length") && names.contains(&"x_forwarded_for"), "{names:?}");
}

#[test]
fn two_hundred_requests_go_over_one_connection() {
    let peer = Peer::start();
    let mut conn = Conn::open(&peer);
    for round in 0_u8..200 {
        let ask = match round % 4 {
            0 => Ask::get("/hello"),
            1 => Ask::post("/count", vec![round; usize::from(round)]),
            2 => Ask::get("/status/404"),
            // A body that the handler does not want, but that is here with its request.
            _ => Ask::post("/noread", vec![round; 10]),
        };
        let reply = conn.ask(&ask);
        let text = counted(&vec![round; usize::from(round)]);
        let expect = [(200, "hello, world\n"), (200, &text), (404, "404\n"), (413, "too big\n")][usize::from(round % 4)];
        assert_eq!((reply.status, reply.text(), reply.after), (expect.0, expect.1, After::Kept));
    }
}

#[test]
fn a_mebibyte_comes_whole_and_goes_back() {
    let peer = Peer::start();
    let body = noise(1024 * 1024);
    let mut conn = Conn::open(&peer);
    assert_eq!(conn.ask(&Ask::post("/count", body.clone())).text(), counted(&body));
    assert_eq!(conn.ask(&Ask::post("/count", body.clone()).length_in_header()).text(), counted(&body));
    // Sent by a second hand, because the answer begins before the body has ended.
    let mut writer = conn.stream.try_clone().unwrap();
    let bytes = Ask::post("/echo", body.clone()).all();
    let sending = thread::spawn(move || writer.write_all(&bytes).unwrap());
    let reply = conn.reply();
    sending.join().unwrap();
    assert_eq!((reply.status, reply.after), (200, After::Kept));
    assert!(reply.body == body);
    assert_eq!(conn.ask(&Ask::get("/big?n=300000&cl=1")).body, vec![b'x'; 300_000]);
}

#[test]
fn a_connection_whose_body_was_not_read_is_not_used_again() {
    let peer = Peer::start();
    let mut conn = Conn::open(&peer);
    conn.send(&Ask::post("/noread", noise(1024 * 1024)).all()[..500_000]);
    let reply = conn.reply();
    assert_eq!((reply.status, reply.text(), reply.after), (413, "too big\n", After::Over));
    // Whatever comes now is no request.
    let _ = conn.stream.write_all(&Ask::get("/hello").all());
    conn.assert_closed();
}

#[test]
fn the_request_is_acknowledged_before_its_handler_has_finished() {
    let peer = Peer::start();
    let mut conn = Conn::open(&peer);
    let start = Instant::now();
    conn.send(&Ask::get("/slow?ms=1500").all());
    conn.received();
    assert!(start.elapsed() < Duration::from_millis(1000));
}

#[test]
fn connections_are_served_side_by_side() {
    let peer = Peer::start();
    let start = Instant::now();
    let mut conns: Vec<_> = (0..20).map(|_| Conn::open(&peer)).collect();
    conns.iter_mut().for_each(|conn| conn.send(&Ask::get("/slow?ms=500").all()));
    for conn in &mut conns {
        assert_eq!(conn.reply().text(), "done\n");
    }
    assert!(start.elapsed() < Duration::from_secs(5), "twenty times half a second one after another");
}

#[test]
fn a_panic_is_a_500_on_a_connection_that_goes_on() {
    let peer = Peer::start();
    let mut conn = Conn::open(&peer);
    for uri in ["/panic", "/panic-late?n=1000", "/fail-late?n=1000"] {
        let reply = conn.ask(&Ask::get(uri));
        assert_eq!((reply.status, reply.after), (500, After::Kept), "{uri}");
        assert!(reply.stderr.contains("LG07"), "{uri}: {:?}", reply.stderr);
        assert_eq!(conn.ask(&Ask::get("/hello")).status, 200);
    }
}

#[test]
fn a_late_failure_ends_the_response_and_then_the_connection() {
    let peer = Peer::start();
    for uri in ["/panic-late?n=200000", "/fail-late?n=200000", "/fail-late?n=200000&cl=1"] {
        let mut conn = Conn::open(&peer);
        let reply = conn.ask(&Ask::get(uri));
        assert_eq!((reply.status, reply.after), (200, After::Over), "{uri}");
        assert!(reply.body.len() <= 200_000);
        conn.assert_closed();
    }
}

#[test]
fn lines_of_the_log_come_before_the_head() {
    let peer = Peer::start();
    let reply = Conn::open(&peer).ask(&Ask::get("/stderr?text=something-to-tell"));
    assert_eq!(reply.text(), "ok\n");
    assert!(reply.stderr.contains("something-to-tell"), "{:?}", reply.stderr);
}

#[test]
fn every_header_of_a_response_has_a_line() {
    let peer = Peer::start();
    let reply = Conn::open(&peer).ask(&Ask::get("/cookies?n=3"));
    let cookies: Vec<_> = reply.headers.iter().filter_map(|line| line.strip_prefix("set-cookie: ")).collect();
    assert_eq!(cookies, ["c0=v0", "c1=v1", "c2=v2"]);
}

#[test]
fn a_visitor_who_leaves_stops_the_handler() {
    let peer = Peer::start();
    let mut conn = Conn::open(&peer);
    conn.send(&Ask::get("/slow?ms=60000").all());
    conn.received();
    conn.send(&ABORT);
    peer.expect_cancelled(1);
    conn.assert_closed();
    let mut conn = Conn::open(&peer);
    conn.send(&Ask::get("/slow?ms=60000").all());
    conn.received();
    conn.half_close();
    peer.expect_cancelled(2);
}

#[test]
fn one_socket_carries_lsapi_and_fastcgi_by_turns() {
    let peer = Peer::start();
    let mut kept = Conn::open(&peer);
    for _ in 0..5 {
        assert_eq!(kept.ask(&Ask::get("/hello")).text(), "hello, world\n");
        assert_eq!(peer.text("/hello"), "hello, world\n");
        assert_eq!(Conn::open(&peer).ask(&Ask::get("/hello")).text(), "hello, world\n");
    }
}

#[test]
fn told_to_leave_the_process_ends_what_it_has_begun() {
    let mut peer = Peer::start();
    let (mut idle, mut busy) = (Conn::open(&peer), Conn::open(&peer));
    idle.ask(&Ask::get("/hello"));
    busy.send(&Ask::get("/slow?ms=1000").all());
    busy.received();
    // LiteSpeed sends both, nearly at once and in either order.
    peer.process.signal("USR1");
    peer.process.signal("TERM");
    idle.assert_closed();
    // The acknowledgement was read above.
    let mut rest = Vec::new();
    std::io::Read::read_to_end(&mut busy.stream, &mut rest).unwrap();
    let text = String::from_utf8_lossy(&rest).into_owned();
    // Without CONN_CLOSE the web server could send its next request on a connection that is about to close.
    assert!(text.contains("done\n") && text.ends_with("LS\x05\0\x08\0\0\0LS\x08\0\x08\0\0\0"), "{text:?}");
    assert!(peer.process.exit().success());
}
