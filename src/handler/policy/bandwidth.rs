//! How many bytes of responses in a second.

use super::buckets::{Buckets, Key};
use crate::config::model::{Bandwidth, Per};
use std::{net::IpAddr, sync::Arc, time::Duration};

/// A byte is a second's worth of nanoseconds, with as many parts to a nanosecond as there are bytes in a second.
const COST_OF_A_BYTE: u128 = 1_000_000_000;

/// Counts bytes. A response that has begun is never held back, since that would keep a process busy, of which a shared host gives few; it runs into debt, and whoever is in debt
/// begins nothing new.
#[derive(Debug, Clone)]
pub(super) struct BandwidthLimit {
    buckets: Arc<Buckets>,
    per: Per,
}

/// Who pays for a response.
#[derive(Debug)]
pub(super) struct Bill {
    buckets: Arc<Buckets>,
    key: Key,
}

impl BandwidthLimit {
    pub(super) fn new(bandwidth: &Bandwidth) -> Self {
        let tolerance = u128::from(bandwidth.burst) * COST_OF_A_BYTE;
        Self { buckets: Arc::new(Buckets::new(bandwidth.bytes_per_second, tolerance)), per: bandwidth.per }
    }

    /// The bill for a response that may begin, or how long the client is in debt.
    pub(super) fn begin(&self, address: Option<IpAddr>) -> Result<Bill, Duration> {
        let key = Key::of(self.per, address);
        self.buckets.take(key, 0)?;
        Ok(Bill { buckets: Arc::clone(&self.buckets), key })
    }
}

impl Bill {
    pub(super) fn charge(&self, bytes: usize) {
        self.buckets.charge(self.key, bytes as u128 * COST_OF_A_BYTE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    fn limit(bytes_per_second: u64, burst: u64, per: Per) -> BandwidthLimit {
        BandwidthLimit::new(&Bandwidth { bytes_per_second, burst, per })
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_is_in_debt_waits_until_it_is_paid_to_the_byte() {
        let limit = limit(1000, 5000, Per::Client);
        let bill = limit.begin(None).unwrap();
        bill.charge(5000);
        limit.begin(None).expect("what may go at once is no debt");
        bill.charge(2500);
        assert_eq!(limit.begin(None).unwrap_err(), Duration::from_millis(2500));
        advance(Duration::from_millis(2499)).await;
        assert_eq!(limit.begin(None).unwrap_err(), Duration::from_millis(1));
        advance(Duration::from_millis(1)).await;
        limit.begin(None).unwrap().charge(1);
        assert_eq!(limit.begin(None).unwrap_err(), Duration::from_millis(1));
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_is_saved_up_than_the_burst() {
        let limit = limit(1000, 5000, Per::Client);
        advance(Duration::from_secs(3600)).await;
        let bill = limit.begin(None).unwrap();
        bill.charge(6000);
        assert_eq!(limit.begin(None).unwrap_err(), Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_burst_one_response_goes_at_a_time_and_is_paid_for_behind() {
        let limit = limit(1000, 0, Per::Client);
        limit.begin(None).unwrap().charge(3000);
        assert_eq!(limit.begin(None).unwrap_err(), Duration::from_secs(3));
    }

    #[tokio::test(start_paused = true)]
    async fn clients_do_not_pay_for_one_another_unless_the_site_counts() {
        let (one, two) = ("192.0.2.1".parse().ok(), "192.0.2.2".parse().ok());
        for (per, second) in [(Per::Client, true), (Per::Site, false)] {
            let limit = limit(1000, 10, per);
            limit.begin(one).unwrap().charge(100);
            assert!(limit.begin(one).is_err());
            assert_eq!(limit.begin(two).is_ok(), second, "{per:?}");
        }
    }
}
