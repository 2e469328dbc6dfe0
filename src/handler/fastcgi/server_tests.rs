//! What passes between the handler and a FastCGI server, played here.

use super::*;
use crate::{
    handler::cgi::testing::{Log, asked, text, unmeasured},
    pairs::Encoded,
    proto::fastcgi::{RecordCodec, RecordType, name_value, record_head},
};
use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt as _, Limited};
use std::{collections::BTreeMap, future::Future, time::Duration};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{UnixListener, UnixStream},
};
use tokio_util::codec::Decoder as _;
use tower::ServiceExt as _;

/// A site of PHP, and the socket of the server that runs it.
struct Site {
    folder: TempDir,
    fastcgi: FastCgi,
    listener: UnixListener,
}

fn site() -> Site {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    std::fs::create_dir_all(root.join("blog")).unwrap();
    for name in ["index.php", "info.php", "blog/index.php", "image.jpg"] {
        std::fs::write(root.join(name), "<?php").unwrap();
    }
    let socket = folder.path().join("socket");
    let listener = UnixListener::bind(&socket).unwrap();
    Site { fastcgi: FastCgi::new(settings(socket, root)), folder, listener }
}

fn settings(socket: PathBuf, root: PathBuf) -> config::model::FastCgi {
    let upstream = config::model::Upstream::Unix(socket);
    let (connect_timeout, fail_for) = (Duration::from_secs(10), Duration::from_secs(10));
    config::model::FastCgi { upstream, root, index: "index.php".to_owned(), connect_timeout, fail_for }
}

impl Site {
    /// The answer to `request`, and its body, while `server` does its part with the connection.
    async fn exchange<F: Future>(
        &self,
        request: Request<Body>,
        server: impl FnOnce(Server) -> F,
    ) -> (StatusCode, Result<String, BoxError>, F::Output) {
        let visitor = async {
            let answer = self.fastcgi.clone().oneshot(request).await.unwrap();
            (answer.status(), answer.extensions().get::<Failure>().copied(), text(answer).await)
        };
        let server = async { server(Server { stream: self.listener.accept().await.unwrap().0, input: BytesMut::new() }).await };
        let ((status, failure, body), served) = tokio::join!(visitor, server);
        assert_eq!(failure.map(|failure| failure.status), failure.map(|_| status));
        let body = failure.map_or(body, |failure| Ok(failure.code.map_or("", codes::Code::as_str).to_owned()));
        (status, body, served)
    }
}

/// The server's end of one connection.
struct Server {
    stream: UnixStream,
    input: BytesMut,
}

