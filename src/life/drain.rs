//! Being told to leave, and what is still to be done then.

use crate::sys;
use std::{
    fs::File,
    future::{Future, pending},
    io,
    io::IsTerminal as _,
    os::fd::OwnedFd,
    sync::OnceLock,
    time::Duration,
};
use tokio::{
    io::{Interest, unix::AsyncFd},
    time::sleep,
};
use tokio_util::task::TaskTracker;

/// How often signals are looked at where no descriptor can be had that tells of them.
const LOOK: Duration = Duration::from_millis(100);

/// Where SIGINT stands among the signals that are counted.
const INTERRUPT: usize = 1;

/// The signals by which web servers, supervisors and people tell a program to leave: SIGTERM, SIGINT, and SIGUSR1, which LiteSpeed and older lighttpd send
/// to FastCGI programs.
///
/// tokio has streams of signals too, for which every process makes a pair of sockets and room for 65 signals when its runtime starts: an eighth of the time
/// that a CGI program takes from its start to its end.
#[derive(Debug)]
pub(crate) struct Signals {
    /// How often each was noticed.
    noticed: [u32; 3],
    /// Tells that one came; made when somebody waits.
    bell: Option<AsyncFd<File>>,
}

impl Signals {
    /// Starts to watch for them.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub(crate) fn watch() -> io::Result<Self> {
        sys::count_signals()?;
        Ok(Self { noticed: sys::signals_came(), bell: None })
    }

    /// Waits for the first of them.
    pub(crate) async fn stop(&mut self) {
        self.next(|_| true).await;
    }

    /// Waits for the impatience of a person: an interrupt from a terminal, while the process is leaving already.
    ///
    /// A second SIGTERM does not cut anything short: Apache sends one as a matter of course.
    pub(crate) async fn impatience(&mut self) {
        loop {
            self.next(|signal| signal == INTERRUPT).await;
            if io::stderr().is_terminal() {
                return;
            }
        }
    }

    /// Waits for one of the `wanted` signals that was not noticed yet.
    async fn next(&mut self, wanted: impl Fn(usize) -> bool) {
        loop {
            let mut signals = self.noticed.iter_mut().zip(sys::signals_came()).enumerate();
            if let Some((_, (noticed, came))) = signals.find(|(at, (noticed, came))| wanted(*at) && **noticed != *came) {
                *noticed = came;
                return;
            }
            if self.bell.is_none() {
                self.bell = sys::signal_bell().and_then(|bell| Ok(sys::async_fd(bell.into(), Interest::READABLE)?)).ok();
            }
            match &self.bell {
                // Cleared before the next look at the counts, so that a signal between the two is seen by one of them.
                Some(bell) => match bell.readable().await {
                    Ok(mut ready) => ready.clear_ready(),
                    Err(_) => sleep(LOOK).await,
                },
                None => sleep(LOOK).await,
            }
        }
    }
}

/// Waits until nobody holds the other end of this pipe any more. Nothing is ever read from it.
///
/// A file or /dev/null has no other end, so that the wait for it never ends.
pub(crate) async fn hang_up(pipe: OwnedFd) {
    if let Ok(pipe) = sys::async_fd(pipe.into(), Interest::READABLE) {
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
    use std::{fs::File, io::Write as _, time::Duration};
    use tokio::time::timeout;

    const SOON: Duration = Duration::from_millis(100);

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
