//! The end of a program that was started.
//!
//! tokio could wait for it too, but its processes bring its signals along, for which every process makes a pair of sockets and room for 65 signals when its runtime
//! starts: an eighth of the time that a CGI program of ours takes from its start to its end.

use crate::sys;
use std::{
    future::Future,
    io,
    os::fd::OwnedFd,
    pin::Pin,
    process::{Child, ExitStatus},
    time::Duration,
};
use tokio::{
    io::{Interest, unix::AsyncFd},
    time::sleep,
};

/// When it is looked first whether a program has ended, where the kernel cannot tell.
const FIRST_LOOK: Duration = Duration::from_millis(1);

/// The longest time between two looks.
const LOOK: Duration = Duration::from_millis(100);

/// How a program ends.
pub(super) type Ending = Pin<Box<dyn Future<Output = io::Result<ExitStatus>> + Send>>;

/// Waits for the end of a program, which is not in the table of processes any more afterwards. Nothing is asked of the kernel before it is first polled.
pub(super) async fn ended(child: Child) -> io::Result<ExitStatus> {
    let watch = sys::watch_process(child.id()).ok().and_then(|watch| sys::async_fd(watch, Interest::READABLE).ok());
    ended_by(child, watch).await
}

/// `watch` can be read once it has ended; kernels before 5.3 and some containers have no such thing.
async fn ended_by(mut child: Child, watch: Option<AsyncFd<OwnedFd>>) -> io::Result<ExitStatus> {
    let mut pause = FIRST_LOOK;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if let Some(watch) = &watch {
            watch.readable().await?.clear_ready();
        } else {
            sleep(pause).await;
            pause = (2 * pause).min(LOOK);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    fn started() -> Child {
        Command::new("sh").args(["-c", "sleep 0.05; exit 7"]).spawn().unwrap()
    }

    #[tokio::test]
    async fn the_end_is_noticed_with_and_without_help_of_the_kernel() {
        assert_eq!(ended(started()).await.unwrap().code(), Some(7));
        assert_eq!(ended_by(started(), None).await.unwrap().code(), Some(7));
    }
}
