//! `fastcgi`: a FastCGI server such as PHP-FPM.

use super::{Answer, Answering, Failure};
use crate::{body::Body, error::BoxError};
use http::Request;
use std::task::{Context, Poll};

#[derive(Clone)]
pub(crate) struct FastCgi;
impl FastCgi {
    pub(crate) fn new(_: crate::config::model::FastCgi) -> Self {
        Self
    }
}
impl tower_service::Service<Request<Body>> for FastCgi {
    type Response = Answer;
    type Error = BoxError;
    type Future = Answering;
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }
    fn call(&mut self, _: Request<Body>) -> Answering {
        Box::pin(std::future::ready(Ok(Failure::NOT_FOUND.answer())))
    }
}
