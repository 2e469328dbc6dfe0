//! The test application: one plain axum router. Tests, benches and demos ask for its routes, each of which shows one
//! thing that a web server and an app can do to each other.

use std::error::Error as StdError;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::iter;
use std::path::Path as FilePath;
use std::process::{self, ExitCode};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::extract::ws::{Message, WebSocketUpgrade};
use axum::extract::{Path, Query, Request};
use axum::http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use axum::{Extension, Json, Router};
use futures_util::stream::{self, Stream, StreamExt as _, TryStreamExt as _};
use http_body_util::LengthLimitError;
use lodger::{FilterData, RequestExt as _, Variables};
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokio::time::sleep;
use tower::util::MapRequestLayer;

/// The largest piece in which a body is sent.
const CHUNK: usize = 32 * 1024;

/// No header is made longer than this: a longer one tests only how much memory the machine has.
const LONGEST_HEADER: usize = 16 * 1024 * 1024;

static FILLER: [u8; CHUNK] = [b'x'; CHUNK];

/// Requests that this process has begun.
static BEGUN: AtomicU64 = AtomicU64::new(0);

/// Requests to `/slow` that were given up before they were done.
static CANCELLED: AtomicU64 = AtomicU64::new(0);

/// The text of the file `generation` beside the binary. A test that replaces the binary writes the file anew, and sees
/// by this which of the two programs answered.
static GENERATION: LazyLock<String> = LazyLock::new(generation_beside_the_binary);

fn main() -> ExitCode {
    // The file may change while the process lives; what counts is what it said at the start.
    LazyLock::force(&GENERATION);
    lodger::run(start)
}

/// Waits as many milliseconds as a file `start-delay` beside the binary says, and fails with the text of a file `start-error`, where there are such files.
async fn start() -> Result<Router, String> {
    if let Some(ms) = beside_the_binary("start-delay").ok().and_then(|ms| ms.parse().ok()) {
        sleep(Duration::from_millis(ms)).await;
    }
    beside_the_binary("start-error").map_or_else(|_| Ok(router()), Err)
}

fn router() -> Router {
    Router::new()
        .route("/hello", get(|| async { text("hello, world\n") }))
        .route("/env", any(env))
        .route("/echo", any(echo))
        .route("/count", any(count))
        .route("/big", get(big))
        .route("/sse", get(sse))
        .route("/slow", get(slow).post(slow))
        .route("/cancelled", get(cancelled))
        .route("/spin", get(spin))
        .route("/panic", get(|| async { panic_on_purpose::<Response>() }))
        .route("/overflow", get(|| async { text(use_up_stack(0).to_string()) }))
        .route("/panic-late", get(panic_late))
        .route("/fail-late", get(fail_late))
        .route("/noread", any(noread))
        .route("/early", any(early))
        .route("/status/{code}", any(status))
        .route("/headers", get(headers))
        .route("/cookies", get(cookies))
        .route("/redirect", get(redirect))
        .route("/stderr", get(stderr))
        .route("/send-file", get(send_file))
        .route("/pid", get(pid))
        .route("/background", get(background))
        .route("/grant", any(grant))
        .route("/filter", any(filter))
        .route("/environ", get(environ))
        .route("/ws", any(ws))
        .layer(MapRequestLayer::new(|request: Request| {
            BEGUN.fetch_add(1, Relaxed);
            request
        }))
}

/// What most routes are told by their query. Everything has a default.
#[derive(Deserialize)]
#[serde(default)]
struct Knobs {
    /// How many, or how many bytes.
    n: u64,
    /// How many milliseconds.
    ms: u64,
    /// How many bytes each.
    len: usize,
    /// Whether a `Content-Length` is declared: 1 is yes.
    cl: u8,
    /// Whether each event is to reach the visitor at once, whatever it costs: 1 is yes.
    pad: u8,
    /// A path.
    path: String,
    /// The same file as nginx knows it.
    accel: String,
    /// What to write to the log.
    text: String,
    /// A status code.
    code: u16,
}

impl Default for Knobs {
    fn default() -> Self {
        Self { n: 0, ms: 0, len: 0, cl: 0, pad: 0, path: String::new(), accel: String::new(), text: String::new(), code: 302 }
    }
}

