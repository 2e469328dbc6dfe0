//! What hyper's client connects with.

use crate::config::model::Upstream;
use crate::handler::upstream::{Stream, connect, health::Health};
use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::{
    client::legacy::connect::{Connected, Connection},
    rt::TokioIo,
};
use std::{
    future::Future,
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};
use tower_service::Service;

/// Connects to one upstream, whatever a request names as its target.
#[derive(Debug, Clone)]
pub(super) struct Connector {
    upstream: Arc<Upstream>,
    within: Duration,
    health: Arc<Health>,
}

impl Connector {
    /// `within`: how long each connection may take.
    pub(super) fn new(upstream: Upstream, within: Duration, health: Arc<Health>) -> Self {
        Self { upstream: Arc::new(upstream), within, health }
    }
}

impl Service<Uri> for Connector {
    type Response = Io;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Io>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let Self { upstream, within, health } = self.clone();
        Box::pin(async move {
            let stream = connect(&upstream, within).await?;
            health.answers();
            Ok(Io::new(stream))
        })
    }
}

/// A stream as hyper wants it.
///
/// A server may answer before it has taken the whole request, and close. What is written then fails, and hyper would give up with the answer unread. So the rest is thrown away once the other
/// side takes no more: what is to be read, an answer or the end, decides.
#[derive(Debug)]
pub(super) struct Io {
    stream: TokioIo<Stream>,
    /// The other side takes no more.
    deaf: bool,
}

impl Io {
    fn new(stream: Stream) -> Self {
        Self { stream: TokioIo::new(stream), deaf: false }
    }

    /// What became of writing `len` bytes.
    fn written(&mut self, result: io::Result<usize>, len: usize) -> io::Result<usize> {
        self.deaf = result.as_ref().is_err_and(|error| matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset));
        if self.deaf { Ok(len) } else { result }
    }
}

impl Connection for Io {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl Read for Io {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl Write for Io {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.deaf {
            return Poll::Ready(Ok(buf.len()));
        }
        let result = ready!(Pin::new(&mut self.stream).poll_write(cx, buf));
        Poll::Ready(self.written(result, buf.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.deaf {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let len = bufs.iter().map(|buf| buf.len()).sum();
        if self.deaf {
            return Poll::Ready(Ok(len));
        }
        let result = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, bufs));
        Poll::Ready(self.written(result, len))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
