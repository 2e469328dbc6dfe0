//! `fastcgi`: a FastCGI server such as PHP-FPM.

mod exchange;
mod script;

use self::{
    exchange::Exchange,
    script::{Found, Script, find},
};
use super::{
    Answer, Answering,
    cgi::{
        output::{Broke, answer},
        upload::{Measured, failure_of},
        vars::{Place, Vars},
    },
    failure::Failure,
    redirect::to_slash,
    upstream::door::Door,
};
use crate::{body::Body, config, diagnostic::codes, error::BoxError, ext::RequestExt as _};
use http::{Request, StatusCode, request::Parts};
use std::{
    os::unix::ffi::OsStrExt as _,
    path::PathBuf,
    sync::Arc,
    task::{Context, Poll},
};
use tower_service::Service;

/// What PHP wants to see before it runs a file: that a server sent the request there (`cgi.force_redirect`).
const REDIRECT_STATUS: &str = "200";

/// Has a FastCGI server such as PHP-FPM run the scripts of a folder.
///
/// The path below the route's prefix names a script in `root` and what it is told behind that; for what does not exist the `index` of the root answers. A file that is no
/// script is not found here: another route serves it. No file is ever run that does not end in `.php` or lies outside the root, links followed.
///
/// Each request has a connection of its own, which ends with the answer. PHP-FPM gives a worker to each connection for as long as it is open, and there are few: connections
/// that are kept for later would leave visitors waiting for workers that wait for us.
///
/// Answers with 502 when the server cannot be reached or breaks off before the head of its answer, with 503 for a while after the first; a body that breaks off later ends
/// with an error. The time until the head is limited by the route.
#[derive(Debug, Clone)]
pub(crate) struct FastCgi(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    door: Door,
    root: PathBuf,
    index: String,
}

impl FastCgi {
    pub(crate) fn new(settings: config::model::FastCgi) -> Self {
        let config::model::FastCgi { upstream, root, index, connect_timeout, fail_for } = settings;
        Self(Arc::new(Inner { door: Door::new(upstream, connect_timeout, fail_for), root, index }))
    }
}

impl Service<Request<Body>> for FastCgi {
    type Response = Answer;
    type Error = BoxError;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Answering {
        let inner = Arc::clone(&self.0);
        Box::pin(async move { Ok(inner.run(request).await.unwrap_or_else(|answer| answer)) })
    }
}

impl Inner {
    async fn run(&self, request: Request<Body>) -> Result<Answer, Answer> {
        let (parts, body) = request.into_parts();
        let Place { base, rest } = Place::of(&parts);
        let script = match find(&self.root, &rest, &self.index) {
            Found::Script(script) => script,
            Found::WithoutSlash => return Ok(to_slash(parts.original_uri().unwrap_or(&parts.uri))),
            Found::Nothing => return Err(Failure::NOT_FOUND.answer()),
            Found::Hostile => return Err(Failure::new(StatusCode::BAD_REQUEST, codes::HOSTILE_PATH).answer()),
            Found::Unreadable(path, error) => {
                tracing::warn!(target: "lodger", "{}: {} cannot be read: {error}", codes::FILE_UNREADABLE, path.display());
                return Err(Failure::new(StatusCode::INTERNAL_SERVER_ERROR, codes::FILE_UNREADABLE).answer());
            }
        };
        let body = Measured::new(&parts.headers, body).await.map_err(Failure::answer)?;
        let vars = vars(&parts, body.length, &base, script);
        let stream = self.door.connect().await?;
        answer(Exchange::new(stream, &vars, body)).await.map_err(|broke| self.failed(broke).answer())
    }

    fn failed(&self, broke: Broke) -> Failure {
        match broke {
            Broke::Request(error) => failure_of(&*error),
            Broke::Program(what) => {
                tracing::warn!(target: "lodger", "{}: {} {what}", codes::UPSTREAM_BROKE, self.door.name());
                Failure::new(StatusCode::BAD_GATEWAY, codes::UPSTREAM_BROKE)
            }
        }
    }
}

/// All variables; those of the script as nginx sets them with `fastcgi_split_path_info`.
fn vars(parts: &Parts, length: Option<u64>, base: &[u8], script: Script) -> Vars {
    let Script { file, root, name, path_info } = script;
    let name = [base, &name].concat();
    let mut vars = Vars::of_request(parts, length);
    vars.put("SCRIPT_FILENAME", file.as_os_str().as_bytes());
    vars.put("DOCUMENT_ROOT", root.as_os_str().as_bytes());
    vars.put("DOCUMENT_URI", [&name[..], &path_info].concat());
    vars.put("SCRIPT_NAME", name);
    if !path_info.is_empty() {
        vars.put("PATH_INFO", path_info);
    }
    vars.put("REDIRECT_STATUS", REDIRECT_STATUS);
    vars
}

#[cfg(test)]
#[path = "php_tests.rs"]
mod php_tests;
#[cfg(test)]
#[path = "server_tests.rs"]
mod server_tests;
