//! `files`: what lies in a folder, and nothing that does not.
//!
//! Only names that a site wants to show are ever looked up: none that begins with a dot, but for `.well-known` at the top, none with a slash, a backslash or a control character in it,
//! and no link that leads out of the root or to another owner. All of those are 404, as is a folder that shows nothing, so that nobody learns what is there.
//!
//! Reading is done on tokio's threads for blocking work, since no kernel of a web space reads files without blocking.

mod find;
mod listing;
mod opened;
mod path;
mod send;

#[cfg(test)]
mod answer_tests;
#[cfg(test)]
mod hostile_tests;

use self::{
    find::{Found, Miss},
    opened::Checked,
    path::Names,
};
use super::{Answer, Answering, Matched, empty, failure::Failure, redirect::to_slash};
use crate::{body::Body, config::model, diagnostic::codes as code, error::BoxError, ext::RequestExt as _};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri, header};
use std::{
    io,
    os::unix::ffi::OsStrExt as _,
    path::Path,
    sync::Arc,
    task::{Context, Poll},
};
use tower_service::Service;

/// What a folder of files can be asked.
const ALLOWED: HeaderValue = HeaderValue::from_static("GET, HEAD, OPTIONS");

/// A service that answers with what lies in a folder, or with one file.
#[derive(Debug, Clone)]
pub(crate) struct Files(Arc<model::Files>);

impl Files {
    /// A `root` that is a file answers for `/` alone.
    pub(crate) fn new(files: model::Files) -> Self {
        Self(Arc::new(files))
    }
}

/// What is needed of a request.
struct Ask {
    path: String,
    /// As the visitor wrote it, for where it is sent to.
    original: Uri,
    headers: HeaderMap,
    head: bool,
}

/// What the disk said.
enum Looked {
    File { file: Checked, fallback: bool },
    Answer(Answer),
}

impl Service<Request<Body>> for Files {
    type Response = Answer;
    type Error = BoxError;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Answering {
        let head = match *request.method() {
            Method::GET => false,
            Method::HEAD => true,
            // It asks what can be done (RFC 9110 section 9.3.7), which is a question that has an answer, so it is no 405. Whether the file exists is not told.
            Method::OPTIONS => return Box::pin(async { Ok(allowing(empty(StatusCode::NO_CONTENT))) }),
            _ => return Box::pin(async { Ok(allowing(Failure { status: StatusCode::METHOD_NOT_ALLOWED, code: None }.answer())) }),
        };
        let path = request.extensions().get::<Matched>().map_or(request.uri().path(), |matched| &matched.rest).to_owned();
        let original = request.original_uri().unwrap_or(request.uri()).clone();
        let ask = Ask { path, original, headers: request.into_parts().0.headers, head };
        let files = self.0.clone();
        Box::pin(answer(files, ask))
    }
}

fn allowing(mut answer: Answer) -> Answer {
    answer.headers_mut().insert(header::ALLOW, ALLOWED);
    answer
}

async fn answer(files: Arc<model::Files>, ask: Ask) -> Result<Answer, BoxError> {
    // What is refused for its form gets no fallback: no page of an app has such an address.
    let Some(names) = Names::of(&ask.path) else { return Ok(Failure::NOT_FOUND.answer()) };
    let (looked, files, ask) = tokio::task::spawn_blocking(move || (look(&files, &names, &ask), files, ask)).await?;
    let sent = match looked {
        Ok(Looked::Answer(answer)) => Ok(answer),
        Ok(Looked::File { file, fallback }) => {
            send::send(&files, &file, &ask.headers, ask.head).await.map(|answer| if fallback { fresh(answer) } else { answer })
        }
        Err(miss) => Err(miss),
    };
    Ok(sent.unwrap_or_else(|miss| missed(&miss)))
}

fn look(files: &model::Files, names: &Names, ask: &Ask) -> Result<Looked, Miss> {
    let (entry, fallback) = match find::find(files, names, !ask.original.path().ends_with('/')) {
        Ok(Found::File(entry)) => (entry, false),
        Ok(Found::Redirect) => return Ok(Looked::Answer(to_slash(&ask.original))),
        Ok(Found::Listing(listing)) => return Ok(Looked::Answer(listing::page(names, &listing, ask.head))),
        Err(Miss::Nothing) if is_page_of_an_app(names, &ask.headers) => (find::fallback(files)?, true),
        Err(miss) => return Err(miss),
    };
    let endings = if files.precompressed { send::ENDINGS.as_slice() } else { &[] };
    let variants = endings.iter().filter_map(|ending| find::variant(files, &entry, ending).map(|variant| (*ending, variant)));
    let variants = variants.collect();
    Ok(Looked::File { file: Checked::new(entry, variants), fallback })
}

/// Whether a path that names nothing may be a page that a single-page app draws, by the rules that developers know from `connect-history-api-fallback` (webpack, Vue) and Vite:
/// the visitor takes HTML and does not ask for JSON first, and the last name has no dot. A missing `app.3f2a.js` has to be 404: HTML in its place shows as a syntax error
/// in a script, and caches would keep it.
fn is_page_of_an_app(names: &Names, headers: &HeaderMap) -> bool {
    !names.last().as_bytes().contains(&b'.') && takes_html(headers)
}

fn takes_html(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(header::ACCEPT).iter().map(|line| line.to_str().unwrap_or_default().to_ascii_lowercase()).collect::<Vec<_>>();
    if lines.is_empty() {
        return true;
    }
    let mut ranges = lines.iter().flat_map(|line| line.split(',')).map(str::trim).filter(|range| !range.is_empty()).peekable();
    let json_first = ranges.peek().is_some_and(|range| range.starts_with("application/json"));
    !json_first && ranges.any(is_html)
}

/// Whether this range of `Accept` includes HTML and does not rule it out with a weight of zero.
fn is_html(range: &str) -> bool {
    let mut parts = range.split(';').map(str::trim);
    let kind = parts.next().unwrap_or_default();
    let refused = parts.any(|part| part.strip_prefix("q=").is_some_and(|weight| weight.parse() == Ok(0.0_f32)));
    matches!(kind, "text/html" | "text/*" | "*/*") && !refused
}

/// The page of an app names its scripts by names that change with each build, so that a kept one would ask for scripts that are gone.
fn fresh(mut answer: Answer) -> Answer {
    answer.headers_mut().entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-cache"));
    answer
}

fn missed(miss: &Miss) -> Answer {
    match miss {
        Miss::Nothing => Failure::NOT_FOUND.answer(),
        Miss::Unreadable(path, error) => unreadable(path, error),
    }
}

fn unreadable(path: &Path, error: &io::Error) -> Answer {
    tracing::warn!(target: "lodger", "{}: {path:?} cannot be read: {error}", code::FILE_UNREADABLE);
    let status = if error.kind() == io::ErrorKind::PermissionDenied { StatusCode::FORBIDDEN } else { StatusCode::INTERNAL_SERVER_ERROR };
    Failure::new(status, code::FILE_UNREADABLE).answer()
}
