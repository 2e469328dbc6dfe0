//! A handler that fails is seen to fail: early by a status, late by a response that does not come to its end.

use std::thread::sleep;
use std::time::Duration;

use super::client::{Ended, Http, ask, get};
use crate::peer::Peer;

#[test]
fn an_early_failure_is_a_500_and_the_connection_goes_on() {
    let peer = Peer::start();
    let mut conn = Http::connect(&peer);
    for uri in ["/panic", "/panic-late?n=1000", "/fail-late?n=16384", "/fail-late?n=16384&cl=1"] {
        conn.ask(get(uri)).assert_whole(500);
        conn.ask(get("/hello")).assert_whole(200);
    }
    assert_eq!(peer.log().lines().count(), 4, "{}", peer.log());
}

#[test]
fn a_late_failure_leaves_the_response_without_its_end() {
    let peer = Peer::start();
    for uri in ["/fail-late?n=50000", "/fail-late?n=200000", "/fail-late?n=200000&cl=1", "/panic-late?n=200000"] {
        let response = ask(&peer, get(uri));
        assert_eq!((response.status, response.ended), (200, Ended::Short), "{uri}");
        // A close without a byte would look like that of an idle connection, and the request might be sent again.
        assert!((1..=200_000).contains(&response.body.len()) && response.body.iter().all(|byte| *byte == b'x'), "{uri}");
        ask(&peer, get("/hello")).assert_whole(200);
    }
}

/// A close is the proper end of a response of unknown length there; nginx speaks it unless told otherwise.
#[test]
fn over_http_1_0_a_late_failure_is_a_reset() {
    let peer = Peer::start();
    for uri in ["/fail-late?n=200000", "/fail-late?n=200000&cl=1", "/panic-late?n=200000"] {
        let response = ask(&peer, get(uri).replace("HTTP/1.1", "HTTP/1.0"));
        assert_eq!((response.status, response.ended), (200, Ended::Reset), "{uri}");
    }
}

#[test]
fn over_http_1_0_it_is_one_however_the_request_comes_in() {
    let peer = Peer::start();
    let long = format!("GET /fail-late?n=200000&x={} HTTP/1.0\r\n\r\n", "x".repeat(20_000));
    for parts in [&["GET /fail-late?n=200000 HT", "TP/1.0\r\n\r\n"][..], &["GET /fail-late?n=200000 HTTP/1.0\r", "\n\r\n"], &[&*long]] {
        let mut conn = Http::connect(&peer);
        for part in parts {
            conn.send(part);
            sleep(Duration::from_millis(100));
        }
        let response = conn.response();
        assert_eq!((response.status, response.ended), (200, Ended::Reset), "{:?}", &parts[0][..20]);
    }
}
