//! A WebSocket through the real reverse proxies, set up as the page for site owners says.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use super::door::Door;
use super::server::{Server, Setup};
use super::site::Site;

/// The key is the example of RFC 6455, 1.3, and so is what comes back for it.
const HANDSHAKE: &str = "GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// `hello` as a client sends it, masked with zeros, and as it comes back.
const HELLO: &[u8] = b"\x81\x85\0\0\0\0hello";
const ECHO: &[u8] = b"\x81\x05hello";

/// Says hello three times, and asks for a page of the same server.
#[track_caller]
pub(super) fn check(server: &Server) {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, server.port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(HANDSHAKE.as_bytes()).unwrap();
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert!(head.to_ascii_lowercase().contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="), "{head}");
    for _ in 0..3 {
        stream.write_all(HELLO).unwrap();
        let mut back = [0; ECHO.len()];
        stream.read_exact(&mut back).unwrap();
        assert_eq!(back, ECHO);
    }
    // Everything else goes on as before.
    server.get("/hello").expect(200, "hello, world\n");
}

/// How nginx passes a WebSocket on.
pub(crate) const NGINX: &str = "location /ws {
        proxy_http_version  1.1;
        proxy_set_header    Upgrade $http_upgrade;
        proxy_set_header    Connection upgrade;
        proxy_pass          http://app;
      }";

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn through_nginx() {
    check(&Setup::new(Door::NginxHttp).lines(NGINX).start());
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn through_apache() {
    let site = Site::new();
    let pass = format!("ProxyPass \"/ws\" \"unix:{}|http://localhost/ws\" upgrade=websocket", site.socket().display());
    check(&Setup::new(Door::ProxyHttp).lines(&pass).start_in(site));
}
