//! What the driver runs on: a connected socket, or anything else that behaves like one.

use crate::sys;
use std::{
    io::{self, IoSlice},
    net::{IpAddr, SocketAddr},
    os::fd::OwnedFd,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, Interest, ReadBuf},
    net::{TcpStream, UnixStream},
};

/// Bytes in, bytes out, and whether anybody is still there.
pub(crate) trait Link: AsyncRead + AsyncWrite + Unpin {
    /// Whether the peer has left for good; one that only stopped writing has not.
    fn hung_up(&self) -> bool;

    /// How many of the bytes that were written the peer has not taken.
    fn untaken(&self) -> usize;

    /// Takes no more than so many bytes away that are there, whatever the runtime thinks of its readiness, and waits for none.
    fn discard(&self, count: usize);

    /// Ready when there is something to read, without a buffer to read it into.
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Copies what comes next into `buf` and leaves it in the socket. Ready with at least `wanted` bytes, or with fewer when no more will come.
    fn poll_peek(&self, cx: &mut Context<'_>, buf: &mut [u8], wanted: usize) -> Poll<io::Result<usize>>;
}

/// A connection that was accepted.
#[derive(Debug)]
pub(crate) enum Socket {
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl Socket {
    /// Takes a connected descriptor of any kind.
    ///
    /// # Errors
    ///
    /// When it is no socket that can be waited for.
    pub(crate) fn from_fd(fd: OwnedFd) -> io::Result<Self> {
        sys::set_nonblocking(&fd, true)?;
        if sys::is_unix_socket(&fd)? { UnixStream::from_std(fd.into()).map(Self::Unix) } else { TcpStream::from_std(fd.into()).map(Self::Tcp) }
    }

    /// The address of the peer, for listeners that may be reached over a network.
    pub(crate) fn peer_addr(&self) -> Option<SocketAddr> {
        match self {
            Self::Unix(_) => None,
            Self::Tcp(stream) => stream.peer_addr().ok(),
        }
    }

    /// The address of the peer without its port.
    pub(crate) fn peer_ip(&self) -> Option<IpAddr> {
        self.peer_addr().map(|address| address.ip())
    }
}

impl Link for Socket {
    fn hung_up(&self) -> bool {
        match self {
            Self::Unix(stream) => sys::hung_up(stream, false),
            Self::Tcp(stream) => sys::hung_up(stream, true),
        }
    }

    fn untaken(&self) -> usize {
        match self {
            Self::Unix(stream) => sys::untaken(stream),
            Self::Tcp(stream) => sys::untaken(stream),
        }
    }

    fn discard(&self, mut count: usize) {
        let mut scratch = [0; 1024];
        while count > 0 {
            let piece = scratch.get_mut(..count.min(1024)).unwrap_or_default();
            let taken = match self {
                Self::Unix(stream) => sys::take(stream, piece),
                Self::Tcp(stream) => sys::take(stream, piece),
            };
            match taken {
                Ok(taken) if taken > 0 => count -= taken,
                // What it may find out beside them, the next read does too.
                _ => return,
            }
        }
    }

    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Unix(stream) => stream.poll_read_ready(cx),
            Self::Tcp(stream) => stream.poll_read_ready(cx),
        }
    }

    fn poll_peek(&self, cx: &mut Context<'_>, buf: &mut [u8], wanted: usize) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.poll_readable(cx))?;
            // Saying that it would block makes the runtime wait for more than is there already.
            let enough =
                |looked: sys::Peeked| if looked.len >= wanted || looked.ended { Ok(looked.len) } else { Err(io::ErrorKind::WouldBlock.into()) };
            let looked = match self {
                Self::Unix(stream) => stream.try_io(Interest::READABLE, || enough(sys::peek(stream, buf)?)),
                Self::Tcp(stream) => stream.try_io(Interest::READABLE, || enough(sys::peek(stream, buf)?)),
            };
            match looked {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                looked => return Poll::Ready(looked),
            }
        }
    }
}

macro_rules! either {
    ($socket:expr, $stream:ident => $call:expr) => {
        match $socket.get_mut() {
            Socket::Unix($stream) => $call,
            Socket::Tcp($stream) => $call,
        }
    };
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => Pin::new(stream).poll_read(cx, buf))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        either!(self, stream => Pin::new(stream).poll_write(cx, buf))
    }

    fn poll_write_vectored(self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        either!(self, stream => Pin::new(stream).poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => Pin::new(stream).poll_shutdown(cx))
    }
}
