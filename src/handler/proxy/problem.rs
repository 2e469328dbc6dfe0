//! Why there is no response from the upstream.

use super::body::LongerThanDeclared;
use crate::{diagnostic::codes as code, handler::failure::Failure};
use http::StatusCode;
use http_body_util::LengthLimitError;
use hyper_util::client::legacy;
use std::error::Error;

/// Why there is no response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Problem {
    /// It could not be connected to.
    Unreachable,
    /// It closed the connection before it answered.
    Closed,
    /// Its answer is none.
    Broke,
    /// The body of the request is larger than allowed.
    TooLarge,
    /// The body of the request is longer than it was said to be.
    TooLong,
    /// The body of the request broke off: the visitor left.
    Departed,
}

impl Problem {
    pub(super) fn of(error: &legacy::Error) -> Self {
        let hyper = sources(error).find_map(|source| source.downcast_ref::<hyper::Error>());
        if error.is_connect() {
            Self::Unreachable
        } else if sources(error).any(|source| source.is::<LengthLimitError>()) {
            Self::TooLarge
        } else if sources(error).any(|source| source.is::<LongerThanDeclared>()) {
            Self::TooLong
        } else if hyper.is_some_and(hyper::Error::is_user) {
            Self::Departed
        } else if hyper.is_some_and(hyper::Error::is_parse) {
            Self::Broke
        } else {
            Self::Closed
        }
    }

    /// Whether the same request might do better on another connection.
    pub(super) fn may_pass(self) -> bool {
        matches!(self, Self::Unreachable | Self::Closed)
    }

    pub(super) fn failure(self) -> Failure {
        match self {
            Self::Unreachable => Failure::new(StatusCode::BAD_GATEWAY, code::UPSTREAM_UNREACHABLE),
            Self::Closed | Self::Broke => Failure::new(StatusCode::BAD_GATEWAY, code::UPSTREAM_BROKE),
            Self::TooLarge => Failure::new(StatusCode::PAYLOAD_TOO_LARGE, code::BODY_TOO_LARGE),
            Self::TooLong => Failure::new(StatusCode::BAD_REQUEST, code::VIOLATION),
            Self::Departed => Failure::new(StatusCode::BAD_REQUEST, code::BODY_CUT),
        }
    }

    /// Tells the operator what is for them to set right.
    pub(super) fn tell(self, upstream: &str, error: &legacy::Error) {
        let story = sources(error).map(ToString::to_string).collect::<Vec<_>>().join(": ");
        match self {
            Self::Unreachable => {
                tracing::warn!(target: "lodger", "{}: {upstream} cannot be connected to: {story}", code::UPSTREAM_UNREACHABLE);
            }
            Self::Closed => {
                tracing::warn!(target: "lodger", "{}: {upstream} closed the connection without an answer: {story}", code::UPSTREAM_BROKE);
            }
            Self::Broke => {
                tracing::warn!(target: "lodger", "{}: what {upstream} answered is not HTTP: {story}", code::UPSTREAM_BROKE);
            }
            Self::TooLong => {
                tracing::warn!(target: "lodger", "{}: a request body is longer than its Content-Length: does the web server unpack it?", code::VIOLATION);
            }
            Self::TooLarge | Self::Departed => {}
        }
    }
}

/// What stands behind an error, from the outside in, without its own sentence.
fn sources<'a>(error: &'a legacy::Error) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(error.source(), |error: &&'a (dyn Error + 'static)| (*error).source())
}
