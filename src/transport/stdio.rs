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
    ffi::OsString,
    fs::File,
    io::{self, IsTerminal as _, Read as _, Write as _},
    os::{fd::OwnedFd, unix::ffi::OsStrExt as _},
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
struct End {
    file: File,
    interest: Interest,
    watch: Watch,
    /// Whether it was switched to non-blocking here.
    switched: bool,
}

/// How an end is waited for. Most requests have no body and most responses fit into a pipe: those need no epoll.
#[derive(Debug)]
enum Watch {
    /// Nothing was asked of it yet.
    Fresh,
    /// It was read or written once, without waiting.
    Tried,
    On(AsyncFd<File>),
    /// It never waits, or must not.
    Off,
}

impl End {
    fn new(fd: OwnedFd, interest: Interest) -> Self {
        Self { file: fd.into(), interest, watch: Watch::Fresh, switched: false }
    }

    /// Reads or writes; waits where that would block.
    fn poll_io<T>(&mut self, cx: &mut Context<'_>, mut io: impl FnMut(&File) -> io::Result<T>) -> Poll<io::Result<T>> {
        if let Watch::Fresh = self.watch {
            self.unblock()?;
            match io(&self.file) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
        }
        if let Watch::Tried = self.watch {
            self.watch = self.watched()?;
        }
        let Watch::On(fd) = &self.watch else { return Poll::Ready(io(&self.file)) };
        loop {
            let ready = if self.interest.is_readable() { fd.poll_read_ready(cx) } else { fd.poll_write_ready(cx) };
            if let Ok(result) = ready!(ready)?.try_io(|fd| io(fd.get_ref())) {
                return Poll::Ready(result);
            }
        }
    }

    fn unblock(&mut self) -> io::Result<()> {
        if self.file.is_terminal() {
            self.watch = Watch::Off;
        } else {
            self.switched = !sys::set_nonblocking(&self.file, true)?;
            self.watch = Watch::Tried;
        }
        Ok(())
    }

    fn watched(&mut self) -> io::Result<Watch> {
        match sys::async_fd(self.file.try_clone()?, self.interest) {
            Ok(fd) => Ok(Watch::On(fd)),
            Err(_) => {
                self.switch_back()?;
                Ok(Watch::Off)
            }
        }
    }

    fn switch_back(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.switched) {
            sys::set_nonblocking(&self.file, false)?;
        }
        Ok(())
    }
}

/// The mode belongs to everybody who holds the same pipe, a shell among them, so it is put back.
impl Drop for End {
    fn drop(&mut self) {
        let _ = self.switch_back();
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
        !matches!(self.output.watch, Watch::Off) && sys::hung_up(&self.output.file, false)
    }

    /// Only protocols of sockets ask for it.
    fn untaken(&self) -> usize {
        0
    }

    /// Only protocols of sockets ask for it.
    fn discard(&self, _count: usize) -> usize {
        0
    }

    /// Where nothing is watched yet, the read finds out.
    fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &self.input.watch {
            Watch::On(fd) => fd.poll_read_ready(cx).map_ok(drop),
            Watch::Fresh | Watch::Tried | Watch::Off => Poll::Ready(Ok(())),
        }
    }

    fn may_put_off(&self) -> bool {
        false
    }

    /// Nobody asks for it.
    fn put_off(&mut self, _cx: &Context<'_>) {}

    /// Only protocols of sockets ask for it.
    fn poll_peek(&mut self, _cx: &mut Context<'_>, _buf: &mut [u8], _wanted: usize) -> Poll<io::Result<usize>> {
        Poll::Ready(Err(io::ErrorKind::Unsupported.into()))
    }
}

impl AsyncRead for Stdio {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let read = ready!(self.get_mut().input.poll_io(cx, |mut file| file.read(buf.initialize_unfilled())))?;
        buf.advance(read);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stdio {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[io::IoSlice::new(buf)])
    }

    #[inline]
    fn poll_write_vectored(self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        self.get_mut().output.poll_io(cx, |mut file| file.write_vectored(bufs))
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

/// The variables of the request, which stand in the environment.
pub(crate) fn variables(environment: &[(OsString, OsString)]) -> CgiVars {
    CgiVars::from_pairs(environment.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())))
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
    let link = Stdio { input: End::new(input, Interest::READABLE), output: End::new(output, Interest::WRITABLE) };
    let (bytes, pairs, headers) = vars.into_parts();
    let outcome = drive(link, Plain::new(Params { bytes, pairs, headers }, length), Gateway::Cgi, app, shared).await;
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
        let output_end = End::new(output.try_clone().unwrap().into(), Interest::WRITABLE);
        let mut stdio = Stdio { input: End::new(file.into(), Interest::READABLE), output: output_end };
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
        let output = File::options().write(true).open("/dev/null").unwrap();
        let mut stdio = Stdio { input: End::new(reader.into(), Interest::READABLE), output: End::new(writer.into(), Interest::WRITABLE) };
        stdio.write_all(b"answer").await.unwrap();
        assert!(sys::set_nonblocking(&copy, true).unwrap(), "non-blocking while it is driven");
        stdio.output = End::new(output.into(), Interest::WRITABLE);
        assert!(!sys::set_nonblocking(&copy, false).unwrap(), "blocking again");
    }

    #[tokio::test]
    async fn a_full_pipe_and_an_empty_one_are_waited_for() {
        const LEN: usize = 1024 * 1024;
        let (reader, writer) = io::pipe().unwrap();
        let mut stdio = Stdio { input: End::new(reader.into(), Interest::READABLE), output: End::new(writer.into(), Interest::WRITABLE) };
        let (mut input, mut output) = tokio::io::split(&mut stdio);
        let mut body = vec![0; LEN];
        let (read, written) = tokio::join!(input.read_exact(&mut body), output.write_all(&[7; LEN]));
        written.unwrap();
        assert_eq!((read.unwrap(), body.iter().all(|byte| *byte == 7)), (LEN, true));
    }
}
