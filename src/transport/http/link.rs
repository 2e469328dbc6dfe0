//! The socket as hyper sees it, with what HTTP alone does not give: a half-close that is no departure, a broken response that shows.

use super::{
    common::{Common, Handle},
    upload::Upload,
};
use crate::transport::socket::Link as _;
use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};
use tokio_util::sync::DropGuard;

/// How much is looked at in one go where the last byte is left in the socket.
const LOOK: usize = 8 * 1024;

/// What hyper sends to a client that asked whether it may go on.
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// How the end of a response shows to this peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// Not known before the first line of the first request.
    Unknown,
    /// HTTP/1.1: chunks, and their end.
    Framed,
    /// HTTP/1.0, as nginx speaks it: a response of unknown length ends with the connection, so that a close shows nothing. The last byte that came is
    /// only looked at and stays in the socket until a response has gone out whole: closing a socket with a byte unread resets it.
    Close,
}

pub(super) struct Link {
    common: Handle,
    ending: Ending,
    byte_left: bool,
    /// Passenger takes any interim response for the final one; it has asked the client for the body itself.
    swallow_continue: bool,
    /// Tells that the link is gone, which after an upgrade may be long after hyper is.
    _gone: DropGuard,
}

impl Link {
    pub(super) fn new(common: Handle, swallow_continue: bool, gone: DropGuard) -> Self {
        Self { common, ending: Ending::Unknown, byte_left: false, swallow_continue, _gone: gone }
    }

    fn read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut common = self.common.lock();
        if self.ending == Ending::Framed {
            return Pin::new(&mut common.socket).poll_read(cx, buf);
        }
        let mut scratch = [0; LOOK];
        let old = usize::from(self.byte_left);
        let room = scratch.get_mut(..LOOK.min(buf.remaining() + old)).unwrap_or_default();
        let looked = ready!(common.socket.poll_peek(cx, room, old + 1))?;
        let Some(new) = scratch.get(old..looked).filter(|new| !new.is_empty()) else { return Poll::Ready(Ok(())) };
        buf.put_slice(new);
        if self.ending == Ending::Unknown {
            self.ending = first_line_ending(new);
        }
        let take = if self.ending == Ending::Framed { looked } else { looked - 1 };
        self.byte_left = take < looked;
        take_bytes(&mut common, take, cx);
        Poll::Ready(Ok(()))
    }

    /// A response has gone out whole: closing is no reset.
    fn take_byte_left(&mut self, cx: &mut Context<'_>) {
        if std::mem::take(&mut self.byte_left) {
            take_bytes(&mut self.common.lock(), 1, cx);
        }
    }

    /// The answer to `Expect`, where it must not go out. hyper offers it in one piece and before anything else.
    fn swallows(&mut self, bytes: &[u8]) -> bool {
        std::mem::take(&mut self.swallow_continue) && bytes.starts_with(CONTINUE)
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

/// Takes bytes out of the socket that were looked at before: they are there, so this does not have to wait.
fn take_bytes(common: &mut Common, mut count: usize, cx: &mut Context<'_>) {
    let mut scratch = [0; LOOK];
    while count > 0 {
        let mut taken = ReadBuf::new(scratch.get_mut(..count.min(LOOK)).unwrap_or_default());
        match Pin::new(&mut common.socket).poll_read(cx, &mut taken) {
            Poll::Ready(Ok(())) if !taken.filled().is_empty() => count -= taken.filled().len(),
            // What it may find out beside them, the next read does too.
            _ => return,
        }
    }
}

fn first_line_ending(bytes: &[u8]) -> Ending {
    let Some(end) = memchr::memchr(b'\n', bytes) else { return Ending::Unknown };
    let line = bytes.get(..end).unwrap_or_default();
    if line.strip_suffix(b"\r").unwrap_or(line).ends_with(b"HTTP/1.0") { Ending::Close } else { Ending::Framed }
}

impl AsyncRead for Link {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = self.read(cx, buf);
        let mut common = self.common.lock();
        common.read_waits = read.is_pending();
        let ended = read.is_ready() && buf.filled().len() == before;
        common.half_closed = ended;
        // "EOF alone on a Unix socket is a half-close": the peer still reads. hyper would take it for a departure.
        if ended && matches!(read, Poll::Ready(Ok(()))) && common.watched && common.is_our_turn() && !common.hung_up() {
            return Poll::Pending;
        }
        if !ended && read.is_ready() && common.upload.as_ref().is_none_or(Upload::is_over) {
            common.begun.get_or_insert_with(Instant::now);
        }
        read
    }
}

impl AsyncWrite for Link {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.swallows(buf) {
            return Poll::Ready(Ok(CONTINUE.len()));
        }
        let written = Pin::new(&mut self.common.lock().socket).poll_write(cx, buf);
        self.wrote(written)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
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
        Pin::new(&mut self.common.lock().socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.take_byte_left(cx);
        Pin::new(&mut self.common.lock().socket).poll_shutdown(cx)
    }
}
