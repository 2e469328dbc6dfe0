//! The bodies that pass through, both ways.

use crate::{body::Body, error::BoxError};
use bytes::Bytes;
use http::{HeaderMap, header};
use http_body::{Body as HttpBody, Frame, SizeHint};
use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

/// The web server unpacked a body, or did not count: more of it came than it had said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the request body is longer than its Content-Length")]
pub(super) struct LongerThanDeclared;

/// The body of a request on its way to the upstream. Trailers are left out.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    body: Body,
    /// How much of what was declared is still to come, where the length is not known otherwise.
    declared: Option<u64>,
}

impl Outgoing {
    /// The length that `headers` declare is what the upstream is told, so that more than that is an error: what is cut off there would look whole.
    pub(super) fn new(body: Body, headers: &HeaderMap) -> Self {
        let declared = if body.size_hint().exact().is_some() { None } else { declared_length(headers) };
        Self { body, declared }
    }
}

/// One length in digits; nothing else is believed.
fn declared_length(headers: &HeaderMap) -> Option<u64> {
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).into_iter();
    let length = lengths.next()?.as_bytes();
    let digits = !length.is_empty() && length.iter().all(u8::is_ascii_digit) && lengths.next().is_none();
    std::str::from_utf8(length).ok().filter(|_| digits)?.parse().ok()
}

impl HttpBody for Outgoing {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Some(data) = ready!(poll_data(Pin::new(&mut self.body), cx)?) else { return Poll::Ready(None) };
        if let Some(left) = &mut self.declared {
            *left = left.checked_sub(data.len() as u64).ok_or(LongerThanDeclared)?;
        }
        Poll::Ready(Some(Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.declared.map_or_else(|| self.body.size_hint(), SizeHint::with_exact)
    }
}

/// The body of a response on its way to the visitor. Trailers are left out, and what breaks off is an error, so that the visitor does not take it for whole.
#[derive(Debug)]
pub(super) struct Returned(pub(super) hyper::body::Incoming);

impl HttpBody for Returned {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let data = ready!(poll_data(Pin::new(&mut self.0), cx)?);
        Poll::Ready(data.map(Frame::data).map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

/// The next piece that is no trailer.
fn poll_data<B>(mut body: Pin<&mut B>, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, BoxError>>
where
    B: HttpBody<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    loop {
        match ready!(body.as_mut().poll_frame(cx)) {
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Poll::Ready(Ok(Some(data)));
                }
            }
            Some(Err(error)) => return Poll::Ready(Err(error.into())),
            None => return Poll::Ready(Ok(None)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use http_body_util::{BodyExt as _, StreamBody};

    /// A body of which nobody knows how long it is.
    fn pieces(pieces: &[&'static str]) -> Body {
        let frames: Vec<_> = pieces.iter().map(|piece| Ok::<_, BoxError>(Frame::data(Bytes::from_static(piece.as_bytes())))).collect();
        Body::new(StreamBody::new(tokio_stream::iter(frames)))
    }

    fn declaring(lengths: &[&'static str]) -> HeaderMap {
        lengths.iter().map(|length| (header::CONTENT_LENGTH, HeaderValue::from_static(length))).collect()
    }

    #[test]
    fn only_digits_are_a_length() {
        for (lengths, known) in [
            (&["12"][..], Some(12)),
            (&["0"], Some(0)),
            (&["+12"], None),
            (&["12, 12"], None),
            (&["12", "12"], None),
            (&["99999999999999999999"], None),
            (&[""], None),
            (&[], None),
        ] {
            assert_eq!(declared_length(&declaring(lengths)), known, "{lengths:?}");
        }
    }

    #[tokio::test]
    async fn the_declared_length_is_told_and_kept_to() {
        let body = Outgoing::new(pieces(&["abc", "de"]), &declaring(&["5"]));
        assert_eq!(body.size_hint().exact(), Some(5));
        assert_eq!(body.collect().await.unwrap().to_bytes(), "abcde");
        let body = Outgoing::new(pieces(&["abc", "def"]), &declaring(&["5"]));
        assert!(body.collect().await.unwrap_err().is::<LongerThanDeclared>());
    }

    #[test]
    fn a_length_that_is_known_is_more_than_one_that_is_declared() {
        let body = Outgoing::new(Body::from("abcdef"), &declaring(&["5"]));
        assert_eq!(body.size_hint().exact(), Some(6));
    }

    #[tokio::test]
    async fn trailers_are_left_out() {
        let trailers: HeaderMap = [(header::ETAG, HeaderValue::from_static("x"))].into_iter().collect();
        let body = Body::new(pieces(&["abc"]).with_trailers(async { Some(Ok(trailers)) }));
        let collected = Outgoing::new(body, &HeaderMap::new()).collect().await.unwrap();
        assert!(collected.trailers().is_none());
        assert_eq!(collected.to_bytes(), "abc");
    }
}
