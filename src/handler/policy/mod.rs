//! What a request has to pass: addresses, rates, how many at one time, bytes.

use super::Answer;
use crate::{body::Body, error::BoxError};
use http::Request;
use std::{future::Future, time::Duration};
#[derive(Clone)]
pub(crate) struct Gate;
pub(crate) struct Pass;
impl Gate {
    pub(crate) fn new(_: &crate::config::model::Policy) -> Self {
        Self
    }
    pub(crate) fn enter(&self, request: Request<Body>) -> Result<(Request<Body>, Pass), Answer> {
        Ok((request, Pass))
    }
}
impl Pass {
    pub(crate) fn watch(self, answer: Answer) -> Answer {
        answer
    }
}
pub(crate) async fn in_time<F: Future<Output = Result<Answer, BoxError>>>(
    _: Duration,
    request: Request<Body>,
    call: impl FnOnce(Request<Body>) -> F,
) -> Result<Answer, BoxError> {
    call(request).await
}
