//! Requests through a proxy, to servers on Unix sockets that say what they are told to.

use super::*;
use bytes::Bytes;
use http::{HeaderValue, header};
use http_body::Frame;
use http_body_util::{BodyExt as _, Full, Limited, StreamBody, combinators::UnsyncBoxBody};
use hyper_util::rt::TokioIo;
use std::{
    future::Future,
    io,
    path::PathBuf,
    sync::atomic::{AtomicUsize, Ordering},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{UnixListener, UnixStream},
    time::sleep,
};

/// Long enough that only what waits for ever notices.
const LONG: Duration = Duration::from_secs(60);

/// The body of what a server of ours answers.
type Reply = UnsyncBoxBody<Bytes, io::Error>;

/// A server of ours, which ends with the test.
struct Other {
    folder: TempDir,
    accepted: Arc<AtomicUsize>,
}

impl Other {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), accepted: Arc::default() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("s")
    }

    fn accepted(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Lets `answer` answer each connection, whose number from 0 it is told.
    fn listen<F>(&self, answer: impl Fn(usize, UnixStream) -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = UnixListener::bind(self.path()).unwrap();
        let accepted = Arc::clone(&self.accepted);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(accepted.fetch_add(1, Ordering::Relaxed), stream));
            }
        });
    }

    /// Answers each request with the same bytes, and tells what it was asked in `asked`.
    fn saying(bytes: impl Into<Vec<u8>>) -> (Self, Arc<std::sync::Mutex<String>>) {
        let (other, asked) = (Self::new(), Arc::<std::sync::Mutex<String>>::default());
        let (bytes, seen) = (bytes.into(), Arc::clone(&asked));
        other.listen(move |_, mut stream| {
            let (bytes, seen) = (bytes.clone(), Arc::clone(&seen));
            async move {
                let head = read_head(&mut stream).await;
                *seen.lock().unwrap() = head;
                stream.write_all(&bytes).await.unwrap();
            }
        });
        (other, asked)
    }

    /// Lets hyper answer with what `answer` makes of a request.
    fn http<F>(answer: impl Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Response<Reply>> + Send + 'static,
    {
        let other = Self::new();
        other.listen(move |_, stream| {
            let answer = answer.clone();
            async move {
                let service = hyper::service::service_fn(move |request| {
                    let answering = answer(request);
                    async move { Ok::<_, io::Error>(answering.await) }
                });
                let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
            }
        });
        other
    }

    fn proxy(&self) -> Proxy {
        self.proxy_with(|_| {})
    }

    fn proxy_with(&self, change: impl FnOnce(&mut model::Proxy)) -> Proxy {
        let mut settings = model::Proxy {
            upstream: model::Upstream::Unix(self.path()),
            path: None,
            host: None,
            connect_timeout: LONG,
            retries: 0,
            fail_for: LONG,
            websocket: false,
        };
        change(&mut settings);
        Proxy::new(settings, Arc::default())
    }
}

async fn read_head(stream: &mut UnixStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    head.into_iter().map(char::from).collect()
}

async fn ask(proxy: &Proxy, request: Request<Body>) -> Answer {
    proxy.clone().call(request).await.unwrap()
}

fn get(target: &str) -> Request<Body> {
    Request::get(target).body(Body::empty()).unwrap()
}

fn post(body: impl Into<Body>) -> Request<Body> {
    Request::post("/").body(body.into()).unwrap()
}

fn failure(answer: &Answer) -> Failure {
    let failure = *answer.extensions().get::<Failure>().expect("the answer of the proxy and not of the server behind it");
    assert_eq!(failure.status, answer.status());
    failure
}

fn boxed(bytes: impl Into<Bytes>) -> Reply {
    reply(Full::new(bytes.into()))
}

fn reply<B>(body: B) -> Reply
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    body.map_err(io::Error::other).boxed_unsync()
}

