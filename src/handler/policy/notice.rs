//! What the log is told of requests that were refused.

use crate::diagnostic::codes::Code;
use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// How long the log hears nothing more of a gate once it has been told: refusing is for the times when very many come, and then a line for each would fill the disk.
const QUIET: Duration = Duration::from_secs(60);

/// Tells the log that requests were refused, now and then.
#[derive(Debug, Default)]
pub(super) struct Notice(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    told: Option<Instant>,
    untold: u64,
}

impl Notice {
    /// A request was refused.
    pub(super) fn refused(&self, code: Code, sentence: &str) {
        match self.due() {
            Some(0) => tracing::warn!(target: "lodger", "{code}: {sentence}"),
            Some(untold) => tracing::warn!(target: "lodger", "{code}: {sentence} ({untold} more requests were refused since the last such line)"),
            None => {}
        }
    }

    /// Whether it is time for a line, and how many requests were refused without one.
    fn due(&self) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.told.is_some_and(|told| told.elapsed() < QUIET) {
            state.untold += 1;
            return None;
        }
        state.told = Some(Instant::now());
        Some(std::mem::take(&mut state.untold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_crowd_that_is_refused_is_one_line_in_the_log_and_then_a_number() {
        let notice = Notice::default();
        assert_eq!(notice.due(), Some(0));
        assert!((0..1000).all(|_| notice.due().is_none()));
        tokio::time::advance(QUIET - Duration::from_nanos(1)).await;
        assert_eq!(notice.due(), None);
        tokio::time::advance(Duration::from_nanos(1)).await;
        assert_eq!(notice.due(), Some(1001));
        tokio::time::advance(QUIET).await;
        assert_eq!(notice.due(), Some(0));
    }
}
