//! The body of a request.

use crate::{error::BoxError, transport::inbox::Incoming};
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::{BodyExt as _, Full, Limited, combinators::UnsyncBoxBody};
use std::{
    pin::Pin,
    task::{Context, Poll},
};

/// The body of a request: arrives in pieces, in the order they were sent.
///
/// While nobody reads it, at most [`Limits::body_window`](crate::Limits::body_window) bytes wait in memory. Its errors are [`BodyError`](crate::BodyError)
/// and, over [`Limits::body_bytes`](crate::Limits::body_bytes), [`LengthLimitError`](http_body_util::LengthLimitError), which axum's extractors
/// answer with 413. A body that is kept after the visitor has left yields an error, unless it was empty from
/// the start.
#[derive(Debug)]
pub struct Body(Kind);

#[derive(Debug)]
enum Kind {
    Empty,
    Incoming(Incoming),
    Limited(Box<Limited<Incoming>>),
    Other(UnsyncBoxBody<Bytes, BoxError>),
}

impl Body {
    /// No body.
    #[must_use]
    pub fn empty() -> Self {
        Self(Kind::Empty)
    }

    /// Any other body, for tests and for services that call one another.
    pub fn new<B>(body: B) -> Self
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        Self(Kind::Other(body.map_err(Into::into).boxed_unsync()))
    }

    /// Whether there is no body, and never was.
    #[cfg(feature = "axum08")]
    pub(crate) fn is_none(&self) -> bool {
        matches!(self.0, Kind::Empty)
    }

    /// A body that a connection fills, cut off by an error after `limit` bytes.
    pub(crate) fn incoming(incoming: Incoming, limit: Option<u64>) -> Self {
        match limit {
            Some(limit) => Self(Kind::Limited(Box::new(Limited::new(incoming, usize::try_from(limit).unwrap_or(usize::MAX))))),
            None => Self(Kind::Incoming(incoming)),
        }
    }
}

impl Default for Body {
    fn default() -> Self {
        Self::empty()
    }
}

impl<T: Into<Bytes>> From<T> for Body {
    fn from(bytes: T) -> Self {
        Self::new(Full::new(bytes.into()))
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut self.0 {
            Kind::Empty => Poll::Ready(None),
            Kind::Incoming(body) => Pin::new(body).poll_frame(cx),
            Kind::Limited(body) => Pin::new(body).poll_frame(cx),
            Kind::Other(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Empty => true,
            Kind::Incoming(body) => body.is_end_stream(),
            Kind::Limited(body) => body.is_end_stream(),
            Kind::Other(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Empty => SizeHint::with_exact(0),
            Kind::Incoming(body) => body.size_hint(),
            Kind::Limited(body) => body.size_hint(),
            Kind::Other(body) => body.size_hint(),
        }
    }
}
