//! Being told to leave, and what is still to be done then.

use crate::sys;
use signal_hook::{
    SigId,
    consts::{SIGINT, SIGTERM, SIGUSR1},
    flag,
    low_level::{pipe, unregister},
};
use std::{
    ffi::c_int,
    fs::File,
    future::{Future, pending},
    io::{self, IsTerminal as _, Read as _},
    os::fd::OwnedFd,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{Interest, unix::AsyncFd},
    time::sleep,
};
use tokio_util::task::TaskTracker;

/// How often signals are looked at where they cannot be waited for.
const LOOK: Duration = Duration::from_millis(100);

/// The signals by which web servers, supervisors and people tell a program to leave. LiteSpeed and older lighttpd send SIGUSR1 to FastCGI programs.
const SIGNALS: [c_int; 3] = [SIGTERM, SIGINT, SIGUSR1];

/// The ones that a person at a terminal can send.
const OF_A_PERSON: [c_int; 1] = [SIGINT];

/// Tells of signals from the moment it is made.
///
/// tokio has streams of signals too, for which every process makes a pair of sockets and room for 65 signals when its runtime starts: an eighth of the time
/// that a CGI program takes from its start to its end.
#[derive(Debug)]
pub(crate) struct Signals {
    /// Whether each of `SIGNALS` has come and was not noticed yet.
    came: Vec<Came>,
    actions: Vec<SigId>,
    /// Holds a byte for each signal that came since somebody first waited. Most CGI programs are gone before.
    bell: Option<AsyncFd<File>>,
}

/// Whether a signal has come and was not noticed yet.
#[derive(Debug)]
enum Came {
    /// Noted by `signal-hook`.
    Hooked(Arc<AtomicBool>),
    /// Noted by a handler of our own.
    Noted(&'static AtomicBool),
}

impl Came {
    fn take(&self) -> bool {
        let came: &AtomicBool = match self {
            Self::Hooked(came) => came,
            Self::Noted(came) => came,
        };
        came.swap(false, Ordering::SeqCst)
    }
}

impl Signals {
    /// Starts to watch for them.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub(crate) fn watch() -> io::Result<Self> {
        let mut signals = Self { came: Vec::with_capacity(SIGNALS.len()), actions: Vec::new(), bell: None };
        SIGNALS.into_iter().try_for_each(|signal| signals.hook(signal))?;
        Ok(signals)
    }

    /// The same for a process that serves one request and most often ends before somebody waits: `signal-hook`, which shares a signal among many, comes in
    /// when somebody does, or where a signal is somebody else's already. Two servers in one process would take the signals from each other.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub(crate) fn watch_cheaply() -> io::Result<Self> {
        let mut signals = Self { came: Vec::with_capacity(SIGNALS.len()), actions: Vec::new(), bell: None };
        for signal in SIGNALS {
            match sys::note_signal(signal)? {
                Some(came) => signals.came.push(Came::Noted(came)),
                None => signals.hook(signal)?,
            }
        }
        Ok(signals)
    }

    fn hook(&mut self, signal: c_int) -> io::Result<()> {
        let came = Arc::default();
        self.actions.push(flag::register(signal, Arc::clone(&came))?);
        self.came.push(Came::Hooked(came));
        Ok(())
    }

    /// Waits for the first of them.
    pub(crate) async fn stop(&mut self) {
        self.next(&SIGNALS).await;
    }

    /// Waits for the impatience of a person: an interrupt from a terminal, while the process is leaving already.
    ///
    /// A second SIGTERM does not cut anything short: Apache sends one as a matter of course.
    pub(crate) async fn impatience(&mut self) {
        loop {
            self.next(&OF_A_PERSON).await;
            if io::stderr().is_terminal() {
                return;
            }
        }
    }

    /// Waits for one of the `wanted` that was not noticed yet.
    async fn next(&mut self, wanted: &[c_int]) {
        loop {
            let mut signals = SIGNALS.iter().zip(&self.came).filter(|(signal, _)| wanted.contains(signal));
            if signals.any(|(_, came)| came.take()) {
                return;
            }
            if self.heard().await.is_err() {
                sleep(LOOK).await;
            }
        }
    }

    /// Waits until a signal comes, whichever. One that came before somebody first waited rings no bell, so that it is looked for again then.
    async fn heard(&mut self) -> io::Result<()> {
        match &self.bell {
            Some(bell) => bell.async_io(Interest::READABLE, |mut bell| bell.read(&mut [0; 64])).await.map(drop),
            None => self.hang_bell(),
        }
    }

    fn hang_bell(&mut self) -> io::Result<()> {
        let (bell, rope) = io::pipe()?;
        sys::set_nonblocking(&bell, true)?;
        let bell = sys::async_fd(OwnedFd::from(bell).into(), Interest::READABLE)?;
        let ropes = [rope.try_clone()?, rope.try_clone()?, rope];
        for (signal, rope) in SIGNALS.into_iter().zip(ropes) {
            // Behind the flag of the same signal: who hears the bell finds what it rang for. A handler of our own is called before all that is registered here.
            self.actions.push(pipe::register(signal, OwnedFd::from(rope))?);
        }
        self.bell = Some(bell);
        Ok(())
    }
}

