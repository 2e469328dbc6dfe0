//! The way to one server that is connected to anew for each request.

use super::{Stream, connect, health::Health, name};
use crate::{
    config::model::Upstream,
    diagnostic::codes as code,
    handler::{Answer, failure::Failure},
};
use http::StatusCode;
use std::time::Duration;

/// The way to one server. After connecting has failed nobody tries again for a while, so that its visitors are not all kept waiting.
#[derive(Debug)]
pub(crate) struct Door {
    upstream: Upstream,
    connect_timeout: Duration,
    health: Health,
}

impl Door {
    pub(crate) fn new(upstream: Upstream, connect_timeout: Duration, fail_for: Duration) -> Self {
        Self { upstream, connect_timeout, health: Health::new(fail_for) }
    }

    /// Connects to the server.
    ///
    /// # Errors
    ///
    /// 502 with `UPSTREAM_UNREACHABLE` for the request that finds out that nobody is there, and 503 with `Retry-After` for those that come in the time after that.
    pub(crate) async fn connect(&self) -> Result<Stream, Answer> {
        if let Err(wait) = self.health.may_ask() {
            return Err(Failure::new(StatusCode::SERVICE_UNAVAILABLE, code::UPSTREAM_UNREACHABLE).answer_later(wait));
        }
        match connect(&self.upstream, self.connect_timeout).await {
            Ok(stream) => {
                self.health.answers();
                Ok(stream)
            }
            Err(error) => {
                self.health.fails();
                tracing::warn!(target: "lodger", "{}: {} cannot be reached: {error}", code::UPSTREAM_UNREACHABLE, self.name());
                Err(Failure::new(StatusCode::BAD_GATEWAY, code::UPSTREAM_UNREACHABLE).answer())
            }
        }
    }

    /// How the log names it.
    pub(crate) fn name(&self) -> String {
        name(&self.upstream)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handler::cgi::testing::Log;
    use http::header;
    use tokio::net::UnixListener;

    #[tokio::test(start_paused = true)]
    async fn who_finds_the_server_away_waits_and_who_comes_next_does_not() {
        let (log, _guard) = Log::begin();
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("s");
        let door = Door::new(Upstream::Unix(socket.clone()), Duration::from_secs(1), Duration::from_secs(5));
        let status = |connected: Result<Stream, Answer>| connected.err().map(|answer| answer.status());
        assert_eq!(status(door.connect().await), Some(StatusCode::BAD_GATEWAY));

        let _listener = UnixListener::bind(&socket).unwrap();
        tokio::time::advance(Duration::from_millis(1500)).await;
        let answer = door.connect().await.err().unwrap();
        assert_eq!((answer.status(), &answer.headers()[header::RETRY_AFTER]), (StatusCode::SERVICE_UNAVAILABLE, &"4".parse().unwrap()));

        tokio::time::advance(Duration::from_millis(3500)).await;
        assert_eq!(status(door.connect().await), None);
        assert_eq!(log.lines().len(), 1, "{:?}", log.lines());
    }
}
