//! A program whose size the environment decides: `ROUTES` in its router (1), `THREADS` that run it (1), and `HEADERS` of each response beside the usual ones (0).
//! `/hello` answers at once, `/spin?ms=M` keeps a core busy M milliseconds before it does; `/early` reads the body and tells its length, `/big?n=N` sends N bytes.

use axum::{
    Router,
    body::{Body, Bytes},
    extract::RawQuery,
    http::{HeaderName, HeaderValue, StatusCode},
    response::AppendHeaders,
    routing::{get, post},
};
use futures_util::{TryStreamExt as _, stream};
use std::{
    convert::Infallible,
    iter,
    process::ExitCode,
    time::{Duration, Instant},
};

const HELLO: &str = "hello, world\n";

/// The pieces of a large body.
static FILLER: [u8; 32 * 1024] = [b'x'; 32 * 1024];

fn main() -> ExitCode {
    lodger::Program::new(|| router(knob("ROUTES", 1), knob("HEADERS", 0))).with_worker_threads(knob("THREADS", 1)).run()
}

fn knob(name: &str, usual: usize) -> usize {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(usual)
}

fn router(routes: usize, headers: usize) -> Router {
    let header = |n: usize| Some((HeaderName::try_from(format!("x-header-{n}")).ok()?, HeaderValue::from_static("a value of 22 letters.")));
    let headers: Vec<_> = (0..headers).filter_map(header).collect();
    let hello = if headers.is_empty() { get(|| async { HELLO }) } else { get(|| async { (AppendHeaders(headers), HELLO) }) };
    let fixed = Router::new().route("/hello", hello).route("/spin", get(spin)).route("/early", post(early)).route("/big", get(big));
    // What stands beside them has the shape of the paths of a site.
    let others = (1..routes).map(|n| format!("/section-{}/page-{n}/{{id}}", n % 100));
    others.fold(fixed, |router, path| router.route(&path, get(|| async { "another\n" })))
}

async fn spin(RawQuery(query): RawQuery) -> &'static str {
    let ms = asked(query.as_deref(), "ms=");
    let (start, pause) = (Instant::now(), Duration::from_millis(ms));
    while start.elapsed() < pause {
        std::hint::spin_loop();
    }
    HELLO
}

async fn early(body: Body) -> Result<String, StatusCode> {
    let count = |bytes, piece: Bytes| async move { Ok(bytes + piece.len()) };
    let bytes = body.into_data_stream().try_fold(0, count).await.map_err(|_| StatusCode::BAD_REQUEST)?;
    Ok(format!("{bytes}\n"))
}

async fn big(RawQuery(query): RawQuery) -> Body {
    let mut left = asked(query.as_deref(), "n=");
    let pieces = iter::from_fn(move || {
        let size = usize::try_from(left).map_or(FILLER.len(), |left| left.min(FILLER.len()));
        left -= size as u64;
        FILLER.get(..size).filter(|piece| !piece.is_empty()).map(Bytes::from_static)
    });
    Body::from_stream(stream::iter(pieces.map(Ok::<_, Infallible>)))
}

fn asked(query: Option<&str>, name: &str) -> u64 {
    query.and_then(|query| query.strip_prefix(name)?.parse().ok()).unwrap_or(0)
}
