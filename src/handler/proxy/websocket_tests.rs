//! WebSockets, from a visitor through lodger's HTTP door to a server and back.

use super::*;
use crate::{
    app::App as _,
    gateway::Ownership,
    settings::Settings,
    transport::{Shared, connection::serve_connection, socket::Socket},
};
use http::HeaderValue;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{UnixListener, UnixStream},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

const HANDSHAKE: &str = "GET /ws HTTP/1.1\r\nHost: example.org\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Version: 13\r\n\
                         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

const ACCEPTED: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade, X-Hop\r\nX-Hop: 1\r\n\
                        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// A server that reads a head, answers with `reply` and hands out what it is then: the head and its end of the connection.
fn server(reply: &'static str) -> (TempDir, JoinHandle<(String, UnixStream)>) {
    let folder = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(folder.path().join("s")).unwrap();
    let served = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let head = read_head(&mut stream).await;
        stream.write_all(reply.as_bytes()).await.unwrap();
        (head, stream)
    });
    (folder, served)
}

async fn read_head(stream: &mut UnixStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap().to_ascii_lowercase()
}

fn proxy(folder: &TempDir, websocket: bool) -> Proxy {
    let upstream = model::Upstream::Unix(folder.path().join("s"));
    let (long, path, host) = (Duration::from_secs(60), None, None);
    let settings = model::Proxy { upstream, path, host, connect_timeout: long, retries: 0, fail_for: long, websocket };
    Proxy::new(settings, Arc::default())
}

/// A visitor of a lodger that has nothing but the proxy.
fn visitor(proxy: Proxy) -> (UnixStream, JoinHandle<()>) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let shared = Shared::new(Settings::default(), Ownership::Shared, CancellationToken::new());
    let socket = Socket::from_fd(theirs.into_std().unwrap().into()).unwrap();
    (ours, tokio::spawn(serve_connection(socket, proxy.into_box(), shared, None)))
}

#[test]
fn only_a_complete_handshake_is_a_wish() {
    let wish_of = |change: fn(&mut Request<()>), has_body| {
        let mut request =
            Request::get("/").header("connection", "upgrade").header("upgrade", "websocket").header("sec-websocket-key", "k").body(()).unwrap();
        change(&mut request);
        upgrade::wish(&mut request.into_parts().0, has_body)
    };
    assert!(matches!(wish_of(|_| {}, false), Wish::Impossible), "nobody has the other end");
    assert!(matches!(wish_of(|_| {}, true), Wish::Nothing));
    assert!(matches!(wish_of(|request| *request.method_mut() = Method::POST, false), Wish::Nothing));
    assert!(matches!(wish_of(|request| drop(request.headers_mut().remove("sec-websocket-key")), false), Wish::Nothing));
}

#[tokio::test]
async fn bytes_go_both_ways_until_the_visitor_leaves() {
    let (folder, served) = server(ACCEPTED);
    let (mut visitor, serving) = visitor(proxy(&folder, true));
    visitor.write_all(HANDSHAKE.as_bytes()).await.unwrap();
    let head = read_head(&mut visitor).await;
    assert!(head.starts_with("http/1.1 101 "), "{head}");
    for line in ["connection: upgrade\r\n", "upgrade: websocket\r\n", "sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=\r\n"] {
        assert!(head.contains(line), "{head}");
    }
    assert!(!head.contains("x-hop") && !head.contains("content-length"), "{head}");
    let (asked, mut server) = served.await.unwrap();
    for line in
        ["get /ws http/1.1\r\n", "connection: upgrade\r\n", "upgrade: websocket\r\n", "sec-websocket-version: 13\r\n", "host: example.org\r\n"]
    {
        assert!(asked.contains(line), "{asked}");
    }
    for _ in 0..3 {
        visitor.write_all(b"ping").await.unwrap();
        let mut piece = [0; 4];
        server.read_exact(&mut piece).await.unwrap();
        server.write_all(b"pong").await.unwrap();
        visitor.read_exact(&mut piece).await.unwrap();
        assert_eq!(&piece, b"pong");
    }
    drop(visitor);
    assert_eq!(server.read(&mut [0; 8]).await.unwrap(), 0, "the server is told");
    drop(server);
    serving.await.unwrap();
}

#[tokio::test]
async fn the_end_of_the_server_reaches_the_visitor_after_its_last_byte() {
    let (folder, served) = server(ACCEPTED);
    let (mut visitor, serving) = visitor(proxy(&folder, true));
    visitor.write_all(HANDSHAKE.as_bytes()).await.unwrap();
    let (_, mut server) = served.await.unwrap();
    server.write_all(b"bye").await.unwrap();
    drop(server);
    read_head(&mut visitor).await;
    let mut rest = Vec::new();
    visitor.read_to_end(&mut rest).await.unwrap();
    assert_eq!(rest, b"bye");
    drop(visitor);
    serving.await.unwrap();
}

#[tokio::test]
async fn a_visitor_who_does_not_close_is_not_waited_for() {
    let (folder, served) = server(ACCEPTED);
    let (mut visitor, serving) = visitor(proxy(&folder, true));
    visitor.write_all(HANDSHAKE.as_bytes()).await.unwrap();
    let (_, server) = served.await.unwrap();
    read_head(&mut visitor).await;
    drop(server);
    assert_eq!(visitor.read(&mut [0; 8]).await.unwrap(), 0);
    tokio::time::pause();
    serving.await.unwrap();
    assert!(visitor.write_all(b"still here").await.is_err());
}

#[tokio::test]
async fn a_server_that_declines_answers_as_always() {
    let (folder, _served) = server("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno");
    let (mut visitor, _serving) = visitor(proxy(&folder, true));
    visitor.write_all(HANDSHAKE.as_bytes()).await.unwrap();
    let head = read_head(&mut visitor).await;
    assert!(head.starts_with("http/1.1 403 ") && !head.contains("upgrade"), "{head}");
}

#[tokio::test]
async fn a_server_that_becomes_something_else_broke() {
    let (folder, _served) = server("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n");
    let (mut visitor, _serving) = visitor(proxy(&folder, true));
    visitor.write_all(HANDSHAKE.as_bytes()).await.unwrap();
    assert!(read_head(&mut visitor).await.starts_with("http/1.1 502 "));
}

#[tokio::test]
async fn where_it_is_switched_off_the_server_is_not_asked_for_one() {
    let (folder, served) = server("HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n\r\n");
    let (mut visitor, _serving) = visitor(proxy(&folder, false));
    visitor.write_all(HANDSHAKE.as_bytes()).await.unwrap();
    assert!(read_head(&mut visitor).await.starts_with("http/1.1 426 "));
    let (asked, _) = served.await.unwrap();
    assert!(!asked.contains("upgrade"), "{asked}");
}

#[tokio::test]
async fn a_door_that_cannot_be_upgraded_says_so() {
    let (folder, _served) = server(ACCEPTED);
    let mut request = Request::get("/ws").body(Body::empty()).unwrap();
    request.headers_mut().insert("sec-websocket-key", HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ=="));
    let answer = proxy(&folder, true).call(request).await.unwrap();
    assert_eq!(answer.extensions().get(), Some(&Failure::new(StatusCode::BAD_REQUEST, code::NO_UPGRADE)));
}
