//! Connections to another server, and what is known of one that cannot be connected to.

use crate::{
    config::model::Upstream,
    diagnostic::codes,
    handler::{Answer, failure::Failure},
};
use http::StatusCode;
use std::{
    io,
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
    time::{Instant, sleep, timeout},
};

/// How long until a Unix socket is tried again whose queue is full.
const QUEUE_FULL: Duration = Duration::from_millis(10);

/// A connection, over whatever it goes.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Connects to another server.
///
/// # Errors
///
/// When nobody listens there, and when it takes longer than `within`.
pub(crate) async fn connect(upstream: &Upstream, within: Duration) -> io::Result<Box<dyn Stream>> {
    let connecting = async {
        match upstream {
            Upstream::Unix(path) => loop {
                match UnixStream::connect(path).await {
                    Ok(stream) => return Ok(Box::new(stream) as Box<dyn Stream>),
                    // The server is there, with more to do than it can take.
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => sleep(QUEUE_FULL).await,
                    Err(error) => return Err(error),
                }
            },
            Upstream::Tcp { host, port } => {
                let stream = TcpStream::connect((host.as_str(), *port)).await?;
                stream.set_nodelay(true)?;
                Ok(Box::new(stream) as Box<dyn Stream>)
            }
        }
    };
    timeout(within, connecting).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// The way to one server. After connecting has failed nobody tries again for a while, so that its visitors are not all kept waiting.
#[derive(Debug)]
pub(crate) struct Door {
    upstream: Upstream,
    connect_timeout: Duration,
    fail_for: Duration,
    shut_until: Mutex<Option<Instant>>,
}

impl Door {
    pub(crate) fn new(upstream: Upstream, connect_timeout: Duration, fail_for: Duration) -> Self {
        Self { upstream, connect_timeout, fail_for, shut_until: Mutex::new(None) }
    }

    /// A new connection.
    ///
    /// # Errors
    ///
    /// 502 for who finds out that the server cannot be reached, and 503 at once for who asks within `fail_for` after that.
    pub(crate) async fn connect(&self) -> Result<Box<dyn Stream>, Answer> {
        const CODE: codes::Code = codes::UPSTREAM_UNREACHABLE;
        let shut_for = self.shut_until().map_or(Duration::ZERO, |until| until.saturating_duration_since(Instant::now()));
        if !shut_for.is_zero() {
            return Err(Failure::new(StatusCode::SERVICE_UNAVAILABLE, CODE).answer_later(shut_for));
        }
        match connect(&self.upstream, self.connect_timeout).await {
            Ok(stream) => Ok(stream),
            Err(error) => {
                *self.shut_until() = Some(Instant::now() + self.fail_for);
                tracing::warn!(target: "lodger", "{CODE}: {} cannot be reached: {error}", name(&self.upstream));
                Err(Failure::new(StatusCode::BAD_GATEWAY, CODE).answer())
            }
        }
    }

    fn shut_until(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.shut_until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the log calls the server.
    pub(crate) fn name(&self) -> String {
        name(&self.upstream)
    }
}

fn name(upstream: &Upstream) -> String {
    match upstream {
        Upstream::Unix(path) => format!("unix:{}", path.display()),
        Upstream::Tcp { host, port } if host.contains(':') => format!("[{host}]:{port}"),
        Upstream::Tcp { host, port } => format!("{host}:{port}"),
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
        let status = |connected: Result<Box<dyn Stream>, Answer>| connected.err().map(|answer| answer.status());
        assert_eq!(status(door.connect().await), Some(StatusCode::BAD_GATEWAY));

        let _listener = UnixListener::bind(&socket).unwrap();
        tokio::time::advance(Duration::from_millis(1500)).await;
        let answer = door.connect().await.err().unwrap();
        assert_eq!((answer.status(), &answer.headers()[header::RETRY_AFTER]), (StatusCode::SERVICE_UNAVAILABLE, &"4".parse().unwrap()));

        tokio::time::advance(Duration::from_millis(3500)).await;
        assert_eq!(status(door.connect().await), None);
        assert_eq!(log.lines().len(), 1, "{:?}", log.lines());
    }

    #[tokio::test]
    async fn a_server_may_listen_on_a_port_of_its_own() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let upstream = Upstream::Tcp { host: "127.0.0.1".to_owned(), port: listener.local_addr().unwrap().port() };
        assert!(connect(&upstream, Duration::from_secs(10)).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_queue_is_waited_for_and_not_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("s");
        let listener = tokio::net::UnixSocket::new_stream().unwrap();
        listener.bind(&socket).unwrap();
        let listener = listener.listen(0).unwrap();
        let upstream = Upstream::Unix(socket);
        let _first = connect(&upstream, Duration::from_secs(1)).await.unwrap();
        let error = connect(&upstream, Duration::from_secs(1)).await.err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        let (second, _) = tokio::join!(connect(&upstream, Duration::from_secs(1)), listener.accept());
        assert!(second.is_ok());
    }
}