impl Knobs {
    fn pause(&self) -> Duration {
        Duration::from_millis(self.ms)
    }

    fn declares_length(&self) -> bool {
        self.cl == 1
    }
}

/// The target of a redirect, the one parameter without a default.
#[derive(Deserialize)]
struct Target {
    to: String,
}

/// A request that makes no sense to this app, or that could not be read.
struct Refused(StatusCode, String);

impl Refused {
    fn bad_request(why: &str) -> Self {
        Self(StatusCode::BAD_REQUEST, why.to_owned())
    }
}

impl From<axum::Error> for Refused {
    fn from(error: axum::Error) -> Self {
        let first: &(dyn StdError + 'static) = &error;
        let too_long = iter::successors(Some(first), |error| (*error).source()).any(|error| error.is::<LengthLimitError>());
        let status = if too_long { StatusCode::PAYLOAD_TOO_LARGE } else { StatusCode::BAD_REQUEST };
        Self(status, error.to_string())
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.0, text(self.1 + "\n")).into_response()
    }
}

type Answer = Result<Response, Refused>;

/// A plain text answer. The header is set here, because axum would add a charset to it.
fn text(body: impl Into<Body>) -> Response {
    ([(CONTENT_TYPE, HeaderValue::from_static("text/plain"))], body.into()).into_response()
}

/// A body of unknown length, or of the length that it claims to have.
fn streamed<S>(body: S, declared: Option<u64>) -> Response
where
    S: Stream<Item = io::Result<Bytes>> + Send + 'static,
{
    let mut response = text(Body::from_stream(body));
    if let Some(length) = declared {
        response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    response
}

/// `n` bytes in chunks that are made when they are asked for.
fn filler(n: u64) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    let mut left = n;
    stream::iter(iter::from_fn(move || {
        let size = usize::try_from(left).map_or(CHUNK, |left| left.min(CHUNK));
        left -= size as u64;
        (size > 0).then(|| Ok(Bytes::from_static(&FILLER[..size])))
    }))
}

/// Valid UTF-8 as it is, every other byte as `\xNN`, and a backslash doubled, so that the two cannot be confused.
fn escaped(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(&chunk.valid().replace('\\', r"\\"));
        for byte in chunk.invalid() {
            // Writing to a string does not fail.
            let _ = write!(text, r"\x{byte:02x}");
        }
    }
    text
}

async fn env(request: Request) -> Response {
    let headers: Vec<_> = request.headers().iter().map(|(name, value)| (name.as_str().to_owned(), escaped(value.as_bytes()))).collect();
    let vars: Vec<_> = request.cgi_vars().iter().map(|(name, value)| (escaped(name), escaped(value))).collect();
    Json(json!({
        "method": request.method().as_str(),
        "uri": request.uri().to_string(),
        "original_uri": request.original_uri().map(ToString::to_string),
        "version": format!("{:?}", request.version()),
        "scheme": request.scheme(),
        "host": request.host(),
        "mount": request.mount(),
        "remote": request.remote_addr().map(|address| address.to_string()),
        "role": format!("{:?}", request.role()),
        "gateway": request.gateway().map(|gateway| gateway.to_string()),
        "profile": request.profile().name(),
        "listener": request.listener(),
        "pid": process::id(),
        "generation": *GENERATION,
        "headers": headers,
        "vars": vars,
    }))
    .into_response()
}

async fn echo(request: Request) -> Response {
    let kind = request.headers().get(CONTENT_TYPE).cloned();
    let mut response = text(request.into_body());
    if let Some(kind) = kind {
        response.headers_mut().insert(CONTENT_TYPE, kind);
    }
    response
}

async fn count(request: Request) -> Answer {
    Ok(text(counted(request.into_body()).await? + "\n"))
}

async fn counted(body: Body) -> Result<String, Refused> {
    let mut body = body.into_data_stream();
    let (mut bytes, mut hash) = (0, Sha256::new());
    while let Some(chunk) = body.next().await {
        let chunk = chunk?;
        bytes += chunk.len();
        hash.update(&chunk);
    }
    let sum: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("{bytes} {sum}"))
}

