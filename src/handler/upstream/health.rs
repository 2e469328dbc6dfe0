//! Whether the upstream is worth asking.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};
use tokio::time::Instant;

/// After connecting failed nobody asks for a while; then one request finds out, and the others wait for what it finds.
#[derive(Debug)]
pub(crate) struct Health {
    base: Instant,
    /// Until when nobody asks, in milliseconds since `base`; 0 where the upstream answers.
    until: AtomicU64,
    fail_for: Duration,
}

impl Health {
    pub(crate) fn new(fail_for: Duration) -> Self {
        Self { base: Instant::now(), until: AtomicU64::new(0), fail_for }
    }

    /// Whether a request may go there; else, how long it is until one may. The one that finds out keeps the others away for as long as a failure would, so that its fate does not
    /// matter to them: another finds out after that.
    pub(crate) fn may_ask(&self) -> Result<(), Duration> {
        let until = self.until.load(Ordering::Relaxed);
        let now = self.now();
        if until == 0 {
            return Ok(());
        }
        if now < until {
            return Err(Duration::from_millis(until - now));
        }
        match self.until.compare_exchange(until, self.after_failure(now), Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) | Err(0) => Ok(()),
            Err(until) => Err(Duration::from_millis(until.saturating_sub(now))),
        }
    }

    /// The upstream let itself be connected to.
    pub(crate) fn answers(&self) {
        self.until.store(0, Ordering::Relaxed);
    }

    /// The upstream could not be connected to, however often it was tried.
    pub(crate) fn fails(&self) {
        if !self.fail_for.is_zero() {
            self.until.store(self.after_failure(self.now()), Ordering::Relaxed);
        }
    }

    fn now(&self) -> u64 {
        millis(self.base.elapsed())
    }

    /// Never 0, which has a meaning of its own.
    fn after_failure(&self, now: u64) -> u64 {
        now.saturating_add(millis(self.fail_for).max(1))
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    const FAIL_FOR: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn after_a_failure_nobody_asks_and_then_one_does() {
        let health = Health::new(FAIL_FOR);
        assert_eq!(health.may_ask(), Ok(()));
        health.fails();
        advance(Duration::from_secs(4)).await;
        assert_eq!(health.may_ask(), Err(Duration::from_secs(6)));
        advance(Duration::from_secs(6)).await;
        assert_eq!(health.may_ask(), Ok(()), "one finds out");
        assert_eq!(health.may_ask(), Err(FAIL_FOR), "the others wait for what it finds");
        health.answers();
        assert_eq!(health.may_ask(), Ok(()));
        assert_eq!(health.may_ask(), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_never_finds_out_is_followed_by_another() {
        let health = Health::new(FAIL_FOR);
        health.fails();
        advance(FAIL_FOR).await;
        assert_eq!(health.may_ask(), Ok(()));
        advance(FAIL_FOR).await;
        assert_eq!(health.may_ask(), Ok(()));
        assert!(health.may_ask().is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_fails_begins_the_time_anew() {
        let health = Health::new(FAIL_FOR);
        health.fails();
        advance(FAIL_FOR).await;
        assert_eq!(health.may_ask(), Ok(()));
        advance(Duration::from_secs(3)).await;
        health.fails();
        assert_eq!(health.may_ask(), Err(FAIL_FOR));
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_time_every_request_finds_out() {
        let health = Health::new(Duration::ZERO);
        health.fails();
        assert_eq!(health.may_ask(), Ok(()));
    }
}
