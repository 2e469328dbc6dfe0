//! A request is the same whoever reads it.

use super::*;
use crate::{
    cgi::http::parts_from_head,
    gateway::{
        Ownership,
        http::{HttpPeer, HttpStart},
    },
    proto::{Event, Outbox},
    settings::Settings,
    transport::socket::Socket,
};
use bytes::BytesMut;
use std::os::unix::net::UnixStream;
use tokio_util::sync::CancellationToken;

/// What the two ways make of the same lines, all that can be seen of it.
fn both(peer: HttpPeer, target: &str, headers: &str) -> [String; 2] {
    let mut shared = Shared::new(Settings::default(), Ownership::Own, CancellationToken::new());
    Arc::get_mut(&mut shared).unwrap().http = HttpStart { peer, mount: b"/sub".into() };
    let front = Front::of(&Socket::from_fd(UnixStream::pair().unwrap().0.into()).unwrap(), &shared);
    let lines: Vec<_> = headers.lines().filter_map(|line| line.split_once(": ")).collect();

    let text: String = lines.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let mut input = BytesMut::from(format!("PUT {target} HTTP/1.1\r\n{text}\r\n").as_bytes());
    let event = Http::new(true, Arc::clone(&shared.limits), now).next_event(&mut input, &mut Outbox::default()).unwrap();
    let Some(Event::Head { head: RequestHead { bytes, method, target: range, headers, is_1_0: false }, .. }) = event else { panic!("{text}") };
    let ours = Lines { bytes: &bytes, method, target: range, version: Version::HTTP_11, headers: &headers };
    let profile = front.profile(|name| ours.has(name));
    let ours = parts_from_lines(&ours, &front.arrival(&shared, profile, false, false)).map(|made| (made, profile.name()));

    let request = lines.iter().fold(http::Request::put(target), |request, (name, value)| request.header(*name, *value));
    let parts = request.body(()).unwrap().into_parts().0;
    let profile = front.profile(|name| parts.headers.contains_key(name));
    let theirs = parts_from_head(parts, &front.arrival(&shared, profile, false, false)).map(|made| (made, profile.name()));
    [format!("{ours:?}"), format!("{theirs:?}")]
}

#[test]
fn lines_and_headers_make_the_same_request() {
    let headers = [
        "",
        "Host: a",
        "Host: A\nHost: a\nX-Special: 1\nACCEPT: x\naccept: y",
        "Host: a\nhost: b",
        "Host: a b",
        "Host: ",
        "Host: user@a",
        "Host: inner\nX-Forwarded-For: 192.0.2.66\nx-forwarded-for: 192.0.2.66, 203.0.113.7\nX-Forwarded-Proto: http, https\nX-Forwarded-Host: evil, shop.example",
        "Host: inner\nX-Forwarded-For: 192.0.2.66\nX-Forwarded-For: \nX-Forwarded-Proto: https,\nX-Forwarded-Host: a b",
        "X-Forwarded-Server: a\nX-Forwarded-Port: 5\nX-Real-IP: 192.0.2.1\nReferer: \u{e9}",
        "Cookie: a=1, b=2",
        "Cookie: a=1\nX-A: b\nCookie: b=2, c=3\nX-A: c",
        "!~Passenger-Client-Address: 203.0.113.7\n!~Passenger-Proto: https\n!~Passenger-Envvars: x\nX-Forwarded-For: 192.0.2.66\nX-Forwarded-Proto: http",
        "Connection: keep-alive\nKeep-Alive: 5\nProxy: x\nProxy-Connection: x\nTE: x\nTrailer: x\nSec-Fetch-Mode: x\nUser-Agent: y",
    ];
    for peer in [HttpPeer::Any, HttpPeer::Lsnode, HttpPeer::Passenger] {
        for target in ["/", "/sub", "/sub/x?y", "/subway", "//host/x?", "/a%20b"] {
            for headers in headers {
                let [ours, theirs] = both(peer, target, headers);
                assert_eq!(ours, theirs, "{peer:?} {target} {headers}");
            }
        }
    }
}

#[test]
fn the_date_is_that_of_this_second() {
    let line = String::from_utf8(now().to_vec()).unwrap();
    let written = line.strip_prefix("date: ").and_then(|line| line.strip_suffix("\r\n")).unwrap();
    let age = SystemTime::now().duration_since(httpdate::parse_http_date(written).unwrap()).unwrap();
    assert!(age < Duration::from_secs(3), "{line}");
}
