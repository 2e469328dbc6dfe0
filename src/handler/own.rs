//! `serve`: what lodger tells about itself. What is counted and shown grows with what is observed.

use super::{Answer, empty, full};
use crate::{body::Body, ext::RequestExt as _};
use http::{HeaderValue, Request, StatusCode, header};

/// That the process answers.
pub(super) fn health() -> Answer {
    text("ok\n".to_owned(), "text/plain; charset=utf-8")
}

/// The process in numbers, in the text format of Prometheus.
pub(super) fn metrics() -> Answer {
    let version = env!("CARGO_PKG_VERSION");
    let lines = format!("# HELP lodger_info The version of lodger.\n# TYPE lodger_info gauge\nlodger_info{{version=\"{version}\"}} 1\n");
    text(lines, "text/plain; version=0.0.4; charset=utf-8")
}

/// How this request came here.
pub(super) fn status(request: &Request<Body>) -> Answer {
    let gateway = request.gateway().map_or("none", crate::Gateway::as_str);
    let lines = format!(
        "lodger {}\npid {}\ngateway {gateway}\nweb server {}\nsite {}\nmount {}\n",
        env!("CARGO_PKG_VERSION"),
        std::process::id(),
        request.profile().name(),
        request.site().unwrap_or("none"),
        request.mount()
    );
    text(lines, "text/plain; charset=utf-8")
}

fn text(text: String, kind: &'static str) -> Answer {
    let mut answer = empty(StatusCode::OK);
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    *answer.body_mut() = full(text);
    answer
}
