//! What the tests of `cgi` and `fastcgi` share.

use crate::{
    body::Body,
    error::BoxError,
    handler::{Answer, Matched},
};
use bytes::Bytes;
use http::Request;
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use std::sync::{Arc, Mutex};
use tracing_subscriber::layer::{Context, SubscriberExt as _};

/// A request as the tree gives it to a handler: with what follows the route's prefix.
pub(crate) fn asked(uri: &str, rest: &str) -> Request<Body> {
    let mut request = Request::get(uri).body(Body::empty()).unwrap();
    request.extensions_mut().insert(Matched { rest: rest.to_owned(), ..Matched::default() });
    request
}

/// A body that does not tell its length.
pub(crate) fn unmeasured(pieces: &[&'static str]) -> Body {
    let frames: Vec<_> = pieces.iter().map(|piece| Ok::<_, BoxError>(Frame::data(Bytes::from_static(piece.as_bytes())))).collect();
    Body::new(StreamBody::new(futures_util::stream::iter(frames)))
}

/// The body of an answer as text.
pub(crate) async fn text(answer: Answer) -> Result<String, BoxError> {
    Ok(String::from_utf8_lossy(&answer.into_body().collect().await?.to_bytes()).into_owned())
}

/// The messages that are logged while `work` runs.
pub(crate) fn logged(work: impl FnOnce()) -> Vec<String> {
    let log = Log::default();
    tracing::subscriber::with_default(tracing_subscriber::registry().with(log.clone()), work);
    log.lines()
}

/// Keeps the messages of the log.
#[derive(Debug, Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    /// Logs here on this thread for as long as the guard lives.
    pub(crate) fn begin() -> (Self, tracing::subscriber::DefaultGuard) {
        let log = Self::default();
        let guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(log.clone()));
        (log, guard)
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Log {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == "lodger" {
            event.record(&mut |field: &tracing::field::Field, value: &dyn std::fmt::Debug| {
                assert_eq!(field.name(), "message");
                self.0.lock().unwrap().push(format!("{value:?}"));
            });
        }
    }
}
