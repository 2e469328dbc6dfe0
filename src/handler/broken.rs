//! A `lodger.toml` with mistakes: visitors are told that the site cannot answer, its operator what is wrong and where.

use super::{Answer, Failure, failure::with_page, full, once::write_once};
use crate::{
    body::Body,
    config::model::ErrorPages,
    diagnostic::{Mistake, Mistakes, codes as code},
    life, sys,
};
use http::{HeaderValue, Request, StatusCode, header};
use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
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

/// How many mistakes have a line in the log.
const MOST_LINES: usize = 20;

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
    for line in log_lines(mistakes) {
        tracing::error!(target: "lodger", "{line}");
    }
    // Where there is no state directory, the log has said everything.
    if let Ok(folder) = state.find() {
        // A file from long ago is recognised by its first line.
        let now = httpdate::fmt_http_date(SystemTime::now());
        let _ = fs::write(folder.join(ERRORS), format!("{now}: {} cannot be used\n\n{mistakes}", mistakes.path().display()));
    }
}

/// Tells what is odd in a file that is used.
pub(crate) fn warn(mistakes: &Mistakes) {
    for line in log_lines(mistakes) {
        tracing::warn!(target: "lodger", "{line}");
    }
}

/// A line for each mistake, of very many for the first.
fn log_lines(mistakes: &Mistakes) -> impl Iterator<Item = String> {
    let line = move |mistake: &Mistake| {
        let place = mistakes.place(mistake).map(|(line, column)| format!(":{line}:{column}")).unwrap_or_default();
        format!("{}: {}{place}: {}; {}", mistake.code, mistakes.path().display(), mistake.sentence, mistake.hint)
    };
    let rest = mistakes.len().saturating_sub(MOST_LINES);
    let more = mistakes.iter().nth(MOST_LINES);
    let more = more.map(|next| format!("{}: {}: and {rest} more: `check` shows them", next.code, mistakes.path().display()));
    mistakes.iter().take(MOST_LINES).map(line).chain(more)
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
    let text: String = sys::random_bytes::<TOKEN_BYTES>()?.iter().map(|byte| format!("{byte:02x}")).collect();
    write_once(folder, TOKEN, format!("{text}\n").as_bytes())?;
    Ok(fs::read_to_string(&path)?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn mistakes(number: usize) -> Mistakes {
        let routes = "[[site.route]]\npath = 1\nrespond = \"x\"\n".repeat(number);
        Config::parse(&format!("[[site]]\n{routes}"), "lodger.toml").unwrap_err()
    }

    #[test]
    fn the_log_has_a_line_for_each_of_the_first_twenty_mistakes() {
        let lines: Vec<String> = log_lines(&mistakes(20)).collect();
        assert_eq!(lines.len(), 20);
        assert!(lines[19].starts_with("LG0204: lodger.toml:60:8: `path` is a text"), "{}", lines[19]);
        let lines: Vec<String> = log_lines(&mistakes(45)).collect();
        assert_eq!((lines.len(), lines[20].as_str()), (21, "LG0204: lodger.toml: and 25 more: `check` shows them"));
    }

    #[test]
    fn the_file_with_the_mistakes_says_when_and_of_what() {
        let folder = tempfile::tempdir().unwrap();
        tell(&mistakes(1), "nothing", &StateFolder::at(folder.path()));
        let text = fs::read_to_string(folder.path().join(ERRORS)).unwrap();
        let (first, rest) = text.split_once("\n\n").unwrap();
        let (time, what) = first.split_once(": ").unwrap();
        let age = SystemTime::now().duration_since(httpdate::parse_http_date(time).unwrap()).unwrap();
        assert!(age < Duration::from_secs(3600), "{first}");
        assert_eq!(what, "lodger.toml cannot be used");
        assert!(rest.starts_with("error[LG0204]: "), "{rest}");
    }
}
