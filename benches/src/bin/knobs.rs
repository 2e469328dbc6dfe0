//! A program whose size the environment decides: `ROUTES` in its router (1), `THREADS` that run it (1), and `HEADERS` of each response beside the usual ones (0).
//! `/hello` answers at once, `/spin?ms=M` keeps a core busy M milliseconds before it does.

use axum::{
    Router,
    extract::RawQuery,
    http::{HeaderName, HeaderValue},
    response::AppendHeaders,
    routing::get,
};
use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

const HELLO: &str = "hello, world\n";

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
    // What stands beside `/hello` has the shape of the paths of a site.
    let others = (1..routes).map(|n| format!("/section-{}/page-{n}/{{id}}", n % 100));
    others.fold(Router::new().route("/hello", hello).route("/spin", get(spin)), |router, path| router.route(&path, get(|| async { "another\n" })))
}

async fn spin(RawQuery(query): RawQuery) -> &'static str {
    let ms = query.as_deref().and_then(|query| query.strip_prefix("ms=")?.parse().ok()).unwrap_or(0);
    let (start, pause) = (Instant::now(), Duration::from_millis(ms));
    while start.elapsed() < pause {
        std::hint::spin_loop();
    }
    HELLO
}
