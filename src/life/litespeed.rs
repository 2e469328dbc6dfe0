//! What a program of LiteSpeed does on its own: it leaves without being told, and warns of root.

use super::{
    has_background_tasks,
    work::{Work, idle},
};
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

/// Waits for the moment when a program has to leave on its own: a detached one that had no work for as long as it was told, any other whose parent is gone.
pub(crate) async fn leave_alone(terms: Option<&LiteSpeed>, work: impl Fn() -> Work) {
    match terms {
        Some(LiteSpeed { max_idle: Some(limit), .. }) => idle(*limit, || (work(), !has_background_tasks())).await,
        Some(LiteSpeed { parent: Some(parent), .. }) => parent_gone(*parent).await,
        _ => pending().await,
    }
}

async fn parent_gone(parent: u32) {
    while std::os::unix::process::parent_id() == parent {
        sleep(LOOK).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_program_with_another_parent_than_before_leaves() {
        parent_gone(std::os::unix::process::parent_id() + 1).await;
        let ours = parent_gone(std::os::unix::process::parent_id());
        assert!(tokio::time::timeout(Duration::from_secs(60), ours).await.is_err());
    }
}