/// Whoever waits next, another server in the same process perhaps, is told by actions of its own.
impl Drop for Signals {
    fn drop(&mut self) {
        for action in self.actions.drain(..) {
            unregister(action);
        }
    }
}

/// Waits until nobody holds the other end of this pipe any more. Nothing is ever read from it.
///
/// A file or /dev/null has no other end, so that the wait for it never ends.
pub(crate) async fn hang_up(pipe: OwnedFd) {
    if let Ok(pipe) = sys::async_fd(pipe, Interest::READABLE) {
        while let Ok(mut ready) = pipe.readable().await {
            // On a socket in the place of the pipe, the end of the input is the end.
            if sys::hung_up(pipe.get_ref(), true) {
                return;
            }
            ready.clear_ready();
        }
    }
    pending::<()>().await;
}

static BACKGROUND: OnceLock<TaskTracker> = OnceLock::new();

/// Tasks that the process waits for before it leaves.
pub(crate) fn background_tasks() -> &'static TaskTracker {
    BACKGROUND.get_or_init(TaskTracker::new)
}

/// Whether the process has such tasks. A CGI program most often has none and never looks for them otherwise.
pub(crate) fn has_background_tasks() -> bool {
    BACKGROUND.get().is_some_and(|tasks| !tasks.is_empty())
}

/// Starts a task that goes on after the response and that the process waits for before it leaves.
///
/// Use it for what a visitor should not wait for: sending a mail, writing statistics. The wait ends with the time that is left to a process
/// that is told to leave: 7 s under mod_fcgid, 20 s elsewhere ([`Limits::drain_timeout`](crate::Limits::drain_timeout)).
/// In CGI, where a process answers one request, stdin, stdout and stderr are let go first, so that the visitor has the whole response at once, and that time
/// begins then; Apache ends such a process after about three seconds all the same.
///
/// ```
/// # async fn handler() -> &'static str {
/// lodger::background(async { /* send the mail */ });
/// "thank you"
/// # }
/// ```
///
/// # Panics
///
/// Outside a tokio runtime; a handler is always inside one.
pub fn background<F>(task: F)
where
    F: Future<Output = ()> + Send + 'static,
{
    background_tasks().spawn(task);
}

#[cfg(test)]
mod tests {
    use super::*;
    use signal_hook::low_level::raise;
    use std::{fs::File, io::Write as _, time::Duration};
    use tokio::time::timeout;

    const SOON: Duration = Duration::from_millis(100);

    #[tokio::test]
    async fn a_signal_is_noticed_whether_somebody_waited_for_it_before_or_not() {
        let notices = async |signals: &mut Signals| timeout(Duration::from_secs(20), signals.stop()).await.is_ok();
        let mut signals = Signals::watch().unwrap();
        raise(SIGUSR1).unwrap();
        assert!(notices(&mut signals).await, "before anybody waited");
        raise(SIGUSR1).unwrap();
        assert!(notices(&mut signals).await, "with the bell hung");
        // Other tests may send signals too.
        let _ = timeout(Duration::ZERO, signals.stop()).await;
        raise(SIGUSR1).unwrap();
        assert!(notices(&mut signals).await, "after a wait that was given up");
    }

    #[tokio::test]
    async fn a_signal_that_is_noted_cheaply_is_noticed_once() {
        let mut signals = Signals::watch_cheaply().unwrap();
        raise(SIGINT).unwrap();
        let mut notices = async |wanted: &[c_int]| timeout(SOON, signals.next(wanted)).await.is_ok();
        assert!(notices(&[SIGINT]).await, "before anybody waited");
        assert!(!notices(&[SIGINT]).await, "once");
        raise(SIGINT).unwrap();
        assert!(notices(&[SIGINT]).await, "with the bell hung");
        assert!(!notices(&[SIGINT]).await, "once");
    }

    #[tokio::test]
    async fn the_end_of_a_pipe_is_noticed_and_what_is_written_into_it_is_not() {
        let (reader, mut writer) = io::pipe().unwrap();
        let end = hang_up(reader.into());
        tokio::pin!(end);
        assert!(timeout(SOON, &mut end).await.is_err());
        writer.write_all(b"nobody should").unwrap();
        assert!(timeout(SOON, &mut end).await.is_err());
        drop(writer);
        timeout(Duration::from_secs(20), end).await.unwrap();
    }

    #[tokio::test]
    async fn a_socket_ends_with_its_input() {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let end = hang_up(ours.into());
        tokio::pin!(end);
        assert!(timeout(SOON, &mut end).await.is_err());
        theirs.shutdown(std::net::Shutdown::Write).unwrap();
        timeout(Duration::from_secs(20), end).await.unwrap();
    }

    #[tokio::test]
    async fn what_has_no_other_end_never_ends() {
        assert!(timeout(SOON, hang_up(File::open("/dev/null").unwrap().into())).await.is_err());
    }
}
