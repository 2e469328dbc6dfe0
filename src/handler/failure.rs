//! What a handler answers with when it cannot do what it is there for: a status and a code. The tree makes a page of it.

use super::{Answer, empty};
use crate::diagnostic::codes::Code;
use http::{HeaderValue, StatusCode, header};
use std::time::Duration;

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
