//! The socket as hyper sees it, with what HTTP alone does not give: a half-close that is no departure, a broken response that shows.

use super::common::{Common, Ending, Handle};
use crate::transport::socket::Link as _;
use bytes::Bytes;
use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, Waker, ready},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

/// How much is looked at in one go where the last byte is left in the socket.
const LOOK: usize = 8 * 1024;

/// What hyper sends to a client that asked whether it may go on.
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

pub(super) struct Link {
    common: Handle,
    /// Passenger takes any interim response for the final one; it has asked the client for the body itself.
    swallow_continue: bool,
    /// What was read of the connection before hyper was made.
    ahead: Bytes,
}

impl Link {
    pub(super) fn new(common: Handle, swallow_continue: bool) -> Self {
        Self { common, swallow_continue, ahead: Bytes::new() }
    }

    /// What hyper was given and has made nothing of. What it has not taken yet of what was read before stands behind that.
    pub(super) fn take_back(&mut self, input: Bytes) -> Bytes {
        let ahead = std::mem::take(&mut self.ahead);
        if ahead.is_empty() { input } else { Bytes::from([input, ahead].concat()) }
    }

    /// Takes what was read before; false when it is nothing.
    pub(super) fn go_ahead_with(&mut self, input: Bytes) -> bool {
        // Empty lines in front of a request are the beginning of nothing.
        let begun = !input.iter().all(|byte| matches!(byte, b'\r' | b'\n'));
        if begun {
            self.common.lock().begun.get_or_insert_with(Instant::now);
            self.ahead = input;
        }
        begun
    }

    /// The answer to `Expect`, where it must not go out. hyper offers it in one piece and before anything else.
    fn swallows(&self, bytes: &[u8]) -> bool {
        std::mem::take(&mut self.common.lock().nothing_offered) && self.swallow_continue && bytes.starts_with(CONTINUE)
    }

    fn wrote(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        let mut common = self.common.lock();
        match written {
            Poll::Pending => drop(common.write_blocked.get_or_insert_with(Instant::now)),
            Poll::Ready(_) => {
                common.write_blocked = None;
                common.idle_since = Instant::now();
            }
        }
        written
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        let waiting = self.common.lock().go();
        waiting.inspect(Waker::wake_by_ref);
    }
}

fn read(common: &mut Common, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
    if common.ending == Ending::Framed {
        return Pin::new(&mut common.socket).poll_read(cx, buf);
    }
    let mut scratch = [0; LOOK];
    let old = usize::from(common.byte_left);
    let room = scratch.get_mut(..LOOK.min(buf.remaining() + old)).unwrap_or_default();
    let looked = ready!(common.socket.poll_peek(cx, room, old + 1))?;
    let Some(new) = scratch.get(old..looked).filter(|new| !new.is_empty()) else { return Poll::Ready(Ok(())) };
    buf.put_slice(new);
    common.byte_left = true;
    let mut left = looked - 1;
    while left > 0 {
        match common.socket.discard(left) {
            0 => return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
            taken => left -= taken,
        }
    }
    Poll::Ready(Ok(()))
}

impl AsyncRead for Link {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.ahead.is_empty() {
            let room = buf.remaining().min(self.ahead.len());
            let piece = self.ahead.split_to(room);
            buf.put_slice(&piece);
            self.common.lock().delivered(&piece);
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        let mut common = self.common.lock();
        if common.puts_off_look() {
            return Poll::Pending;
        }
        let read = read(&mut common, cx, buf);
        let new = buf.filled().get(before..).unwrap_or_default();
        common.read_waits = read.is_pending();
        common.half_closed = read.is_ready() && new.is_empty();
        common.delivered(new);
        // "EOF alone on a Unix socket is a half-close": the peer still reads. hyper would take it for a departure.
        let ended = common.half_closed && matches!(read, Poll::Ready(Ok(())));
        if ended && common.watched && common.withholds_end() && !common.hung_up() {
            return Poll::Pending;
        }
        read
    }
}

impl AsyncWrite for Link {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.swallows(buf) {
            return Poll::Ready(Ok(CONTINUE.len()));
        }
        let written = Pin::new(&mut self.common.lock().socket).poll_write(cx, buf);
        self.wrote(written)
    }

    fn poll_write_vectored(self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        if bufs.first().is_some_and(|first| self.swallows(first)) {
            return Poll::Ready(Ok(CONTINUE.len()));
        }
        let written = Pin::new(&mut self.common.lock().socket).poll_write_vectored(cx, bufs);
        self.wrote(written)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut common = self.common.lock();
        // hyper flushes when it holds nothing any more.
        common.unflushed = false;
        Pin::new(&mut common.socket).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut common = self.common.lock();
        common.take_byte_left();
        if common.watched {
            // hyper has nothing more to do, and the socket is closed at once.
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut common.socket).poll_shutdown(cx)
    }
}
