//! stdin and stdout of a CGI program as one link. Nothing else but the command line writes to stdout.

use super::{
    Shared,
    driver::{Outcome, drive},
    socket::Link,
};
use crate::{
    app::BoxApp,
    cgi::{
        CgiVars,
        request::{CgiBody, cgi_body},
    },
    gateway::{Gateway, fd0},
    proto::{
        Params,
        plain::{BodyLength, Plain},
    },
    sys,
};
use std::{
    fs::File,
    io::{self, IsTerminal as _, Read as _, Write as _},
    os::{fd::OwnedFd, unix::ffi::OsStringExt as _},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf, unix::AsyncFd};

/// One end of stdio.
///
/// A pipe or a socket is waited for. A regular file and /dev/null (lighttpd hands them over) are refused by epoll and never wait; a terminal is shared
/// with a shell and must never be made non-blocking.
#[derive(Debug)]
enum End {
    Waits { fd: AsyncFd<File>, was_nonblocking: bool },
    Always(File),
}

impl End {
    fn new(fd: OwnedFd, interest: Interest) -> io::Result<Self> {
        let file = File::from(fd);
        if file.is_terminal() {
            return Ok(Self::Always(file));
        }
        let was_nonblocking = sys::set_nonblocking(&file, true)?;
        match sys::async_fd(file, interest) {
            Ok(fd) => Ok(Self::Waits { fd, was_nonblocking }),
            Err(refused) => {
                let (file, _) = refused.into_parts();
                sys::set_nonblocking(&file, was_nonblocking)?;
                Ok(Self::Always(file))
            }
        }
    }

    fn file(&self) -> &File {
        match self {
            Self::Waits { fd, .. } => fd.get_ref(),
            Self::Always(file) => file,
        }
    }
}

/// The mode belongs to everybody who holds the same pipe, a shell among them, so it is put back.
impl Drop for End {
    fn drop(&mut self) {
        if let Self::Waits { fd, was_nonblocking: false } = self {
            let _ = sys::set_nonblocking(fd.get_ref(), false);
        }
    }
}

/// stdin and stdout.
#[derive(Debug)]
struct Stdio {
    input: End,
    output: End,
}

impl Link for Stdio {
    /// Seen on stdout: a pipe whose reader is gone, or a socket that was closed.
    fn hung_up(&self) -> bool {
        matches!(self.output, End::Waits { .. }) && sys::hung_up(self.output.file(), false)
    }

    /// Only protocols of sockets ask for it.
    fn untaken(&self) -> usize {
        0
    }

    /// Only protocols of sockets ask for it.
    fn discard(&self, _count: usize) -> usize {
        0
    }

    fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &self.input {
            End::Waits { fd, .. } => fd.poll_read_ready(cx).map_ok(drop),
            End::Always(_) => Poll::Ready(Ok(())),
        }
    }

    /// Only protocols of sockets ask for it.
    fn poll_peek(&mut self, _cx: &mut Context<'_>, _buf: &mut [u8], _wanted: usize) -> Poll<io::Result<usize>> {
        Poll::Ready(Err(io::ErrorKind::Unsupported.into()))
    }
}

impl AsyncRead for Stdio {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let read = match &self.get_mut().input {
            End::Always(file) => (&mut &*file).read(buf.initialize_unfilled())?,
            End::Waits { fd, .. } => loop {
                let mut guard = ready!(fd.poll_read_ready(cx))?;
                if let Ok(read) = guard.try_io(|fd| fd.get_ref().read(buf.initialize_unfilled())) {
                    break read?;
                }
            },
        };
        buf.advance(read);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stdio {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[io::IoSlice::new(buf)])
    }

    fn poll_write_vectored(self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        match &self.get_mut().output {
            End::Always(file) => Poll::Ready((&mut &*file).write_vectored(bufs)),
            End::Waits { fd, .. } => loop {
                let mut guard = ready!(fd.poll_write_ready(cx))?;
                if let Ok(written) = guard.try_io(|fd| fd.get_ref().write_vectored(bufs)) {
                    return Poll::Ready(written);
                }
            },
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// stdout stays open until the process lets it go: mod_cgid's is the same socket as stdin.
    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// The variables of the request, from the environment.
pub(crate) fn environment() -> CgiVars {
    CgiVars::from_pairs(std::env::vars_os().map(|(name, value)| (name.into_vec(), value.into_vec())))
}

/// Answers the one request that `vars` describe. stdin and stdout are taken before the app is built, which may print. The result tells whether the response went out whole.
///
/// # Errors
///
/// When stdin or stdout cannot be used at all.
pub(crate) async fn serve_cgi(vars: CgiVars, app: impl Future<Output = BoxApp>, shared: Arc<Shared>) -> io::Result<bool> {
    let (input, output) = fd0::take_stdio()?;
    let app = app.await;
    let length = match cgi_body(&vars) {
        // A length that is none is refused before a byte of the body is looked at.
        Ok(CgiBody::None) | Err(_) => BodyLength::None,
        Ok(CgiBody::Exact(length)) => BodyLength::Exact(length),
        Ok(CgiBody::UntilEof) => BodyLength::UntilEof,
    };
    let link = Stdio { input: End::new(input, Interest::READABLE)?, output: End::new(output, Interest::WRITABLE)? };
    let (bytes, pairs) = vars.into_spans();
    let outcome = drive(link, Plain::new(Params { bytes, pairs, headers: None }, length), Gateway::Cgi, app, shared).await;
    Ok(outcome == Outcome::Fine)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd as _;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    #[tokio::test]
    async fn a_regular_file_is_read_and_written_without_waiting() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"body").unwrap();
        io::Seek::rewind(&mut file).unwrap();
        let output = tempfile::tempfile().unwrap();
        let mut stdio = Stdio {
            input: End::new(file.into(), Interest::READABLE).unwrap(),
            output: End::new(output.try_clone().unwrap().into(), Interest::WRITABLE).unwrap(),
        };
        let mut body = String::new();
        stdio.read_to_string(&mut body).await.unwrap();
        stdio.write_all(b"answer").await.unwrap();
        assert_eq!(body, "body");
        assert_eq!(output.metadata().unwrap().len(), 6);
    }

    #[tokio::test]
    async fn a_pipe_is_as_blocking_after_as_it_was_before() {
        let (reader, writer) = io::pipe().unwrap();
        let copy = writer.as_fd().try_clone_to_owned().unwrap();
        let end = End::new(writer.into(), Interest::WRITABLE).unwrap();
        assert!(sys::set_nonblocking(&copy, true).unwrap(), "non-blocking while it is driven");
        drop(end);
        assert!(!sys::set_nonblocking(&copy, false).unwrap(), "blocking again");
        drop(reader);
    }
}
