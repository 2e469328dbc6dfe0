//! A request of hyper in work, and its response: an [`Exchange`] as hyper wants to have it.

use super::{
    common::{Ending, Handle},
    upload::Upload,
};
use crate::{
    cgi::response::Head,
    diagnostic::codes as code,
    transport::{
        Shared,
        exchange::{Exchange, Step},
        exchanges::Permit,
        failure::Failure,
        timers::{Alarm, UPLOAD_STALL},
    },
};
use bytes::Bytes;
use http::{HeaderValue, Response, header};
use http_body::Frame;
use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::Instant;

/// The response broke after its head had gone out; hyper then gives the connection up, which is how HTTP shows it.
#[derive(Debug, thiserror::Error)]
#[error("the response broke")]
pub(super) struct Broken;

/// The place of a request on its connection, given back when the response has ended in whatever way.
pub(super) struct Place {
    pub(super) common: Handle,
    pub(super) shared: Arc<Shared>,
    pub(super) permit: Option<Permit>,
    pub(super) complete: bool,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.permit = None;
        self.common.lock().end(self.complete, Instant::now() + self.shared.limits.linger_timeout);
    }
}

/// What the service of hyper answers with.
pub(super) enum Answer {
    /// In the place of a handler that is never called.
    Refused(Option<Box<(Response<Stream>, Place)>>),
    InWork(Option<Box<InWork>>),
}

/// A request whose response has not begun.
pub(super) struct InWork {
    pub(super) exchange: Exchange,
    pub(super) place: Place,
    pub(super) timeout: Duration,
    pub(super) alarm: Alarm,
}

impl InWork {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Step> {
        loop {
            let (heard, failure) = {
                let mut common = self.place.common.lock();
                if common.upload.as_ref().is_none_or(Upload::is_over) {
                    self.exchange.upload_ended();
                }
                (common.heard, common.failure.take())
            };
            if let Some(failure) = failure {
                self.exchange.fail(failure);
            }
            if let Poll::Ready(step) = self.exchange.poll(cx) {
                return Poll::Ready(step);
            }
            self.place.common.lock().upload_first = self.exchange.waits_for_upload();
            let deadline = heard + self.timeout;
            let stalled = self.exchange.held_since().map(|since| since.max(heard) + UPLOAD_STALL);
            ready!(self.alarm.poll(stalled.map_or(deadline, |stalled| stalled.min(deadline)), cx));
            let now = Instant::now();
            if stalled.is_some_and(|stalled| stalled <= now) {
                self.exchange.upload_ended();
            } else if deadline <= now {
                self.exchange.fail(Failure::TOO_LATE);
            }
        }
    }
}

impl Future for Answer {
    type Output = Result<Response<Stream>, Broken>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut *self {
            Self::Refused(refused) => {
                let Some((response, mut place)) = refused.take().map(|refused| *refused) else { return Poll::Ready(Err(Broken)) };
                place.complete = true;
                Poll::Ready(Ok(response))
            }
            Self::InWork(in_work) => {
                let Some(work) = in_work else { return Poll::Ready(Err(Broken)) };
                let step = ready!(work.poll(cx));
                let (Step::Head { head, start }, Some(work)) = (step, in_work.take()) else { return Poll::Ready(Err(Broken)) };
                let stopping = work.place.shared.stop.is_cancelled();
                let mut common = work.place.common.lock();
                let close = stopping || common.upload.as_ref().is_some_and(Upload::is_unasked);
                common.unflushed = true;
                common.last |= close || common.ending == Ending::Close && head.body_allowed && head.length().is_none();
                drop(common);
                Poll::Ready(Ok(response(*head, start, Some(work), close)))
            }
        }
    }
}

/// The page in the place of a response.
pub(super) fn refusal(failure: Failure, accept: Option<&HeaderValue>, head_request: bool, close: bool) -> Response<Stream> {
    tracing::warn!(target: "lodger", "{}: {}", failure.code, failure.sentence);
    let (head, page) = Head::of_error(failure.status, failure.code.as_str(), accept.map(HeaderValue::as_bytes), head_request);
    response(head, page, None, close)
}

/// `close`: this response is the last on its connection, because the process leaves, or because a body that was announced with `Expect` was not asked for.
/// hyper closes either way, but the peer should know: Apache goes on with the body otherwise, and makes a 500 of any answer.
fn response(head: Head, start: Bytes, mut work: Option<Box<InWork>>, close: bool) -> Response<Stream> {
    let length = head.length();
    if let Some(InWork { place, .. }) = work.as_deref_mut().filter(|work| work.exchange.has_told_all()) {
        place.complete = true;
        work = None;
    }
    let mut response = Response::new(Stream { start, work, broken: false });
    *response.status_mut() = head.status;
    *response.headers_mut() = head.headers;
    if close {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    match length {
        Some(length) => response.headers_mut().insert(header::CONTENT_LENGTH, length.into()),
        None => response.headers_mut().remove(header::CONTENT_LENGTH),
    };
    response
}

/// The body of a response.
pub(super) struct Stream {
    start: Bytes,
    /// What is still to come of it.
    work: Option<Box<InWork>>,
    /// The response broke, which hyper is told when it has written what it holds: it forgets the rest with the connection.
    broken: bool,
}

impl http_body::Body for Stream {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let this = &mut *self;
        let Some(InWork { exchange, place, .. }) = this.work.as_deref_mut() else {
            return Poll::Ready((!this.start.is_empty()).then(|| Ok(Frame::data(std::mem::take(&mut this.start)))));
        };
        let mut common = place.common.lock();
        if !this.start.is_empty() {
            common.unflushed = true;
            return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut this.start)))));
        }
        let failure = common.failure.take();
        drop(common);
        // A request body that was cut is told to who reads it; a response that does not need it goes on.
        if let Some(failure) = failure.filter(|failure| failure.code == code::NO_ROOM_FOR_BODY) {
            exchange.fail(failure);
        }
        if !this.broken {
            match ready!(exchange.poll(cx)) {
                Step::Data(data) => {
                    place.common.lock().unflushed = true;
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Step::End => {
                    place.complete = true;
                    this.work = None;
                    return Poll::Ready(None);
                }
                Step::Broken { .. } | Step::Head { .. } => this.broken = true,
            }
        }
        // hyper flushes when it has nothing to add, and asks again after that.
        if place.common.lock().unflushed {
            return Poll::Pending;
        }
        this.work = None;
        Poll::Ready(Some(Err(Broken)))
    }

    fn is_end_stream(&self) -> bool {
        self.start.is_empty() && self.work.is_none()
    }
}