/// What an Authorizer says to let a request pass, with more than may go out.
async fn grant(request: Request) -> Answer {
    let target = request.uri().to_string();
    let body = counted(request.into_body()).await?;
    let variables = Variables::new().with("Seen_Target", target).and_then(|variables| variables.with("SEEN_BODY", body));
    let variables = variables.map_err(|error| Refused::bad_request(&error.to_string()))?;
    Ok((Extension(variables), [("variable-user_id", "7"), ("set-cookie", "seen=1")], text("nobody reads this\n")).into_response())
}

/// Counts the request body and the file of a Filter, that with `text=data` first.
async fn filter(Query(knobs): Query<Knobs>, request: Request) -> Answer {
    let data = request.extensions().get::<FilterData>().and_then(FilterData::take).map_or_else(Body::empty, Body::new);
    let (first, second) = if knobs.text == "data" { (data, request.into_body()) } else { (request.into_body(), data) };
    Ok(text(format!("{}\n{}\n", counted(first).await?, counted(second).await?)))
}

async fn big(Query(knobs): Query<Knobs>) -> Response {
    streamed(filler(knobs.n), knobs.declares_length().then_some(knobs.n))
}

async fn sse(Query(knobs): Query<Knobs>) -> Response {
    let pad = knobs.pad == 1;
    let events = stream::unfold(0, move |index| {
        let (n, pause) = (knobs.n, knobs.pause());
        async move {
            if index == n {
                return None;
            }
            if index > 0 {
                sleep(pause).await;
            }
            Some((Ok(Bytes::from(format!("data: {index}\n\n"))), index + 1))
        }
    });
    let mut response = streamed(events, None);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if pad {
        response.extensions_mut().insert(lodger::FlushPadding);
        return response;
    }
    let headers = response.headers_mut();
    // What everybody does who sends events through nginx, which holds them back otherwise.
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    response
}

/// Counts itself when it is dropped before the request is done.
struct GivenUp;

impl Drop for GivenUp {
    fn drop(&mut self) {
        CANCELLED.fetch_add(1, Relaxed);
    }
}

async fn slow(Query(knobs): Query<Knobs>) -> Response {
    let unfinished = GivenUp;
    sleep(knobs.pause()).await;
    std::mem::forget(unfinished);
    text("done\n")
}

async fn cancelled() -> Response {
    text(format!("{}\n", CANCELLED.load(Relaxed)))
}

/// Holds the thread on purpose: this is the handler that computes too long.
async fn spin(Query(knobs): Query<Knobs>) -> Response {
    let start = Instant::now();
    while start.elapsed() < knobs.pause() {
        std::hint::spin_loop();
    }
    text("done\n")
}

#[allow(clippy::panic, reason = "a panicking handler is what the tests ask for")]
fn panic_on_purpose<T>() -> T {
    panic!("a panic on purpose")
}

/// Calls itself until there is no stack left.
fn use_up_stack(depth: u64) -> u64 {
    let frame = std::hint::black_box([depth; 64]);
    if depth == u64::MAX { 0 } else { use_up_stack(depth + 1) + frame.iter().sum::<u64>() }
}

async fn panic_late(Query(knobs): Query<Knobs>) -> Response {
    streamed(filler(knobs.n).chain(stream::once(async { panic_on_purpose() })), None)
}

async fn fail_late(Query(knobs): Query<Knobs>) -> Response {
    let failure = stream::once(async { Err(io::Error::other("a body that fails on purpose")) });
    streamed(filler(knobs.n).chain(failure), knobs.declares_length().then(|| knobs.n.saturating_add(1)))
}

async fn noread() -> Response {
    (StatusCode::PAYLOAD_TOO_LARGE, text("too big\n")).into_response()
}

async fn early(Query(knobs): Query<Knobs>, request: Request) -> Response {
    let body = request.into_body().into_data_stream();
    let rest = stream::once(async move {
        let bytes = body.map_err(io::Error::other).try_fold(0, |bytes, chunk| async move { Ok(bytes + chunk.len()) }).await?;
        Ok(Bytes::from(format!("{bytes}\n")))
    });
    streamed(filler(knobs.n).chain(rest), None)
}

