//! The body of any response behind one type.

use crate::error::BoxError;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt as _, combinators::UnsyncBoxBody};
use std::{
    any::Any,
    pin::Pin,
    task::{Context, Poll},
};

/// The body of a response of lodger's own, such as one of `lodger::handler::Tree`. It is given on as any other `http_body::Body` of [`Bytes`] is, to layers of tower or to axum's `Body::new`, and only lodger makes one.
///
/// # Errors
///
/// Its frames carry the errors of whoever made it: the app, the file, the server that was asked.
#[derive(Debug)]
pub struct ResponseBody(Kind);

#[derive(Debug)]
enum Kind {
    /// It has a box inside already, and to put it into a second one was an allocation and another way around for each response.
    #[cfg(feature = "axum08")]
    Axum(axum::body::Body),
    Boxed(UnsyncBoxBody<Bytes, BoxError>),
}

impl ResponseBody {
    /// Puts a body behind the one type. One that is there already, and axum's, are taken as they are.
    pub(crate) fn new<B>(body: B) -> Self
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let mut body = Some(body);
        if let Some(own) = taken_as(&mut body) {
            return own;
        }
        #[cfg(feature = "axum08")]
        if let Some(axum) = taken_as(&mut body) {
            return Self(Kind::Axum(axum));
        }
        Self(Kind::Boxed(body.map(|body| body.map_err(Into::into).boxed_unsync()).unwrap_or_default()))
    }
}

/// What `body` holds, if that is a `T`.
fn taken_as<T: 'static>(body: &mut dyn Any) -> Option<T> {
    body.downcast_mut::<Option<T>>().and_then(Option::take)
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BoxError;

    #[inline]
    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut self.get_mut().0 {
            #[cfg(feature = "axum08")]
            Kind::Axum(body) => Pin::new(body).poll_frame(cx).map_err(Into::into),
            Kind::Boxed(body) => Pin::new(body).poll_frame(cx),
        }
    }

    #[inline]
    fn is_end_stream(&self) -> bool {
        match &self.0 {
            #[cfg(feature = "axum08")]
            Kind::Axum(body) => body.is_end_stream(),
            Kind::Boxed(body) => body.is_end_stream(),
        }
    }

    #[inline]
    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            #[cfg(feature = "axum08")]
            Kind::Axum(body) => body.size_hint(),
            Kind::Boxed(body) => body.size_hint(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::Full;

    fn is_boxed(body: &ResponseBody) -> bool {
        matches!(body.0, Kind::Boxed(_))
    }

    async fn text(body: ResponseBody) -> String {
        String::from_utf8(body.collect().await.unwrap().to_bytes().into()).unwrap()
    }

    #[cfg(feature = "axum08")]
    #[tokio::test]
    async fn a_body_that_has_a_box_gets_no_other() {
        let [once, twice] =
            [1, 2].map(|times| (0..times).fold(ResponseBody::new(axum::body::Body::from("a page")), |body, _| ResponseBody::new(body)));
        for body in [once, twice] {
            assert!(!is_boxed(&body));
            assert_eq!(body.size_hint().exact(), Some(6));
            assert_eq!(text(body).await, "a page");
        }
    }

    #[tokio::test]
    async fn any_other_body_gets_one() {
        let body = ResponseBody::new(Full::new(Bytes::from("a page")));
        assert!(is_boxed(&body) && !body.is_end_stream());
        assert_eq!(text(body).await, "a page");
    }
}
