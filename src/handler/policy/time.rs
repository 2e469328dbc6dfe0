//! How long a handler may take until the head of its response.

use crate::{
    body::Body,
    diagnostic::codes as code,
    error::BoxError,
    handler::{Answer, failure::Failure},
};
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body::{Body as HttpBody, Frame, SizeHint};
use std::{
    future::Future,
    pin::{Pin, pin},
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::Instant;

const TOO_LATE: Failure = Failure::new(StatusCode::GATEWAY_TIMEOUT, code::REQUEST_TIMEOUT);

/// Calls a handler, and drops it and answers 504 when no head of a response has come for `timeout`. The time begins again whenever the handler gets bytes of the request's body, so
/// that a long upload over a slow line is not taken for a handler that hangs.
pub(crate) async fn in_time<F, Fut>(timeout: Duration, request: Request<Body>, call: F) -> Result<Answer, BoxError>
where
    F: FnOnce(Request<Body>) -> Fut,
    Fut: Future<Output = Result<Answer, BoxError>>,
{
    let (request, progress) = if request.body().is_end_stream() {
        (request, None)
    } else {
        let progress = Progress(Arc::new(Mutex::new(Instant::now())));
        (request.map(|body| Body::new(Watched { body, progress: progress.clone() })), Some(progress))
    };
    let mut answering = pin!(call(request));
    let mut left = timeout;
    loop {
        if let Ok(answer) = tokio::time::timeout(left, &mut answering).await {
            return answer;
        }
        let idle = progress.as_ref().map_or(timeout, Progress::idle);
        left = timeout.saturating_sub(idle);
        if left.is_zero() {
            tracing::warn!(target: "lodger", "{}: the handler took longer than the timeout of its site or route", code::REQUEST_TIMEOUT);
            return Ok(TOO_LATE.answer());
        }
    }
}

/// When the handler last got bytes of the request's body.
#[derive(Debug, Clone)]
struct Progress(Arc<Mutex<Instant>>);

impl Progress {
    fn note(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn idle(&self) -> Duration {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }
}

struct Watched {
    body: Body,
    progress: Progress,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && frame.data_ref().is_some_and(|data| !data.is_empty())
        {
            self.progress.note();
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handler::empty;
    use http_body_util::{BodyExt as _, StreamBody};
    use tokio_stream::{StreamExt as _, iter};

    const TIMEOUT: Duration = Duration::from_secs(3);

    /// A body of so many pieces, `pause` before each.
    fn slow(pieces: usize, piece: &'static [u8], pause: Duration) -> Request<Body> {
        let frames = iter(0..pieces).then(move |_| async move {
            tokio::time::sleep(pause).await;
            Ok::<_, BoxError>(Frame::data(Bytes::from_static(piece)))
        });
        Request::new(Body::new(StreamBody::new(Box::pin(frames))))
    }

    async fn read_all(request: Request<Body>) -> Result<Answer, BoxError> {
        request.into_body().collect().await?;
        Ok(empty(StatusCode::OK))
    }

    #[tokio::test(start_paused = true)]
    async fn a_handler_that_hangs_is_dropped_and_answered_with_504() {
        let alive = Arc::new(());
        let held = Arc::clone(&alive);
        let began = Instant::now();
        let answer = in_time(TIMEOUT, Request::default(), move |_| async move {
            let _held = held;
            std::future::pending().await
        });
        let answer = answer.await.unwrap();
        assert_eq!((answer.status(), began.elapsed()), (StatusCode::GATEWAY_TIMEOUT, TIMEOUT));
        assert_eq!(answer.extensions().get::<Failure>(), Some(&TOO_LATE));
        assert_eq!(Arc::strong_count(&alive), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_handler_may_take_all_of_its_time() {
        let answer = in_time(TIMEOUT, Request::default(), |_| async {
            tokio::time::sleep(TIMEOUT - Duration::from_millis(1)).await;
            Ok(empty(StatusCode::OK))
        });
        assert_eq!(answer.await.unwrap().status(), StatusCode::OK);
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_begins_again_with_each_piece_of_the_body() {
        let cases: [(&[u8], Duration, StatusCode); 3] = [
            (b"bytes", Duration::from_millis(2900), StatusCode::OK),
            (b"bytes", Duration::from_millis(3100), StatusCode::GATEWAY_TIMEOUT),
            (b"", Duration::from_millis(2900), StatusCode::GATEWAY_TIMEOUT),
        ];
        for (piece, pause, status) in cases {
            let answer = in_time(TIMEOUT, slow(5, piece, pause), read_all).await.unwrap();
            assert_eq!(answer.status(), status, "{} bytes every {pause:?}", piece.len());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_handler_that_hangs_after_the_body_is_timed_from_its_last_bytes() {
        let began = Instant::now();
        let answer = in_time(TIMEOUT, slow(4, b"bytes", Duration::from_secs(2)), |request| async {
            read_all(request).await?;
            std::future::pending().await
        });
        assert_eq!(answer.await.unwrap().status(), StatusCode::GATEWAY_TIMEOUT);
        assert_eq!(began.elapsed(), Duration::from_secs(4 * 2 + 3));
    }

    #[tokio::test(start_paused = true)]
    async fn the_handler_sees_the_body_as_it_is_and_its_error_stays_its_own() {
        let answer = in_time(Duration::MAX, Request::new(Body::from("four")), |request| async move {
            assert_eq!(request.body().size_hint().exact(), Some(4));
            Err("a bug".into())
        });
        assert_eq!(answer.await.unwrap_err().to_string(), "a bug");
    }
}
