//! What stands around a handler: CORS, headers, caching, compression.

use super::Answer;
use crate::body::Body;
use http::Request;
#[derive(Clone)]
pub(crate) struct Around;
pub(crate) struct Before;
impl Around {
    pub(crate) fn new(_: &crate::config::model::Layers) -> Self {
        Self
    }
    pub(crate) fn before(&self, _: &Request<Body>) -> (Before, Option<Answer>) {
        (Before, None)
    }
    pub(crate) fn after(&self, _: Before, answer: Answer) -> Answer {
        answer
    }
}
