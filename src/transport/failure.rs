//! What a request is answered with in the place of its handler, and what the log is told.

use crate::{
    cgi::request::VarError,
    diagnostic::codes::{self as code, Code},
    proto::Refusal,
};
use http::StatusCode;

/// A request that is answered without its handler's say: the status, its code and a sentence for the log.
#[derive(Debug, Clone, Copy)]
pub(super) struct Failure {
    pub(super) status: StatusCode,
    pub(super) code: Code,
    pub(super) sentence: &'static str,
}

impl Failure {
    pub(super) const BODY_TOO_LARGE: Self =
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, code::BODY_TOO_LARGE, "the declared length of the request body is over the limit");
    pub(super) const BODY_CUT: Self = Self::new(StatusCode::BAD_REQUEST, code::BODY_CUT, "the request body is shorter than its declared length");
    pub(super) const NO_ROOM_FOR_BODY: Self =
        Self::new(StatusCode::INSUFFICIENT_STORAGE, code::NO_ROOM_FOR_BODY, "the request body had to wait on disk, and could not be written there");
    pub(super) const TOO_LATE: Self =
        Self::new(StatusCode::GATEWAY_TIMEOUT, code::REQUEST_TIMEOUT, "the handler took longer than the request timeout");

    pub(super) const fn new(status: StatusCode, code: Code, sentence: &'static str) -> Self {
        Self { status, code, sentence }
    }
}

impl From<VarError> for Failure {
    fn from(error: VarError) -> Self {
        let (status, sentence) = match error {
            VarError::TooMany => return Refusal::ParamsTooLarge.into(),
            VarError::Malformed => return Refusal::ParamsMalformed.into(),
            VarError::UriTooLong => (StatusCode::URI_TOO_LONG, "the target of the request is longer than 65,534 bytes"),
            VarError::NoMethod => (
                StatusCode::BAD_REQUEST,
                "no REQUEST_METHOD came, or an empty one; in nginx `include fastcgi_params;` (scgi_params, uwsgi_params) is what sends the variables",
            ),
            VarError::Method => (StatusCode::BAD_REQUEST, "REQUEST_METHOD is no method"),
            VarError::Uri => (StatusCode::BAD_REQUEST, "the target of the request cannot be a URI"),
            VarError::Host => (StatusCode::BAD_REQUEST, "the Host header is no host, or there are two that differ"),
            VarError::ContentLength => (StatusCode::BAD_REQUEST, "CONTENT_LENGTH is no number"),
        };
        Self::new(status, code::NOT_A_REQUEST, sentence)
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let (status, code, sentence) = match refusal {
            Refusal::ParamsTooLarge => {
                (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, code::PARAMS_TOO_LARGE, "the variables of the request are larger than the limit")
            }
            Refusal::ParamsMalformed => (StatusCode::BAD_REQUEST, code::PARAMS_MALFORMED, "the variables of the request cannot be read"),
            Refusal::UnknownRole => {
                (StatusCode::INTERNAL_SERVER_ERROR, code::UNKNOWN_ROLE, "the web server asked for a role that lodger does not play")
            }
            Refusal::LengthRequired => {
                (StatusCode::LENGTH_REQUIRED, code::NO_LENGTH, "the request has a body without a length, which this protocol cannot carry")
            }
            Refusal::AnotherUser => (
                StatusCode::INTERNAL_SERVER_ERROR,
                code::ANOTHER_USER,
                "LiteSpeed asks for the request to be run as another user, which lodger does not do",
            ),
            Refusal::TooManyRequests => (StatusCode::SERVICE_UNAVAILABLE, code::TOO_MANY_REQUESTS, "more requests are in work than the limit allows"),
        };
        Self::new(status, code, sentence)
    }
}