async fn text(answer: Answer) -> String {
    String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

/// A body in pieces that come one after another, of a length that nobody knows.
fn stream(pieces: impl IntoIterator<Item = Result<Bytes, BoxError>, IntoIter: Send + 'static>) -> Body {
    Body::new(StreamBody::new(tokio_stream::iter(pieces.into_iter().map(|piece| piece.map(Frame::data)))))
}

#[test]
fn a_proxy_is_made_without_a_runtime_and_shared() {
    fn shared<T: Clone + Send + Sync + 'static>(_: &T) {}
    shared(&Other::new().proxy());
}

#[tokio::test]
async fn a_body_goes_there_and_back_in_pieces() {
    const PIECES: u32 = 1024;
    let other = Other::http(|request| async move {
        let chunked = request.headers().get(header::TRANSFER_ENCODING).cloned();
        let mut response = Response::new(reply(request.into_body()));
        response.headers_mut().insert("x-encoding", chunked.unwrap());
        response
    });
    let pieces = |_| (0..PIECES).map(|index| Bytes::from(vec![index.to_le_bytes()[0]; 1024]));
    let answer = ask(&other.proxy(), post(stream(pieces(()).map(Ok)))).await;
    assert_eq!((answer.status(), &answer.headers()["x-encoding"]), (StatusCode::OK, &HeaderValue::from_static("chunked")));
    assert!(!answer.headers().contains_key(header::TRANSFER_ENCODING));
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), pieces(()).collect::<Vec<_>>().concat());
}

#[tokio::test]
async fn a_length_that_is_known_or_declared_is_told() {
    let other = Other::http(|request| async move {
        let length = request.headers().get(header::CONTENT_LENGTH).cloned();
        assert!(!request.headers().contains_key(header::TRANSFER_ENCODING));
        let body = request.into_body().collect().await.unwrap().to_bytes();
        Response::new(boxed(format!("{} {}", length.unwrap().to_str().unwrap(), body.len())))
    });
    assert_eq!(text(ask(&other.proxy(), post("abc")).await).await, "3 3");
    let mut request = post(stream(["ab", "cde"].map(|piece| Ok(piece.into()))));
    request.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from_static("5"));
    assert_eq!(text(ask(&other.proxy(), request).await).await, "5 5");
}

#[tokio::test]
async fn the_body_of_a_get_arrives_too() {
    let other = Other::http(|request| async move { Response::new(reply(request.into_body())) });
    let answer = ask(&other.proxy(), Request::get("/").body(stream([Ok("query".into())])).unwrap()).await;
    assert_eq!(text(answer).await, "query");
}

#[tokio::test]
async fn headers_are_passed_on_but_for_those_of_the_connection() {
    let reply = "HTTP/1.1 201 Made\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nProxy-Authenticate: Basic\r\nTrailer: X-Sum\r\n\
                 Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nLocation: http://inside/x\r\nX-Bytes: \u{e4}\r\nContent-Length: 2\r\n\r\nok";
    let (other, asked) = Other::saying(reply);
    let mut request = get("/a/b?q=1&r");
    for (name, value) in [
        ("host", "example.org"),
        ("connection", "x-private, keep-alive"),
        ("x-private", "1"),
        ("proxy-authorization", "Basic eDp5"),
        ("proxy", "http://evil.example"),
        ("te", "trailers"),
        ("expect", "100-continue"),
        ("upgrade", "h2c"),
        ("x-forwarded-for", "6.6.6.6"),
        ("cookie", "c=3"),
    ] {
        request.headers_mut().append(name, HeaderValue::from_static(value));
    }
    request.headers_mut().append("x-bytes", HeaderValue::from_bytes(b"\xff\xfe").unwrap());
    let answer = ask(&other.proxy(), request).await;
    assert_eq!(answer.status(), StatusCode::CREATED);
    let mut names: Vec<&str> = answer.headers().iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["content-length", "location", "set-cookie", "set-cookie", "x-bytes"]);
    assert_eq!(answer.headers()[header::LOCATION], "http://inside/x");
    assert_eq!(answer.headers()["x-bytes"].as_bytes(), "\u{e4}".as_bytes());
    assert_eq!(answer.headers().get_all(header::SET_COOKIE).iter().collect::<Vec<_>>(), ["a=1", "b=2"]);
    assert!(answer.extensions().is_empty(), "the reason phrase of one connection is not that of another");
    assert_eq!(text(answer).await, "ok");
    let asked = asked.lock().unwrap().clone();
    let mut lines: Vec<&str> = asked.trim_end().split("\r\n").collect();
    lines[1..].sort_unstable();
    assert_eq!(lines, ["GET /a/b?q=1&r HTTP/1.1", "cookie: c=3", "host: example.org", "x-bytes: \u{ff}\u{fe}", "x-forwarded-host: example.org"]);
}

