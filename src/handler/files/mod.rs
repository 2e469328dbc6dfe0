//! `files`: what lies in a folder.

use super::{Answer, Answering, Failure};
use crate::{body::Body, error::BoxError};
use http::Request;
use std::task::{Context, Poll};

#[derive(Clone)]
pub(crate) struct Files;
impl Files {
    pub(crate) fn new(_: crate::config::model::Files) -> Self {
        Self
    }
}
impl tower_service::Service<Request<Body>> for Files {
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