async fn status(Path(code): Path<u16>) -> Answer {
    let status = StatusCode::from_u16(code).map_err(|_| Refused::bad_request("not a status code"))?;
    let without_body = status.is_informational() || [StatusCode::NO_CONTENT, StatusCode::RESET_CONTENT, StatusCode::NOT_MODIFIED].contains(&status);
    let body = if without_body { Response::default() } else { text(format!("{code}\n")) };
    Ok((status, body).into_response())
}

async fn headers(Query(knobs): Query<Knobs>) -> Answer {
    if knobs.len > LONGEST_HEADER {
        return Err(Refused::bad_request("len is too large"));
    }
    let value = HeaderValue::from_maybe_shared(Bytes::from(vec![b'v'; knobs.len])).map_err(|_| Refused::bad_request("not a header value"))?;
    let mut headers = HeaderMap::new();
    for index in 0..knobs.n {
        let name = HeaderName::try_from(format!("x-h-{index}")).map_err(|_| Refused::bad_request("not a name"))?;
        headers.try_append(name, value.clone()).map_err(|_| Refused::bad_request("n is too large"))?;
    }
    Ok((headers, text("ok\n")).into_response())
}

async fn cookies(Query(knobs): Query<Knobs>) -> Answer {
    let mut headers = HeaderMap::new();
    for index in 0..knobs.n {
        let value = HeaderValue::try_from(format!("c{index}=v{index}")).map_err(|_| Refused::bad_request("not a header value"))?;
        headers.try_append(SET_COOKIE, value).map_err(|_| Refused::bad_request("n is too large"))?;
    }
    Ok((headers, text("ok\n")).into_response())
}

async fn redirect(Query(knobs): Query<Knobs>, Query(target): Query<Target>) -> Answer {
    let code = StatusCode::from_u16(knobs.code).map_err(|_| Refused::bad_request("not a status code"))?;
    let location = HeaderValue::from_bytes(target.to.as_bytes()).map_err(|_| Refused::bad_request("not a header value"))?;
    Ok((code, [(LOCATION, location)], text("elsewhere\n")).into_response())
}

async fn stderr(Query(knobs): Query<Knobs>) -> Response {
    tracing::warn!("{}", knobs.text);
    text("ok\n")
}

/// The names in the environment of this process, which is that of its children: what is none of their business is not there.
async fn environ() -> String {
    std::env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned() + "\n").collect()
}

/// A body of its own, and the wish that the web server sends a file instead.
async fn send_file(Query(knobs): Query<Knobs>) -> Response {
    let mut response = text("from the app\n");
    let mut file = lodger::SendFile::new(knobs.path).with_x_sendfile();
    if !knobs.accel.is_empty() {
        file = file.with_accel_redirect(knobs.accel);
    }
    response.extensions_mut().insert(file);
    response
}

async fn pid() -> Response {
    text(format!("{} {} {}\n", process::id(), BEGUN.load(Relaxed), *GENERATION))
}

async fn background(Query(knobs): Query<Knobs>) -> Answer {
    let folder = lodger::state_dir().map_err(|error| Refused(StatusCode::INTERNAL_SERVER_ERROR, format!("no state directory: {error}")))?;
    lodger::background(async move {
        sleep(knobs.pause()).await;
        if let Err(error) = append_line(&folder.join("background.log"), knobs.ms) {
            tracing::error!("background.log: {error}");
        }
    });
    Ok(text("ok\n"))
}

/// `GET /ws`: a WebSocket that sends back every text and every binary message, until the client closes it.
async fn ws(upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(|mut socket| async move {
        while let Some(Ok(message)) = socket.recv().await {
            if matches!(message, Message::Text(_) | Message::Binary(_)) && socket.send(message).await.is_err() {
                return;
            }
        }
    })
}

fn append_line(file: &FilePath, ms: u64) -> io::Result<()> {
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(file)?;
    // One write, so that the lines of several processes do not mix.
    file.write_all(format!("process {} waited {ms} ms\n", process::id()).as_bytes())
}

fn generation_beside_the_binary() -> String {
    beside_the_binary("generation").unwrap_or_else(|_| "0".to_owned())
}

fn beside_the_binary(name: &str) -> io::Result<String> {
    let text = std::fs::read_to_string(std::env::current_exe()?.with_file_name(name))?;
    Ok(text.trim().to_owned())
}
