//! How many requests in how long.

use super::buckets::{Buckets, Key};
use crate::config::model::{Per, Rate};
use std::{net::IpAddr, time::Duration};

/// Counts requests to the one: `burst` at once, and then one whenever its share of the time has gone by.
#[derive(Debug)]
pub(super) struct RateLimit {
    buckets: Buckets,
    /// What a request costs: with `requests` parts to a nanosecond, one is paid for after its share of `within`.
    cost: u128,
    per: Per,
}

impl RateLimit {
    pub(super) fn new(rate: &Rate) -> Self {
        let cost = rate.within.as_nanos();
        let tolerance = cost * u128::from(rate.burst.saturating_sub(1));
        Self { buckets: Buckets::new(rate.requests.into(), tolerance), cost, per: rate.per }
    }

    /// Counts a request, or says how long it has to wait. One that is refused is not counted.
    pub(super) fn take(&self, address: Option<IpAddr>) -> Result<(), Duration> {
        self.buckets.take(Key::of(self.per, address), self.cost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const MINUTE: Duration = Duration::from_secs(60);
    const DAY: Duration = Duration::from_secs(24 * 3600);

    fn limit(requests: u32, within: Duration, burst: u32, per: Per) -> RateLimit {
        RateLimit::new(&Rate { requests, within, burst, per })
    }

    #[tokio::test(start_paused = true)]
    async fn exactly_as_many_pass_as_the_rate_says() {
        let cases = [
            // requests, within, burst, a request every so often, for so long
            (1, SECOND, 1, Duration::from_millis(1), 10 * SECOND),
            (4, SECOND, 1, Duration::from_millis(1), 7 * SECOND),
            (3, SECOND, 5, Duration::from_millis(1), 7 * SECOND),
            (7, SECOND, 20, Duration::from_micros(700), 3 * SECOND),
            (1000, SECOND, 10, Duration::from_micros(100), SECOND),
            (100, MINUTE, 10, Duration::from_millis(50), 2 * MINUTE),
            (1, DAY, 3, Duration::from_secs(60), 3 * DAY),
            (u32::MAX, SECOND, 1, Duration::from_millis(1), SECOND),
        ];
        for (requests, within, burst, every, span) in cases {
            let limit = limit(requests, within, burst, Per::Client);
            let began = tokio::time::Instant::now();
            let (mut asked, mut passed, mut last, mut refused_first) = (0_u128, 0_u128, Duration::ZERO, None);
            while began.elapsed() <= span {
                match limit.take(None) {
                    Ok(()) => passed += 1,
                    Err(_) => refused_first = refused_first.or(Some(asked)),
                }
                (asked, last) = (asked + 1, began.elapsed());
                tokio::time::advance(every).await;
            }
            // Each share of the time earns a place, which the next request takes. With a burst of one no place can be saved for it, so that shares are whole steps in those cases.
            let earned = (last.as_nanos() * u128::from(requests)) / within.as_nanos();
            let expected = (u128::from(burst) + earned).min(asked);
            assert_eq!(passed, expected, "{requests} in {within:?}, burst {burst}");
            assert!(refused_first.is_none_or(|first| first >= u128::from(burst)), "the burst passes whole: {requests} in {within:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn each_request_is_decided_as_by_a_bucket_that_is_counted_by_hand() {
        for (requests, burst) in [(1, 1), (3, 1), (7, 2), (10, 5), (999, 100)] {
            let limit = limit(requests, SECOND, burst, Per::Client);
            // A billion drops are a request; each nanosecond brings as many drops as there are requests in a second.
            let (full, mut drops, mut noise) = (u64::from(burst) * 1_000_000_000, u64::from(burst) * 1_000_000_000, 1_u64);
            for at in 0..3000 {
                let passes = drops >= 1_000_000_000;
                drops -= if passes { 1_000_000_000 } else { 0 };
                assert_eq!(limit.take(None).is_ok(), passes, "request {at} at {requests} a second, burst {burst}");
                noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let pause = (noise >> 33) % (2_000_000_000 / u64::from(requests));
                drops = full.min(drops + pause * u64::from(requests));
                tokio::time::advance(Duration::from_nanos(pause)).await;
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_next_passes_at_its_nanosecond_and_not_before() {
        let limit = limit(3, SECOND, 2, Per::Client);
        assert_eq!((limit.take(None), limit.take(None)), (Ok(()), Ok(())));
        let wait = Duration::from_nanos(333_333_334);
        assert_eq!(limit.take(None), Err(wait));
        tokio::time::advance(wait - Duration::from_nanos(1)).await;
        assert_eq!(limit.take(None), Err(Duration::from_nanos(1)), "what was refused is not counted");
        tokio::time::advance(Duration::from_nanos(1)).await;
        assert_eq!(limit.take(None), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn over_a_long_time_nothing_is_lost_to_rounding() {
        let limit = limit(7, SECOND, 1, Per::Client);
        let mut passed = 0;
        let began = tokio::time::Instant::now();
        while began.elapsed() < Duration::from_secs(1000) {
            match limit.take(None) {
                Ok(()) => passed += 1,
                Err(wait) => tokio::time::advance(wait).await,
            }
        }
        assert_eq!(passed, 7000);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_who_paused_may_send_a_burst_again_and_no_more() {
        let limit = limit(1, SECOND, 4, Per::Client);
        let pass = || (0..10).filter(|_| limit.take(None).is_ok()).count();
        assert_eq!(pass(), 4);
        tokio::time::advance(2 * SECOND).await;
        assert_eq!(pass(), 2);
        tokio::time::advance(100 * SECOND).await;
        assert_eq!(pass(), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn clients_do_not_pay_for_one_another_unless_the_site_counts() {
        let (one, two) = ("192.0.2.1".parse().ok(), "2001:db8::1".parse().ok());
        let per_client = limit(1, SECOND, 1, Per::Client);
        assert!(per_client.take(one).is_ok() && per_client.take(one).is_err() && per_client.take(two).is_ok());
        let per_site = limit(1, SECOND, 1, Per::Site);
        assert!(per_site.take(one).is_ok() && per_site.take(two).is_err());
    }

    #[test]
    fn many_threads_get_exactly_the_burst_between_them() {
        let limit = limit(1, DAY, 1000, Per::Site);
        let passed: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| (0..500).filter(|_| limit.take(None).is_ok()).count())).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(passed, 1000);
    }
}
