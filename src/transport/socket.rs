//! What the driver runs on: a connected socket, or anything else that behaves like one.

use crate::sys;
use std::{
    io::{self, IoSlice},
    net::{IpAddr, Shutdown, SocketAddr, TcpStream},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    pin::Pin,
    task::{Context, Poll, Waker, ready},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, Interest, ReadBuf, unix::AsyncFd},
    task::coop,
};

/// Behind a read of so many bytes more is looked for at once: several requests came together, or a part of a body, and by the time they have been seen to the next are there.
const MUCH: usize = 4096;

/// Bytes in, bytes out, and whether anybody is still there.
pub(crate) trait Link: AsyncRead + AsyncWrite + Unpin {
    /// Whether the peer has left for good; one that only stopped writing has not.
    fn hung_up(&self) -> bool;

    /// How many of the bytes that were written the peer has not taken.
    fn untaken(&self) -> usize;

    /// Takes no more than so many bytes away that are there, whatever the runtime thinks of its readiness, waits for none, and tells how many they were.
    fn discard(&self, count: usize) -> usize;

    /// Ready when there is something to read, or when that has to be found out by reading, without a buffer to read it into.
    fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Whether it is too early to wait for something to read: the peer may be about to close.
    fn may_put_off(&self) -> bool;

    /// Puts the wait off, where [`may_put_off`](Self::may_put_off) says so: the task is woken when everybody else has had a turn, and [`poll_readable`](Self::poll_readable) is ready then.
    fn put_off(&mut self, cx: &Context<'_>);

    /// Copies what comes next into `buf` and leaves it in the socket. Ready with at least `wanted` bytes, or with fewer when no more will come.
    fn poll_peek(&mut self, cx: &mut Context<'_>, buf: &mut [u8], wanted: usize) -> Poll<io::Result<usize>>;
}

/// A connected stream socket.
///
/// The runtime hears of it when there is something to wait for, and not before: a web server has nearly always sent its request when the connection is accepted, and one that
/// opens a connection for each request then costs no call of epoll at all. Nor does one that closes it behind the response itself, as with LSAPI, if it has done so when everybody else has had a turn.
#[derive(Debug)]
pub(crate) struct Socket {
    watch: Watch,
    is_unix: bool,
    /// Who waits for something to read.
    reader: Option<Waker>,
}

#[derive(Debug)]
enum Watch {
    /// Nothing was waited for yet. `readable` until something was read, since the first request is taken to be there, and once more when the wait for what follows was put off.
    Not { fd: OwnedFd, readable: bool },
    /// The kernel tells of a Unix socket that it can be written to whenever its peer has read something. So that is only asked for once a write had to wait.
    For { fd: AsyncFd<OwnedFd>, writing: bool },
    /// The runtime could not take it; it is closed.
    Failed,
}

impl Socket {
    /// Takes a connected descriptor of any kind.
    ///
    /// # Errors
    ///
    /// When it is no socket.
    pub(crate) fn from_fd(fd: OwnedFd) -> io::Result<Self> {
        sys::set_nonblocking(&fd, true)?;
        let is_unix = sys::is_unix_socket(&fd)?;
        Ok(Self::accepted(fd, is_unix))
    }

    /// A connection that was accepted, and does not block.
    pub(super) fn accepted(fd: OwnedFd, is_unix: bool) -> Self {
        Self { watch: Watch::Not { fd, readable: true }, is_unix, reader: None }
    }

    /// Whether it is a Unix socket, to which only those can connect whom its permissions let in.
    #[cfg(feature = "http")]
    pub(crate) fn is_unix(&self) -> bool {
        self.is_unix
    }

    /// The address of the peer, for listeners that may be reached over a network.
    pub(crate) fn peer_addr(&self) -> Option<SocketAddr> {
        if self.is_unix {
            return None;
        }
        TcpStream::from(self.fd().ok()?.try_clone_to_owned().ok()?).peer_addr().ok()
    }

    /// The address of the peer without its port.
    pub(crate) fn peer_ip(&self) -> Option<IpAddr> {
        self.peer_addr().map(|address| address.ip())
    }

    fn fd(&self) -> io::Result<BorrowedFd<'_>> {
        match &self.watch {
            Watch::Not { fd, .. } => Ok(fd.as_fd()),
            Watch::For { fd, .. } => Ok(fd.get_ref().as_fd()),
            Watch::Failed => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// Has the runtime watch the socket, for room to write as well once that was waited for.
    fn watch(&mut self, writing: bool) -> io::Result<()> {
        let fd = match std::mem::replace(&mut self.watch, Watch::Failed) {
            Watch::Not { fd, .. } => fd,
            Watch::For { fd, .. } => fd.into_inner(),
            Watch::Failed => return Err(io::ErrorKind::NotConnected.into()),
        };
        let interest = if writing { Interest::READABLE | Interest::WRITABLE } else { Interest::READABLE };
        let fd = sys::async_fd(fd, interest).map_err(|error| error.into_parts().1)?;
        self.watch = Watch::For { fd, writing };
        // Who waited under the old registration is not woken by the new one.
        self.reader.take().inspect(Waker::wake_by_ref);
        Ok(())
    }

    /// Reads as `io` does, and waits while that would block. `io` tells as well whether the next call is to wait for more instead of looking for it at once.
    fn poll_in<R>(&mut self, cx: &mut Context<'_>, mut io: impl FnMut(BorrowedFd<'_>) -> io::Result<(R, bool)>) -> Poll<io::Result<R>> {
        loop {
            match &self.watch {
                Watch::Not { fd, .. } => {
                    let turn = ready!(coop::poll_proceed(cx));
                    match io(fd.as_fd()) {
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.watch(false)?,
                        done => {
                            turn.made_progress();
                            return Poll::Ready(done.map(|(done, _)| done));
                        }
                    }
                }
                Watch::For { fd, .. } => match fd.poll_read_ready(cx)? {
                    Poll::Ready(mut ready) => {
                        if let Ok(done) = ready.try_io(|fd| io(fd.get_ref().as_fd())) {
                            // What comes next makes the socket readable anew.
                            if matches!(done, Ok((_, true))) {
                                ready.clear_ready();
                            }
                            return Poll::Ready(done.map(|(done, _)| done));
                        }
                    }
                    Poll::Pending => {
                        self.remember(cx);
                        return Poll::Pending;
                    }
                },
                Watch::Failed => return Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
            }
        }
    }

    fn remember(&mut self, cx: &Context<'_>) {
        if !self.reader.as_ref().is_some_and(|reader| reader.will_wake(cx.waker())) {
            self.reader = Some(cx.waker().clone());
        }
    }
}

impl Link for Socket {
    fn hung_up(&self) -> bool {
        self.fd().map_or(true, |fd| sys::hung_up(fd, !self.is_unix))
    }

    fn untaken(&self) -> usize {
        self.fd().map_or(0, sys::untaken)
    }

    fn discard(&self, count: usize) -> usize {
        let mut scratch = [0; 1024];
        let mut taken = 0;
        while taken < count {
            let piece = scratch.get_mut(..(count - taken).min(1024)).unwrap_or_default();
            // What else it may find out, the next read does too.
            let here = self.fd().and_then(|fd| sys::take(fd, piece)).unwrap_or(0);
            taken += here;
            if here < piece.len() {
                break;
            }
        }
        taken
    }

    fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.watch {
            Watch::Not { readable: true, .. } => return Poll::Ready(Ok(())),
            Watch::Not { .. } => self.watch(false)?,
            Watch::For { .. } | Watch::Failed => {}
        }
        let Watch::For { fd, .. } = &self.watch else { return Poll::Ready(Err(io::ErrorKind::NotConnected.into())) };
        let ready = fd.poll_read_ready(cx).map_ok(drop);
        if ready.is_pending() {
            self.remember(cx);
        }
        ready
    }

    fn may_put_off(&self) -> bool {
        matches!(self.watch, Watch::Not { readable: false, .. })
    }

    fn put_off(&mut self, cx: &Context<'_>) {
        if let Watch::Not { readable, .. } = &mut self.watch {
            *readable = true;
            cx.waker().wake_by_ref();
        }
    }

    fn poll_peek(&mut self, cx: &mut Context<'_>, buf: &mut [u8], wanted: usize) -> Poll<io::Result<usize>> {
        let looked = ready!(self.poll_in(cx, |fd| {
            let looked = sys::peek(fd, buf, wanted)?;
            // Saying that it would block makes the runtime wait for more than is there already.
            if looked.len >= wanted || looked.ended { Ok((looked.len, false)) } else { Err(io::ErrorKind::WouldBlock.into()) }
        }));
        if let Watch::Not { readable, .. } = &mut self.watch {
            *readable = looked.is_ok();
        }
        Poll::Ready(looked)
    }
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let read = self.poll_in(cx, |fd| {
            let room = buf.remaining();
            let read = sys::receive(fd, buf)?;
            Ok(((), 0 < read && read < room.min(MUCH)))
        });
        if let Watch::Not { readable, .. } = &mut self.watch {
            *readable = false;
        }
        read
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        loop {
            match &self.watch {
                Watch::For { fd, writing: true } => {
                    let mut ready = ready!(fd.poll_write_ready(cx))?;
                    if let Ok(done) = ready.try_io(|fd| sys::send(fd.get_ref(), bufs)) {
                        return Poll::Ready(done);
                    }
                }
                _ => {
                    let turn = ready!(coop::poll_proceed(cx));
                    match sys::send(self.fd()?, bufs) {
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.watch(true)?,
                        done => {
                            turn.made_progress();
                            return Poll::Ready(done);
                        }
                    }
                }
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.fd().and_then(|fd| sys::shut(fd, Shutdown::Write)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{future::poll_fn, io::Write as _, os::unix::net::UnixStream};
    use tokio::io::AsyncReadExt as _;

    fn pair() -> (Socket, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        (Socket::from_fd(ours.into()).unwrap(), theirs)
    }

    fn puts_off(socket: &mut Socket) -> bool {
        let may = socket.may_put_off();
        if may {
            socket.put_off(&Context::from_waker(Waker::noop()));
        }
        may
    }

    #[tokio::test]
    async fn a_peer_that_closes_behind_the_response_is_seen_without_a_watch() {
        let (mut socket, mut theirs) = pair();
        assert!(!puts_off(&mut socket), "the first request is taken to be there");
        theirs.write_all(b"request").unwrap();
        assert_eq!(socket.read(&mut [0; 16]).await.unwrap(), 7);
        assert!(puts_off(&mut socket));
        drop(theirs);
        poll_fn(|cx| socket.poll_readable(cx)).await.unwrap();
        assert_eq!(socket.read(&mut [0; 16]).await.unwrap(), 0);
        assert!(matches!(socket.watch, Watch::Not { .. }));
    }

    #[tokio::test]
    async fn a_peer_that_stays_is_waited_for_when_the_wait_was_put_off_once() {
        let (mut socket, mut theirs) = pair();
        theirs.write_all(b"request").unwrap();
        assert_eq!(socket.read(&mut [0; 16]).await.unwrap(), 7);
        assert!(puts_off(&mut socket));
        assert!(!puts_off(&mut socket), "it is waited for now");
        poll_fn(|cx| socket.poll_readable(cx)).await.unwrap();
        let mut text = [0; 16];
        let nothing = poll_fn(|cx| Poll::Ready(Pin::new(&mut socket).poll_read(cx, &mut ReadBuf::new(&mut text)).is_pending())).await;
        assert!(nothing && matches!(socket.watch, Watch::For { .. }));
        theirs.write_all(b"another").unwrap();
        poll_fn(|cx| socket.poll_readable(cx)).await.unwrap();
        assert_eq!(socket.read(&mut text).await.unwrap(), 7);
        assert!(!puts_off(&mut socket), "a connection that is watched stays so");
    }

    #[tokio::test]
    async fn behind_a_large_read_the_next_is_made_at_once_and_then_waited_for() {
        let (mut socket, mut theirs) = pair();
        let mut text = [0; 3 * MUCH];
        socket.watch(false).unwrap();
        for size in [MUCH, MUCH - 1] {
            theirs.write_all(&text[..size]).unwrap();
            poll_fn(|cx| socket.poll_readable(cx)).await.unwrap();
            assert_eq!(socket.read(&mut text).await.unwrap(), size);
            assert_eq!(poll_fn(|cx| Poll::Ready(socket.poll_readable(cx).is_ready())).await, size == MUCH);
            let nothing = poll_fn(|cx| Poll::Ready(Pin::new(&mut socket).poll_read(cx, &mut ReadBuf::new(&mut text)).is_pending())).await;
            assert!(nothing);
            assert!(poll_fn(|cx| Poll::Ready(socket.poll_readable(cx).is_pending())).await, "no read is tried again and again");
        }
    }
}