#[tokio::test]
async fn a_connection_is_used_again() {
    let other = Other::http(|_| async { Response::new(boxed("hello")) });
    let proxy = other.proxy();
    for _ in 0..20 {
        assert_eq!(text(ask(&proxy, get("/")).await).await, "hello");
        // hyper puts it back once it has seen the end of the response.
        sleep(Duration::from_millis(1)).await;
    }
    assert!(other.accepted() < 20, "each request had a connection of its own");
}

#[tokio::test]
async fn a_kept_connection_that_was_closed_meanwhile_is_replaced() {
    let (other, _) = Other::saying("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let proxy = other.proxy();
    for round in 1..4 {
        // Not a method that could be repeated.
        assert_eq!(text(ask(&proxy, post("")).await).await, "ok");
        assert_eq!(other.accepted(), round);
        // Until the end of the connection has got around.
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn only_what_may_be_repeated_is_tried_again() {
    let (idempotent, other) = ([(Method::GET, 3), (Method::PUT, 3), (Method::POST, 1)], Other::new());
    other.listen(|_, mut stream| async move { drop(read_head(&mut stream).await) });
    let proxy = other.proxy_with(|settings| settings.retries = 2);
    let mut before = 0;
    for (method, tries) in idempotent {
        let answer = ask(&proxy, Request::builder().method(&method).uri("/").body(Body::empty()).unwrap()).await;
        assert_eq!(failure(&answer), Failure::new(StatusCode::BAD_GATEWAY, code::UPSTREAM_BROKE));
        assert_eq!(other.accepted() - before, tries, "{method}");
        before = other.accepted();
    }
    let answer = ask(&proxy, Request::put("/").body(Body::from("abc")).unwrap()).await;
    assert_eq!((failure(&answer).code, other.accepted() - before), (Some(code::UPSTREAM_BROKE), 1), "the body is gone");
}

#[tokio::test]
async fn a_later_try_that_succeeds_is_the_answer() {
    let other = Other::new();
    other.listen(|number, mut stream| async move {
        read_head(&mut stream).await;
        if number == 2 {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
        }
    });
    let answer = ask(&other.proxy_with(|settings| settings.retries = 2), get("/")).await;
    assert_eq!(text(answer).await, "ok");
}

#[tokio::test]
async fn after_it_could_not_be_reached_it_is_left_alone() {
    let other = Other::new();
    let proxy = other.proxy();
    let unreachable = |status| Failure::new(status, code::UPSTREAM_UNREACHABLE);
    let answer = ask(&proxy, get("/")).await;
    assert_eq!((failure(&answer), answer.headers().get(header::RETRY_AFTER)), (unreachable(StatusCode::BAD_GATEWAY), None));
    other.listen(|_, _| async {});
    let answer = ask(&proxy, post("abc")).await;
    assert_eq!(failure(&answer), unreachable(StatusCode::SERVICE_UNAVAILABLE));
    let seconds: u64 = answer.headers()[header::RETRY_AFTER].to_str().unwrap().parse().unwrap();
    assert!((1..=LONG.as_secs()).contains(&seconds), "{seconds}");
    assert_eq!(other.accepted(), 0, "nobody asked");
}

#[tokio::test]
async fn once_it_answers_again_everybody_gets_there() {
    let other = Other::http(|_| async { Response::new(boxed("back")) });
    let proxy = other.proxy_with(|settings| settings.fail_for = Duration::from_millis(20));
    let away = other.folder.path().join("away");
    std::fs::rename(other.path(), &away).unwrap();
    assert_eq!(ask(&proxy, get("/")).await.status(), StatusCode::BAD_GATEWAY);
    std::fs::rename(&away, other.path()).unwrap();
    while ask(&proxy, get("/")).await.status() == StatusCode::SERVICE_UNAVAILABLE {
        sleep(Duration::from_millis(5)).await;
    }
    for answer in futures_util::future::join_all((0..10).map(|_| ask(&proxy, get("/")))).await {
        assert_eq!(text(answer).await, "back");
    }
}

#[tokio::test]
async fn an_answer_that_is_none_is_not_passed_on() {
    let too_large = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(2 * BUFFER));
    for bytes in [
        "SSH-2.0-OpenSSH_9.6\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
        "HTTP/1.1 20\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        "",
        "HTTP/1.1 200",
        &too_large,
    ] {
        let (other, _) = Other::saying(bytes);
        let answer = ask(&other.proxy(), get("/")).await;
        assert_eq!(failure(&answer), Failure::new(StatusCode::BAD_GATEWAY, code::UPSTREAM_BROKE), "{bytes:.40}");
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_is_seen_to() {
    for bytes in [
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nx\r\n",
    ] {
        let (other, _) = Other::saying(bytes);
        let answer = ask(&other.proxy(), get("/")).await;
        assert_eq!(answer.status(), StatusCode::OK);
        assert!(answer.into_body().collect().await.is_err(), "{bytes}");
    }
}

#[tokio::test]
async fn responses_without_a_body_have_none() {
    for (method, status, length) in
        [(Method::HEAD, "200 OK", Some("7")), (Method::GET, "204 No Content", None), (Method::GET, "304 Not Modified", Some("7"))]
    {
        let header = length.map(|length| format!("Content-Length: {length}\r\n")).unwrap_or_default();
        let (other, _) = Other::saying(format!("HTTP/1.1 {status}\r\n{header}ETag: \"x\"\r\n\r\n"));
        let answer = ask(&other.proxy(), Request::builder().method(method).uri("/").body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status().as_str(), &status[..3]);
        assert_eq!(answer.headers().get(header::CONTENT_LENGTH).map(|length| length.to_str().unwrap()), length, "{status}");
        assert_eq!(answer.headers()[header::ETAG], "\"x\"");
        assert_eq!(text(answer).await, "");
    }
}

#[tokio::test]
async fn however_a_body_is_framed_it_arrives() {
    for (headers, body) in [
        ("Content-Length: 5", "hello"),
        ("Content-Length: 5\r\nContent-Length: 5", "hello"),
        ("Transfer-Encoding: chunked", "2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\nX-Sum: 1\r\n\r\n"),
        ("Transfer-Encoding: chunked\r\nContent-Length: 3", "5\r\nhello\r\n0\r\n\r\n"),
        ("X-Ends: with the connection", "hello"),
    ] {
        let (other, _) = Other::saying(format!("HTTP/1.1 200 OK\r\n{headers}\r\n\r\n{body}"));
        let answer = ask(&other.proxy(), get("/")).await;
        let chunked = headers.contains("chunked");
        let lengths: Vec<_> = answer.headers().get_all(header::CONTENT_LENGTH).iter().collect();
        assert!(lengths.iter().all(|length| !chunked && *length == "5") && lengths.len() < 2, "{headers}: {lengths:?}");
        let collected = answer.into_body().collect().await.unwrap();
        assert!(collected.trailers().is_none());
        assert_eq!(collected.to_bytes(), "hello", "{headers}");
    }
}

#[tokio::test]
async fn what_comes_before_the_response_is_left_out() {
    let (other, _) = Other::saying(
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    );
    let answer = ask(&other.proxy(), get("/")).await;
    assert_eq!((answer.status(), answer.headers().get(header::LINK)), (StatusCode::OK, None));
    assert_eq!(text(answer).await, "ok");
}

#[tokio::test]
async fn the_upstream_waits_for_a_visitor_who_reads_slowly() {
    const PIECE: usize = 16 * 1024;
    const PIECES: usize = 2048;
    let sent = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&sent);
    let other = Other::http(move |_| {
        let counter = Arc::clone(&counter);
        let pieces = (0..PIECES).map(move |_| {
            counter.fetch_add(1, Ordering::Relaxed);
            Ok::<_, BoxError>(Bytes::from(vec![7; PIECE]))
        });
        async move { Response::new(reply(stream(pieces))) }
    });
    let answer = ask(&other.proxy(), get("/")).await;
    let mut before = usize::MAX;
    while sent.load(Ordering::Relaxed) != before {
        before = sent.load(Ordering::Relaxed);
        sleep(Duration::from_millis(50)).await;
    }
    assert!(before < PIECES / 4, "{before} pieces wait in memory");
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes().len(), PIECE * PIECES);
}

#[tokio::test]
async fn a_request_body_that_fails_says_whose_doing_it_is() {
    let other = Other::http(|request| async move {
        let _ = request.into_body().collect().await;
        Response::new(boxed("too late"))
    });
    let limited = Body::new(Limited::new(stream(["abc", "def"].map(|piece| Ok(piece.into()))), 5));
    let left = stream([Ok("abc".into()), Err(io::Error::other("left").into())]);
    let mut declared = post(stream(["abc", "def"].map(|piece| Ok(piece.into()))));
    declared.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from_static("5"));
    for (request, expected) in [
        (post(limited), Failure::new(StatusCode::PAYLOAD_TOO_LARGE, code::BODY_TOO_LARGE)),
        (post(left), Failure::new(StatusCode::BAD_REQUEST, code::BODY_CUT)),
        (declared, Failure::new(StatusCode::BAD_REQUEST, code::VIOLATION)),
    ] {
        assert_eq!(failure(&ask(&other.proxy(), request).await), expected);
    }
}

#[tokio::test]
async fn an_answer_may_come_before_the_body_has_gone() {
    let other = Other::http(|_| async { Response::builder().status(403).body(boxed("no")).unwrap() });
    let endless = Body::new(StreamBody::new(tokio_stream::pending::<Result<Frame<Bytes>, BoxError>>()));
    let answer = ask(&other.proxy(), post(endless)).await;
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    assert_eq!(text(answer).await, "no");
}

#[tokio::test]
async fn a_visitor_who_leaves_is_not_worked_for() {
    let other = Other::new();
    let (ended, mut ends) = tokio::sync::mpsc::unbounded_channel();
    other.listen(move |number, mut stream| {
        let ended = ended.clone();
        async move {
            read_head(&mut stream).await;
            if number == 1 {
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc").await.unwrap();
            }
            ended.send(None).unwrap();
            ended.send(Some(stream.read(&mut [0; 8]).await.unwrap())).unwrap();
        }
    });
    let proxy = other.proxy();
    let waiting = tokio::spawn(proxy.clone().call(get("/")));
    assert_eq!(ends.recv().await, Some(None), "the request is there");
    waiting.abort();
    assert_eq!(ends.recv().await, Some(Some(0)), "before the head of the response");
    drop(ask(&proxy, get("/")).await);
    assert_eq!(ends.recv().await, Some(None));
    assert_eq!(ends.recv().await, Some(Some(0)), "in the middle of its body");
}

#[tokio::test]
async fn nobody_gets_a_tunnel() {
    let other = Other::http(|_| async { Response::new(boxed("tunnel")) });
    let request = Request::builder().method(Method::CONNECT).uri("evil.example:25").body(Body::empty()).unwrap();
    assert_eq!(failure(&ask(&other.proxy(), request).await).status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(other.accepted(), 0);
}

/// What is written to a server that has left fails while its answer waits to be read. Which of the two is noticed first is chance, so that it is tried often.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_refuses_a_body_and_leaves_is_heard() {
    for _ in 0..100 {
        let (other, _) = Other::saying("HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno");
        let body = stream((0..512).map(|_| Ok(Bytes::from(vec![0; 16 * 1024]))));
        let answer = ask(&other.proxy(), post(body)).await;
        assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(text(answer).await, "no");
    }
}

#[tokio::test]
async fn what_a_web_server_says_of_a_visitor_is_told() {
    let other = Other::http(|request| async move {
        let of = |name: &str| request.headers().get(name).map_or_else(String::new, |value| value.to_str().unwrap().to_owned());
        let head = [
            request.method().to_string(),
            request.uri().to_string(),
            of("host"),
            of("x-forwarded-for"),
            of("x-forwarded-proto"),
            of("transfer-encoding"),
        ];
        Response::new(boxed(head.join(" ")))
    });
    let request =
        Request::get("/a?b").header(header::HOST, "example.org").header("x-forwarded-for", "6.6.6.6, 192.0.2.7").body(Body::empty()).unwrap();
    // It comes from this machine, so that the last of the list is the visitor.
    let response = crate::testing::oneshot(other.proxy(), request).await.unwrap();
    assert_eq!(response.body(), "GET /a?b example.org 192.0.2.7 http ");
}
