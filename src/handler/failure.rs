//! What a handler answers with when it cannot do what it is there for: a status and a code. The tree makes a page of it.

use super::{Answer, empty, full};
use crate::{
    config::{
        model::ErrorPages,
        small::{LARGEST_PAGE, read_small},
    },
    diagnostic::codes::{self as code, Code},
    page::{self, Form},
};
use http::{HeaderValue, StatusCode, header};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// A failure of lodger's own handlers, as an extension of an answer without a body. The tree writes the page, in the form that the visitor asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) status: StatusCode,
    /// None for what is nobody's fault, such as 404.
    pub(crate) code: Option<Code>,
}

impl Failure {
    pub(crate) const NOT_FOUND: Self = Self { status: StatusCode::NOT_FOUND, code: None };
    pub(crate) const FORBIDDEN: Self = Self { status: StatusCode::FORBIDDEN, code: None };

    pub(crate) const fn new(status: StatusCode, code: Code) -> Self {
        Self { status, code: Some(code) }
    }

    /// The answer that becomes a page.
    pub(crate) fn answer(self) -> Answer {
        let mut answer = empty(self.status);
        answer.extensions_mut().insert(self);
        answer
    }

    /// The same, for a visitor who may ask again after `wait`, at least a second.
    pub(crate) fn answer_later(self, wait: Duration) -> Answer {
        let mut answer = self.answer();
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        answer
    }
}

/// A page that is meant to be seen as it is, as an extension of its answer: a log-in form, a fixed text, the notice of maintenance.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OwnPage;

/// Gives an answer that failed its page: one of the site's own where it has one, else a plain one in the form that `accept` likes.
///
/// Answers of apps keep theirs unless the site says otherwise.
pub(super) fn with_page(mut answer: Answer, pages: &ErrorPages, accept: Option<&HeaderValue>) -> Answer {
    let failure = answer.extensions_mut().remove::<Failure>();
    if answer.extensions_mut().remove::<OwnPage>().is_some() {
        return answer;
    }
    if failure.is_none() && !(pages.replace && answer.status().as_u16() >= 400) {
        return answer;
    }
    let form = Form::of(accept.map(HeaderValue::as_bytes));
    let own = pages_for(pages, answer.status()).filter(|_| form == Form::Html).and_then(|path| read_page(path));
    let text = match (own, failure) {
        (Some(own), _) => own,
        (None, Some(Failure { status, code })) => page::of(status, code.map(Code::as_str), form),
        // An app's own page is better than a plain one.
        (None, None) => return answer,
    };
    let headers = answer.headers_mut();
    for name in [header::CONTENT_ENCODING, header::CONTENT_LENGTH, header::ETAG, header::LAST_MODIFIED, header::ACCEPT_RANGES] {
        headers.remove(name);
    }
    headers.insert(header::CONTENT_TYPE, form.content_type());
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.append(header::VARY, HeaderValue::from_static("Accept"));
    *answer.body_mut() = full(text);
    answer
}

fn pages_for(pages: &ErrorPages, status: StatusCode) -> Option<&PathBuf> {
    let of_kind = if status.is_client_error() { pages.client.as_ref() } else { pages.server.as_ref() };
    pages.by_status.get(&status.as_u16()).or(of_kind)
}

fn read_page(path: &Path) -> Option<String> {
    match read_small(path, LARGEST_PAGE) {
        Ok(text) => Some(text),
        Err(error) => {
            tracing::warn!(target: "lodger", "{}: the error page {} cannot be read: {error}", code::PAGE_UNREADABLE, path.display());
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt as _;
    use std::fs;

    async fn text(answer: Answer) -> String {
        String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
    }

    #[tokio::test]
    async fn a_failure_gets_the_page_of_its_site_and_an_app_keeps_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let own = folder.path().join("404.html");
        fs::write(&own, "our own").unwrap();
        let mut pages = ErrorPages { by_status: [(404, own)].into(), server: Some(folder.path().join("missing")), ..ErrorPages::default() };
        assert_eq!(text(with_page(Failure::NOT_FOUND.answer(), &pages, None)).await, "our own");
        let json = HeaderValue::from_static("application/json");
        assert!(text(with_page(Failure::NOT_FOUND.answer(), &pages, Some(&json))).await.starts_with("{\"type\""));
        let broken = Failure::new(StatusCode::BAD_GATEWAY, code::UPSTREAM_BROKE).answer();
        assert!(text(with_page(broken, &pages, None)).await.contains("LG0406"), "a page that is not there is replaced by a plain one");
        let of_the_app = || {
            let mut answer = empty(StatusCode::NOT_FOUND);
            *answer.body_mut() = full("the app's");
            answer
        };
        assert_eq!(text(with_page(of_the_app(), &pages, None)).await, "the app's");
        pages.replace = true;
        assert_eq!(text(with_page(of_the_app(), &pages, None)).await, "our own");
    }
}
