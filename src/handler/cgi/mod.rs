//! `cgi`: a program that is started for each request (RFC 3875). What it shares with `fastcgi` lies here too: variables, bodies, the way a response is read.

mod ending;
pub(crate) mod output;
mod process;
pub(crate) mod stderr;
#[cfg(test)]
pub(crate) mod testing;
pub(crate) mod upload;
pub(crate) mod vars;

use self::{
    output::{Broke, answer},
    process::Running,
    upload::{Measured, failure_of},
    vars::{Place, Vars, decoded},
};
use super::{Answer, Answering, failure::Failure};
use crate::{body::Body, config, diagnostic::codes, error::BoxError};
use http::{Request, StatusCode, request::Parts};
use std::{
    ffi::OsStr,
    fmt::Display,
    os::unix::ffi::OsStrExt as _,
    path::Path,
    process::Command,
    sync::Arc,
    task::{Context, Poll},
};
use tower_service::Service;

/// Where programs look for others. Nothing of our own environment reaches them.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// Runs a program for each request, in the folder that it lies in.
///
/// It gets the variables of RFC 3875 and those of the configuration, which win, and never an argument: a query without `=` as one (4.4) has opened too many doors
/// (CVE-2012-1823). It is killed when the visitor leaves. What it writes to stderr goes to the log.
///
/// Answers with 502 when the program cannot be started, or fails before its header block is complete; when it fails later its body ends with an error.
#[derive(Debug, Clone)]
pub(crate) struct Cgi(Arc<Program>);

#[derive(Debug)]
struct Program {
    settings: config::model::Cgi,
    /// What the log calls it.
    name: Arc<str>,
}

impl Cgi {
    pub(crate) fn new(settings: config::model::Cgi) -> Self {
        let name = settings.program.file_name().unwrap_or(settings.program.as_os_str()).to_string_lossy().into();
        Self(Arc::new(Program { settings, name }))
    }
}

impl Service<Request<Body>> for Cgi {
    type Response = Answer;
    type Error = BoxError;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Answering {
        let program = Arc::clone(&self.0);
        Box::pin(async move { Ok(program.run(request).await.unwrap_or_else(Failure::answer)) })
    }
}

impl Program {
    async fn run(&self, request: Request<Body>) -> Result<Answer, Failure> {
        let (parts, body) = request.into_parts();
        let Place { base, rest } = Place::of(&parts);
        let path_info = decoded(&rest);
        if path_info.contains(&0) || base.contains(&0) {
            // It cannot stand in a variable, and nobody honest sends it.
            return Err(Failure::new(StatusCode::BAD_REQUEST, codes::HOSTILE_PATH));
        }
        let body = Measured::new(&parts.headers, body).await?;
        let command = self.command(&parts, body.length, &base, &path_info);
        let running =
            Running::start(command, body, Arc::clone(&self.name)).map_err(|error| self.failed(&format_args!("cannot be started: {error}")))?;
        answer(running).await.map_err(|broke| match broke {
            Broke::Request(error) => failure_of(&*error),
            Broke::Program(what) => self.failed(&what),
        })
    }

    fn failed(&self, what: &dyn Display) -> Failure {
        tracing::warn!(target: "lodger", "{}: the program {} {what}", codes::CGI_PROGRAM, self.settings.program.display());
        Failure::new(StatusCode::BAD_GATEWAY, codes::CGI_PROGRAM)
    }

    fn command(&self, parts: &Parts, length: Option<u64>, base: &[u8], path_info: &[u8]) -> Command {
        let program = &self.settings.program;
        let mut vars = Vars::of_request(parts, length);
        vars.put("SCRIPT_NAME", base);
        vars.put("SCRIPT_FILENAME", program.as_os_str().as_bytes());
        if !path_info.is_empty() {
            vars.put("PATH_INFO", path_info);
        }
        let mut command = Command::new(program);
        command.env_clear().env("PATH", PATH).current_dir(program.parent().unwrap_or(Path::new("/")));
        command.envs(vars.iter().map(|(name, value)| (name, OsStr::from_bytes(value))));
        command.envs(self.settings.env.iter().map(|(name, value)| (name, value)));
        command
    }
}

#[cfg(test)]
#[path = "program_tests.rs"]
mod program_tests;
