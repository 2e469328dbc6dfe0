//! An idle process holds no more than it needs: the pages of its program go back to the kernel until somebody asks again.

use super::work::{Work, idle};
use crate::sys;
use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};
use tokio::sync::Notify;

/// A process rests when nothing was asked of it for so long, and for less than twice as long: it looks only so often, since each look wakes it.
///
/// The next request then finds some seventy pages missing, which the kernel puts back in a twentieth of a millisecond; after a pause of this length that is nothing.
const PAUSE: Duration = Duration::from_secs(3);

/// Whether the process rests.
///
/// The kernel maps a program in large pieces around what is touched, so that a process which has started and answered once holds nearly all of its program: several times what
/// it has of its own. Web spaces count that where they show or limit the memory of a process.
#[derive(Debug, Default)]
pub(crate) struct Rest {
    resting: AtomicBool,
    over: Notify,
}

impl Rest {
    /// Takes note that there is work.
    pub(crate) fn end(&self) {
        if self.resting.load(Ordering::Relaxed) {
            self.wake();
        }
    }

    #[cold]
    fn wake(&self) {
        self.resting.store(false, Ordering::Relaxed);
        self.over.notify_one();
    }

    /// Rests whenever `work` stands still, and never ends. While the process rests, nothing wakes it.
    pub(crate) async fn watch(&self, work: impl Fn() -> Work) {
        loop {
            idle(PAUSE, || (work(), true)).await;
            self.resting.store(true, Ordering::Relaxed);
            sys::let_go_of_program();
            self.over.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{cell::Cell, future::Future as _, pin::pin, task::Poll};
    use tokio::time::advance;

    #[tokio::test(start_paused = true)]
    async fn a_process_rests_when_nothing_is_begun_and_not_while_something_is_in_work() {
        let (rest, work) = (Rest::default(), Cell::new(Work { in_work: 1, begun: 1 }));
        let mut watch = pin!(rest.watch(|| work.get()));
        let mut goes_on = async |time: Duration| {
            advance(time).await;
            std::future::poll_fn(|cx| Poll::Ready(watch.as_mut().poll(cx).is_pending())).await
        };
        assert!(goes_on(Duration::ZERO).await && goes_on(PAUSE).await);
        assert!(!rest.resting.load(Ordering::Relaxed), "a request is in work");
        work.set(Work { in_work: 0, begun: 2 });
        assert!(goes_on(PAUSE).await);
        assert!(!rest.resting.load(Ordering::Relaxed), "one was begun meanwhile");
        assert!(goes_on(PAUSE).await);
        assert!(rest.resting.load(Ordering::Relaxed));
        rest.end();
        assert!(goes_on(Duration::ZERO).await && !rest.resting.load(Ordering::Relaxed));
        assert!(goes_on(PAUSE).await && rest.resting.load(Ordering::Relaxed), "and again");
    }
}
