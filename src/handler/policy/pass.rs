//! What a request that was let in holds until its response is over.

use super::bandwidth::Bill;
use crate::{app::ResponseBody, error::BoxError, handler::Answer, hints::SendFile};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::{
    pin::Pin,
    task::{Context, Poll},
};
use tokio::sync::OwnedSemaphorePermit;

/// The place of a request among those that may be in work, and who pays for its bytes. The place is free again when this is dropped, so also when the handler panics or its
/// future is dropped.
#[derive(Debug, Default)]
#[must_use = "the place of the request is free when this is dropped"]
pub(crate) struct Pass {
    permit: Option<OwnedSemaphorePermit>,
    bill: Option<Bill>,
}

impl Pass {
    pub(super) fn new(permit: Option<OwnedSemaphorePermit>, bill: Option<Bill>) -> Self {
        Self { permit, bill }
    }

    /// Keeps the place until the body of the answer has ended or is dropped, and charges its bytes as they go. What follows an upgrade, such as a WebSocket, is not part of a body.
    ///
    /// Where bytes are paid for, the web server is not asked to send a file in the place of the body: nobody could count what it sends.
    pub(crate) fn watch(self, mut answer: Answer) -> Answer {
        if self.bill.is_some() {
            answer.extensions_mut().remove::<SendFile>();
        }
        if (self.permit.is_none() && self.bill.is_none()) || answer.body().is_end_stream() {
            return answer;
        }
        answer.map(|body| ResponseBody::new(Watched { body, pass: self }))
    }
}

struct Watched {
    body: ResponseBody,
    pass: Pass,
}

impl Body for Watched {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some((bill, data)) = self.pass.bill.as_ref().zip(frame.data_ref()) {
                    bill.charge(data.len());
                }
            }
            Poll::Ready(None | Some(Err(_))) => self.pass.permit = None,
            Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
