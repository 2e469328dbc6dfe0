//! How much a process has to do, and when it has had nothing to do for a while.

use std::time::Duration;
use tokio::time::sleep;

/// How much is being done, and was ever begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Work {
    pub(crate) in_work: usize,
    pub(crate) begun: usize,
}

/// Waits until nothing was done for `limit`, and less than twice as long: it looks only so often, since each look wakes the process.
///
/// A kept connection on which nothing is asked is no work: the web server goes on with another one when it is closed.
pub(super) async fn idle(limit: Duration, work: impl Fn() -> (Work, bool)) {
    let mut before = None;
    loop {
        let (now, no_tasks) = work();
        let resting = (now.in_work == 0 && no_tasks).then_some(now.begun);
        if resting.is_some() && resting == before {
            return;
        }
        before = resting;
        sleep(limit).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use tokio::time::Instant;

    /// How many seconds pass until a program leaves that may idle for ten, and whose work looks so each time.
    async fn leaves_after(looks: &[(usize, usize)]) -> u64 {
        let looks = RefCell::new(looks.iter().copied());
        let last = RefCell::new((0, 0));
        let start = Instant::now();
        idle(Duration::from_secs(10), || {
            let (in_work, begun) = looks.borrow_mut().next().unwrap_or(*last.borrow());
            *last.borrow_mut() = (in_work, begun);
            (Work { in_work, begun }, true)
        })
        .await;
        start.elapsed().as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_whole_time_without_work_ends_it() {
        assert_eq!(leaves_after(&[(0, 0)]).await, 10);
        assert_eq!(leaves_after(&[(0, 0), (0, 3), (0, 3)]).await, 20, "three short requests came in between");
        assert_eq!(leaves_after(&[(0, 0), (1, 1), (0, 1), (0, 1)]).await, 30, "one was still in work, and has ended just now");
    }
}
