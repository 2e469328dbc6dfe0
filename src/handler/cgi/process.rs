//! A program that runs for one request.

use super::{
    ending::{Ending, ended},
    output::{Broke, Output},
    stderr::Lines,
    upload::{Measured, Upload},
};
use crate::sys;
use bytes::{Bytes, BytesMut};
use std::{
    io,
    os::{fd::OwnedFd, unix::process::CommandExt as _},
    pin::Pin,
    process::{Command, ExitStatus, Stdio},
    sync::{Arc, Once},
    task::{Context, Poll, ready},
};
use tokio::{
    net::unix::pipe::{Receiver, Sender},
    runtime::Handle,
};
use tokio_util::io::poll_read_buf;

/// How much is read at one time; a pipe holds no more.
const READ: usize = 64 * 1024;

/// A program that was started. Whoever drops it before it has ended kills it, with all that it has started and that has not left its process group; what it leaves
/// behind when it ends well is left alone.
pub(super) struct Running {
    leader: u32,
    /// None when it was waited for, since when its number may be another's.
    ending: Option<Ending>,
    stdout: Option<Receiver>,
    stderr: Option<Receiver>,
    /// None when the program has its body.
    upload: Option<Upload>,
    read: BytesMut,
    lines: Lines,
}

impl Running {
    /// Starts a program in a process group of its own, and gives it the body of the request as it comes. Rust lets it have nothing of ours but what is meant for it: no
    /// descriptor but the three, no signal blocked, and SIGPIPE ends it as it expects.
    pub(super) fn start(mut command: Command, body: Measured, name: Arc<str>) -> io::Result<Self> {
        static ONCE: Once = Once::new();
        ONCE.call_once(sys::stop_ignoring_children);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let mut child = command.spawn()?;
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        // From here on it is killed where something fails.
        let leader = child.id();
        let mut running = Self {
            leader,
            ending: Some(Box::pin(ended(child))),
            stdout: None,
            stderr: None,
            upload: None,
            read: BytesMut::new(),
            lines: Lines::new(name),
        };
        running.stdout = stdout.map(OwnedFd::from).map(Receiver::from_owned_fd).transpose()?;
        running.stderr = stderr.map(OwnedFd::from).map(Receiver::from_owned_fd).transpose()?;
        if let Some(stdin) = stdin {
            let stdin = Sender::from_owned_fd(stdin.into())?;
            running.upload = Some(body.pour(stdin, Bytes::new(), |piece| piece, Bytes::new()));
        }
        Ok(running)
    }

    fn poll_upload(&mut self, cx: &mut Context<'_>) -> Result<(), Broke> {
        let Some(upload) = &mut self.upload else { return Ok(()) };
        if let Poll::Ready(sent) = upload.as_mut().poll(cx) {
            // With the future goes the pipe, so that the program sees the end.
            self.upload = None;
            sent.map_err(Broke::Request)?;
        }
        Ok(())
    }

    /// Logs what is there of stderr. A program that is told nothing of it could wait for room in the pipe for ever.
    fn poll_stderr(&mut self, cx: &mut Context<'_>) {
        while let Some(stderr) = &mut self.stderr {
            let mut text = BytesMut::with_capacity(4096);
            match poll_read_buf(Pin::new(stderr), cx, &mut text) {
                Poll::Pending => return,
                Poll::Ready(Ok(1..)) => self.lines.push(&text),
                Poll::Ready(Ok(0) | Err(_)) => self.stderr = None,
            }
        }
    }

    fn poll_stdout(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Broke>> {
        let Some(stdout) = &mut self.stdout else { return Poll::Ready(Ok(None)) };
        self.read.reserve(READ);
        let len = ready!(poll_read_buf(Pin::new(stdout), cx, &mut self.read)).map_err(|error| Broke::Program(format!("cannot be read: {error}")))?;
        if len == 0 {
            self.stdout = None;
            return Poll::Ready(Ok(None));
        }
        Poll::Ready(Ok(Some(self.read.split().freeze())))
    }
}

impl Output for Running {
    /// The output ends when the program does, and not with its stdout: only then it is known whether it failed.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Broke>> {
        self.poll_upload(cx)?;
        self.poll_stderr(cx);
        if let Some(piece) = ready!(self.poll_stdout(cx))? {
            return Poll::Ready(Ok(Some(piece)));
        }
        let Some(ending) = &mut self.ending else { return Poll::Ready(Ok(None)) };
        let ended = ready!(ending.as_mut().poll(cx));
        self.ending = None;
        // What it wrote last.
        self.poll_stderr(cx);
        self.lines.finish();
        Poll::Ready(match ended {
            Ok(status) if status.success() => Ok(None),
            Ok(status) => Err(Broke::Program(ended_badly(status))),
            Err(error) => Err(Broke::Program(format!("cannot be waited for: {error}"))),
        })
    }
}

fn ended_badly(status: ExitStatus) -> String {
    format!("ended with {status}")
}

impl Drop for Running {
    fn drop(&mut self) {
        let Some(ending) = self.ending.take() else { return };
        let _ = sys::kill_group(self.leader);
        // It takes a moment to end, and one that nobody waits for would stay in the table of processes.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(ending);
        }
    }
}
