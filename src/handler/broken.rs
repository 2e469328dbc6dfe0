//! A `lodger.toml` with mistakes: visitors are told that the site cannot answer, its operator what is wrong and where.

use super::{Answer, Failure, failure::with_page, full};
use crate::{
    body::Body,
    config::model::ErrorPages,
    diagnostic::{Mistakes, codes as code},
    life, sys,
};
use http::{HeaderValue, Request, StatusCode, header};
use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};
use subtle::ConstantTimeEq as _;

/// The file of the state directory in which the mistakes stand.
const ERRORS: &str = "config-errors.txt";

/// The file of the state directory with what an operator shows to see them on the page.
const TOKEN: &str = "token";

/// What the token is called in an address.
const QUERY: &str = "lodger-token=";

/// When a visitor may ask again.
const LATER: Duration = Duration::from_secs(5);

/// How many random bytes a token has.
const TOKEN_BYTES: usize = 20;

/// Where the state directory is: this folder, else the one of the program.
#[derive(Debug, Clone, Default)]
pub(super) struct StateFolder(Option<PathBuf>);

impl StateFolder {
    /// A folder of its own, so that tests leave that of the program alone.
    #[cfg(test)]
    pub(super) fn at(folder: &Path) -> Self {
        Self(Some(folder.to_owned()))
    }

    pub(super) fn find(&self) -> io::Result<&Path> {
        match &self.0 {
            Some(folder) => Ok(folder),
            None => life::state_dir(),
        }
    }
}

/// A configuration that cannot be used.
pub(super) struct Broken {
    mistakes: Mistakes,
    token: Option<String>,
}

impl Broken {
    /// Tells the operator at once, in the log and in the state directory.
    pub(super) fn new(mistakes: Mistakes, state: &StateFolder) -> Self {
        tell(&mistakes, "visitors see 503 until it is mended", state);
        let token = state.find().and_then(token);
        let token = token
            .inspect_err(|error| tracing::warn!(target: "lodger", "{}: there is no token to see it on the page: {error}", code::CONFIG_BROKEN))
            .ok();
        Self { mistakes, token }
    }

    /// The page for a visitor, or for the operator who shows the token.
    pub(super) fn answer(&self, request: &Request<Body>) -> Answer {
        let accept = request.headers().get(header::ACCEPT);
        let failure = Failure::new(StatusCode::SERVICE_UNAVAILABLE, code::CONFIG_BROKEN).answer_later(LATER);
        if !self.is_operator(request) {
            return with_page(failure, &ErrorPages::default(), accept);
        }
        let mut answer = failure;
        answer.extensions_mut().remove::<Failure>();
        answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        *answer.body_mut() = full(self.mistakes.to_string());
        answer
    }

    fn is_operator(&self, request: &Request<Body>) -> bool {
        let shown = request.uri().query().into_iter().flat_map(|query| query.split('&')).find_map(|pair| pair.strip_prefix(QUERY));
        match (&self.token, shown) {
            (Some(token), Some(shown)) => bool::from(token.as_bytes().ct_eq(shown.as_bytes())),
            _ => false,
        }
    }
}

/// Tells the operator what is wrong: a line for each mistake in the log, everything in the state directory.
pub(super) fn tell(mistakes: &Mistakes, meanwhile: &str, state: &StateFolder) {
    tracing::error!(target: "lodger", "{}: {} mistakes in {}: {meanwhile}", code::CONFIG_BROKEN, mistakes.len(), mistakes.path().display());
    for mistake in mistakes.iter() {
        let place = mistakes.place(mistake).map(|(line, column)| format!(":{line}:{column}")).unwrap_or_default();
        tracing::error!(target: "lodger", "{}: {}{place}: {}; {}", mistake.code, mistakes.path().display(), mistake.sentence, mistake.hint);
    }
    // Where there is no state directory, the log has said everything.
    if let Ok(folder) = state.find() {
        let _ = fs::write(folder.join(ERRORS), mistakes.to_string());
    }
}

/// Tells what is odd in a file that is used.
pub(crate) fn warn(mistakes: &Mistakes) {
    for mistake in mistakes.iter() {
        let place = mistakes.place(mistake).map(|(line, column)| format!(":{line}:{column}")).unwrap_or_default();
        tracing::warn!(target: "lodger", "{}: {}{place}: {}; {}", mistake.code, mistakes.path().display(), mistake.sentence, mistake.hint);
    }
}

/// The mistakes are mended.
pub(super) fn forget(state: &StateFolder) {
    if let Ok(folder) = state.find() {
        let _ = fs::remove_file(folder.join(ERRORS));
    }
}

/// The token of a state directory, which is made once. Several processes may want it at the same time, and get the same.
fn token(folder: &Path) -> io::Result<String> {
    let path = folder.join(TOKEN);
    match fs::read_to_string(&path) {
        Ok(text) if text.trim().len() >= TOKEN_BYTES => return Ok(text.trim().to_owned()),
        Ok(_) => fs::remove_file(&path)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    let text: String = sys::random_bytes::<TOKEN_BYTES>()?.iter().map(|byte| format!("{byte:02x}")).collect();
    io::Write::write_all(&mut file, format!("{text}\n").as_bytes())?;
    match file.persist_noclobber(&path) {
        Ok(_) => Ok(text),
        // Another process was first.
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(fs::read_to_string(&path)?.trim().to_owned()),
        Err(error) => Err(error.error),
    }
}