/// What came of a request.
struct Seen {
    flags: u8,
    vars: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl Server {
    /// The next record; None at the end of the connection.
    async fn record(&mut self) -> Option<(RecordType, Bytes)> {
        loop {
            if let Some(record) = RecordCodec.decode(&mut self.input).unwrap() {
                assert_eq!(record.id, 1);
                return Some((record.kind, record.content));
            }
            if self.stream.read_buf(&mut self.input).await.unwrap_or(0) == 0 {
                return None;
            }
        }
    }

    /// The whole request.
    async fn read(&mut self) -> Seen {
        let (kind, begin) = self.record().await.unwrap();
        assert_eq!((kind, &begin[..2]), (RecordType::BEGIN_REQUEST, &[0, 1][..]));
        let params = self.stream_of(RecordType::PARAMS).await;
        assert!(name_value::are_pairs(&params));
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let vars = Encoded::new(&params).map(|(name, value)| (text(name), text(value))).collect();
        Seen { flags: begin[2], vars, body: self.stream_of(RecordType::STDIN).await }
    }

    async fn stream_of(&mut self, expected: RecordType) -> Vec<u8> {
        let mut content = Vec::new();
        loop {
            let (kind, piece) = self.record().await.unwrap();
            assert_eq!(kind, expected);
            if piece.is_empty() {
                return content;
            }
            content.extend_from_slice(&piece);
        }
    }

    async fn write(&mut self, kind: RecordType, content: &[u8]) {
        let mut bytes = record_head(kind, 1, u16::try_from(content.len()).unwrap()).to_vec();
        bytes.extend_from_slice(content);
        self.stream.write_all(&bytes).await.unwrap();
    }

    async fn out(&mut self, text: &str) {
        self.write(RecordType::STDOUT, text.as_bytes()).await;
    }

    async fn end(&mut self, app_status: u8, protocol_status: u8) {
        self.write(RecordType::STDOUT, b"").await;
        self.write(RecordType::END_REQUEST, &[0, 0, 0, app_status, protocol_status, 0, 0, 0]).await;
    }
}

const HEAD: &str = "Content-Type: text/plain\r\n\r\n";

fn big() -> String {
    "0123456789abcdef".repeat(512 * 1024)
}

fn posted(body: Body) -> Request<Body> {
    let mut request = asked("/info.php", "/info.php").map(|_| body);
    *request.method_mut() = http::Method::POST;
    request
}

#[tokio::test]
async fn a_script_is_told_of_the_request_and_its_answer_comes_back() {
    let site = site();
    let mut request = asked("/php/info.php/a%20b?c=d", "/info.php/a%20b").map(|_| Body::from("abc"));
    request.headers_mut().insert("proxy", "http://evil.example".parse().unwrap());
    let (status, body, seen) = site
        .exchange(request, async |mut server| {
            let seen = server.read().await;
            server.out("Status: 418 Teapot\r\nContent-Type: text/plain\r\n\r\nshort ").await;
            server.out("and stout").await;
            server.end(255, 0).await;
            seen
        })
        .await;
    assert_eq!((status, body.unwrap().as_str()), (StatusCode::IM_A_TEAPOT, "short and stout"));
    assert_eq!((seen.flags, seen.body), (0, b"abc".to_vec()), "the connection is not kept");
    let root = site.folder.path().join("root").canonicalize().unwrap();
    for (name, value) in [
        ("SCRIPT_FILENAME", root.join("info.php").to_str().unwrap()),
        ("DOCUMENT_ROOT", root.to_str().unwrap()),
        ("SCRIPT_NAME", "/php/info.php"),
        ("PATH_INFO", "/a b"),
        ("DOCUMENT_URI", "/php/info.php/a b"),
        ("REQUEST_URI", "/php/info.php/a%20b?c=d"),
        ("QUERY_STRING", "c=d"),
        ("CONTENT_LENGTH", "3"),
        ("REDIRECT_STATUS", "200"),
        ("GATEWAY_INTERFACE", "CGI/1.1"),
    ] {
        assert_eq!(seen.vars.get(name).map(String::as_str), Some(value), "{name}");
    }
    assert!(!seen.vars.contains_key("HTTP_PROXY"));
}

#[tokio::test]
async fn what_does_not_exist_is_answered_by_the_index_of_the_root() {
    let (_, _, seen) = site()
        .exchange(asked("/php/news/7?x", "/news/7"), async |mut server| {
            let seen = server.read().await;
            server.out(HEAD).await;
            server.end(0, 0).await;
            seen
        })
        .await;
    assert_eq!((seen.vars["SCRIPT_NAME"].as_str(), seen.vars["REQUEST_URI"].as_str()), ("/php/index.php", "/php/news/7?x"));
    assert!(!seen.vars.contains_key("PATH_INFO") && !seen.vars.contains_key("CONTENT_LENGTH"));
}

#[tokio::test]
async fn big_bodies_go_both_ways_at_the_same_time() {
    let echo = async |mut server: Server| {
        server.out(HEAD).await;
        while let Some((kind, content)) = server.record().await {
            match kind {
                RecordType::STDIN if content.is_empty() => break,
                RecordType::STDIN => server.write(RecordType::STDOUT, &content).await,
                _ => {}
            }
        }
        server.end(0, 0).await;
    };
    let (status, body, ()) = site().exchange(posted(Body::from(big())), echo).await;
    assert_eq!(status, StatusCode::OK);
    assert!(body.unwrap() == big());
}

#[tokio::test]
async fn a_server_that_writes_everything_before_it_reads_does_not_wait_for_ever() {
    let (_, body, seen) = site()
        .exchange(posted(Body::from(big())), async |mut server| {
            server.out(HEAD).await;
            for piece in big().as_bytes().chunks(60_000) {
                server.write(RecordType::STDOUT, piece).await;
            }
            let seen = server.read().await;
            server.end(0, 0).await;
            seen
        })
        .await;
    assert!(body.unwrap() == big() && seen.body == big().as_bytes());
}

#[tokio::test]
async fn a_server_may_answer_and_close_without_reading() {
    let (status, body, ()) = site()
        .exchange(posted(Body::from(big())), async |mut server| {
            server.out("Status: 413 Too Large\r\n\r\nno thanks").await;
            server.end(0, 0).await;
        })
        .await;
    assert_eq!((status, body.unwrap().as_str()), (StatusCode::PAYLOAD_TOO_LARGE, "no thanks"));
}

#[tokio::test]
async fn a_body_without_a_length_is_collected_first() {
    let (_, _, seen) = site()
        .exchange(posted(unmeasured(&["abc", "def"])), async |mut server| {
            let seen = server.read().await;
            server.out(HEAD).await;
            server.end(0, 0).await;
            seen
        })
        .await;
    assert_eq!((seen.vars["CONTENT_LENGTH"].as_str(), seen.body), ("6", b"abcdef".to_vec()));
}

#[tokio::test]
async fn what_a_script_complains_of_is_in_the_log() {
    let (log, _guard) = Log::begin();
    let (_, body, ()) = site()
        .exchange(asked("/", "/"), async |mut server| {
            server.write(RecordType::STDERR, b"PHP Warning: a\nPHP Not").await;
            server.out(HEAD).await;
            server.write(RecordType::STDERR, b"ice: b").await;
            server.out("body").await;
            server.end(0, 0).await;
        })
        .await;
    assert_eq!(body.unwrap(), "body");
    assert_eq!(log.lines(), ["fastcgi: PHP Warning: a", "fastcgi: PHP Notice: b"]);
}

#[tokio::test]
async fn a_server_that_breaks_off_before_the_head_is_a_bad_gateway() {
    let site = site();
    for how in ["closes", "half a head", "ends at once", "no header", "not FastCGI", "overloaded"] {
        let (log, _guard) = Log::begin();
        let (status, body, ()) = site
            .exchange(asked("/", "/"), async |mut server| match how {
                "half a head" => server.out("Content-Type: text/html\r\n").await,
                "ends at once" => server.end(0, 0).await,
                "no header" => server.out("Hello\r\n\r\n").await,
                "not FastCGI" => server.stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap(),
                "overloaded" => server.end(0, 2).await,
                _ => {}
            })
            .await;
        assert_eq!((status, body.unwrap().as_str()), (StatusCode::BAD_GATEWAY, "LG0406"), "{how}");
        assert!(log.lines()[0].starts_with("LG0406: unix:/"), "{:?}", log.lines());
    }
}

#[tokio::test]
async fn a_server_that_breaks_off_later_breaks_the_body() {
    let (status, body, ()) = site().exchange(asked("/", "/"), async |mut server| server.out(&format!("{HEAD}half")).await).await;
    assert_eq!(status, StatusCode::OK);
    assert!(body.unwrap_err().to_string().contains("closed the connection before its answer had ended"));
}

#[tokio::test]
async fn a_body_over_the_limit_is_too_large_and_the_server_is_left_alone() {
    let mut request = posted(Body::new(Limited::new(unmeasured(&["abc", "def"]), 4)));
    request.headers_mut().insert("content-length", 6.into());
    let (status, body, last) = site()
        .exchange(request, async |mut server| {
            let mut last = None;
            while let Some(record) = server.record().await {
                last = Some(record);
            }
            last.unwrap()
        })
        .await;
    assert_eq!((status, body.unwrap().as_str()), (StatusCode::PAYLOAD_TOO_LARGE, "LG0503"));
    assert_eq!(last, (RecordType::STDIN, Bytes::from_static(b"abc")), "the body was not ended");
}

#[tokio::test]
async fn who_leaves_takes_the_connection_along() {
    let site = site();
    let visitor = async {
        let mut answer = site.fastcgi.clone().oneshot(asked("/", "/")).await.unwrap();
        assert_eq!(answer.body_mut().frame().await.unwrap().unwrap().into_data().unwrap(), "first");
    };
    let server = async {
        let mut server = Server { stream: site.listener.accept().await.unwrap().0, input: BytesMut::new() };
        server.read().await;
        server.out(&format!("{HEAD}first")).await;
        server.record().await
    };
    let ((), end) = tokio::time::timeout(Duration::from_secs(10), async { tokio::join!(visitor, server) }).await.unwrap();
    assert!(end.is_none());
}

#[tokio::test]
async fn a_server_that_is_not_there_is_not_asked_again_at_once() {
    let Site { folder, fastcgi, listener } = site();
    drop(listener);
    let mut answers = Vec::new();
    for _ in 0..2 {
        let answer = fastcgi.clone().oneshot(asked("/", "/")).await.unwrap();
        answers.push((answer.status().as_u16(), answer.headers().contains_key(http::header::RETRY_AFTER)));
    }
    assert_eq!(answers, [(502, false), (503, true)]);
    drop(folder);
}

#[tokio::test]
async fn what_is_no_script_never_reaches_the_server() {
    let Site { folder, fastcgi, listener } = site();
    drop(listener);
    for (path, status, location) in [
        ("/image.jpg", StatusCode::NOT_FOUND, None),
        ("/../secret.php", StatusCode::BAD_REQUEST, None),
        ("/a%00.php", StatusCode::BAD_REQUEST, None),
        ("/blog", StatusCode::PERMANENT_REDIRECT, Some("/blog/?a=b")),
        ("//blog", StatusCode::PERMANENT_REDIRECT, Some("/blog/?a=b")),
    ] {
        let answer = fastcgi.clone().oneshot(asked(&format!("{path}?a=b"), path)).await.unwrap();
        let told = answer.headers().get(http::header::LOCATION).map(|location| location.to_str().unwrap());
        assert_eq!((answer.status(), told), (status, location), "{path}");
    }
    drop(folder);
}
