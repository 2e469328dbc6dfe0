//! What a program of LiteSpeed does on its own: it leaves without being told, and warns of root.

use super::background_tasks;
use crate::{diagnostic::codes as code, gateway::LiteSpeed, sys};
use std::{future::pending, sync::Once, time::Duration};
use tokio::time::sleep;

/// How often the parent is looked at. LiteSpeed tells a program to leave; only after a crash is this how it finds out.
const LOOK: Duration = Duration::from_secs(2);

/// Warns of running as root, where LiteSpeed started us or the first one speaks its protocol: it starts what has no user of its own as root if root started it. Told
/// once in the life of a process. A person who tries things out as root over another protocol knows.
pub(crate) fn warn_of_root() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        if sys::effective_uid() == 0 {
            tracing::error!(
                target: "lodger",
                "{}: this program runs as root, and visitors of the site talk to it: behind LiteSpeed, give the external app a user of its own (`extUser`, `extGroup`, or suEXEC)",
                code::AS_ROOT
            );
        }
    });
}

/// How much is being done, and was ever begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Work {
    pub(crate) in_work: usize,
    pub(crate) begun: usize,
}

/// Waits for the moment when a program has to leave on its own: a detached one that had no work for as long as it was told, any other whose parent is gone.
pub(crate) async fn leave_alone(terms: Option<&LiteSpeed>, work: impl Fn() -> Work) {
    match terms {
        Some(LiteSpeed { max_idle: Some(limit), .. }) => idle(*limit, || (work(), background_tasks().is_empty())).await,
        Some(LiteSpeed { parent: Some(parent), .. }) => parent_gone(*parent).await,
        _ => pending().await,
    }
}

async fn parent_gone(parent: u32) {
    while std::os::unix::process::parent_id() == parent {
        sleep(LOOK).await;
    }
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

    #[tokio::test(start_paused = true)]
    async fn a_program_with_another_parent_than_before_leaves() {
        parent_gone(std::os::unix::process::parent_id() + 1).await;
        let ours = parent_gone(std::os::unix::process::parent_id());
        assert!(tokio::time::timeout(Duration::from_secs(60), ours).await.is_err());
    }
}
