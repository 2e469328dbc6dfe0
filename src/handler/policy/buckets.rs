//! Buckets that fill up again as time goes by, one for each client: what requests and bytes are counted with.

use crate::config::model::Per;
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// How many clients are remembered at most: about half a MiB for a limit that a crowd has met, and more clients than a process on a shared host answers while one of their buckets
/// fills up.
const CLIENTS: usize = 10_000;

/// How many are forgotten at once when none of them has a full bucket: so many that a flood of new addresses does not make each request walk through all of them.
const FORGOTTEN_AT_ONCE: usize = CLIENTS / 10;

/// Whose bucket it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Key {
    /// All clients together.
    Site,
    /// All clients without an address together, such as those on a Unix socket.
    Nowhere,
    V4(u32),
    /// The first 64 bits: the rest is the client's own choice.
    V6(u64),
}

impl Key {
    pub(super) fn of(per: Per, address: Option<IpAddr>) -> Self {
        match (per, address.map(|address| address.to_canonical())) {
            (Per::Site, _) => Self::Site,
            (Per::Client, None) => Self::Nowhere,
            (Per::Client, Some(IpAddr::V4(address))) => Self::V4(address.to_bits()),
            (Per::Client, Some(IpAddr::V6(address))) => Self::V6((address.to_bits() >> 64) as u64),
        }
    }
}

/// The generic cell rate algorithm: of each bucket only the moment is kept at which it is full again, and a bucket that is full is one that nobody has met.
///
/// Moments are counted in parts of a nanosecond, as many as it takes for a cost to be a whole number of them, so that nothing is ever rounded. The numbers fit: a bucket that gives
/// `u64::MAX` in a second counts a hundred years in 126 bits.
#[derive(Debug)]
pub(super) struct Buckets {
    parts_per_nanosecond: u128,
    /// How far in the future a bucket may be full again for something to be let in.
    tolerance: u128,
    began: Instant,
    full_at: Mutex<HashMap<Key, u128>>,
}

impl Buckets {
    pub(super) fn new(parts_per_nanosecond: u64, tolerance: u128) -> Self {
        let full_at = Mutex::new(HashMap::new());
        Self { parts_per_nanosecond: u128::from(parts_per_nanosecond.max(1)), tolerance, began: Instant::now(), full_at }
    }

    /// Lets something in that costs `cost`, at once and whole, or says after how long it would be. What is not let in costs nothing.
    pub(super) fn take(&self, key: Key, cost: u128) -> Result<(), Duration> {
        self.with(|buckets, now| {
            let full_at = buckets.get(&key).copied().unwrap_or(now).max(now);
            let over = (full_at - now).saturating_sub(self.tolerance);
            if over > 0 {
                return Err(self.span(over));
            }
            fill(buckets, now, key, full_at, cost);
            Ok(())
        })
    }

    /// Books what is already done, whatever is in the bucket.
    pub(super) fn charge(&self, key: Key, cost: u128) {
        self.with(|buckets, now| {
            let full_at = buckets.get(&key).copied().unwrap_or(now).max(now);
            fill(buckets, now, key, full_at, cost);
        });
    }

    /// The time is read behind the lock, so that it never runs backwards from one request to the next.
    fn with<R>(&self, change: impl FnOnce(&mut HashMap<Key, u128>, u128) -> R) -> R {
        // No step leaves the map half changed, so one that panicked does not spoil it for the others.
        let mut buckets = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now().saturating_duration_since(self.began).as_nanos() * self.parts_per_nanosecond;
        change(&mut buckets, now)
    }

    fn span(&self, parts: u128) -> Duration {
        Duration::from_nanos(u64::try_from(parts.div_ceil(self.parts_per_nanosecond)).unwrap_or(u64::MAX))
    }

    #[cfg(test)]
    fn remembered(&self) -> usize {
        self.full_at.lock().unwrap().len()
    }
}

fn fill(buckets: &mut HashMap<Key, u128>, now: u128, key: Key, full_at: u128, cost: u128) {
    if cost == 0 {
        return;
    }
    if buckets.len() >= CLIENTS && !buckets.contains_key(&key) {
        make_room(buckets, now);
    }
    buckets.insert(key, full_at.saturating_add(cost));
}

/// Forgets all whose buckets are full again, which takes nothing from them; where that is nobody, those who wait the shortest, who are the longest gone where all pay alike.
fn make_room(buckets: &mut HashMap<Key, u128>, now: u128) {
    buckets.retain(|_, full_at| *full_at > now);
    if buckets.len() < CLIENTS {
        return;
    }
    let mut moments: Vec<u128> = buckets.values().copied().collect();
    let (_, last, _) = moments.select_nth_unstable(FORGOTTEN_AT_ONCE - 1);
    let mut surplus = FORGOTTEN_AT_ONCE;
    buckets.retain(|_, full_at| {
        let forget = surplus > 0 && *full_at <= *last;
        surplus -= usize::from(forget);
        !forget
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, Ipv6Addr};

    #[test]
    fn clients_are_told_apart_by_their_address_and_ipv6_by_its_first_half() {
        let of = |address: &str| Key::of(Per::Client, address.parse().ok());
        assert_eq!(of("2001:db8:0:1::1"), of("2001:db8:0:1:ffff:ffff:ffff:ffff"));
        assert_ne!(of("2001:db8:0:1::1"), of("2001:db8:0:2::1"));
        assert_eq!(of("::ffff:192.0.2.7"), of("192.0.2.7"));
        assert_ne!(of("192.0.2.7"), of("192.0.2.8"));
        assert_eq!((of("nowhere"), of("192.0.2.7")), (Key::Nowhere, Key::V4(0xc000_0207)));
        assert_ne!(Key::of(Per::Client, Some(Ipv4Addr::UNSPECIFIED.into())), Key::of(Per::Client, Some(Ipv6Addr::UNSPECIFIED.into())));
        assert_eq!(Key::of(Per::Site, "192.0.2.7".parse().ok()), Key::of(Per::Site, None));
    }

    #[tokio::test(start_paused = true)]
    async fn no_flood_of_addresses_makes_it_remember_more_than_so_many() {
        let buckets = Buckets::new(1, 0);
        for client in 0..50_000 {
            buckets.take(Key::V4(client), 1_000_000_000).unwrap();
            assert!(buckets.remembered() <= CLIENTS, "{client}");
        }
        assert!(buckets.take(Key::V4(49_999), 1).is_err(), "the last is not the one that is forgotten");
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_wait_the_shortest_are_forgotten_first() {
        let buckets = Buckets::new(1, 0);
        buckets.take(Key::Nowhere, 3_600_000_000_000).unwrap();
        for client in 0..50_000 {
            tokio::time::advance(Duration::from_micros(1)).await;
            buckets.take(Key::V4(client), 1_000_000_000).unwrap();
        }
        assert!(buckets.take(Key::Nowhere, 1).is_err());
        assert!(buckets.take(Key::V4(41_500), 1).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_has_a_full_bucket_again_is_forgotten_before_anybody_else() {
        let buckets = Buckets::new(1, 0);
        buckets.take(Key::Nowhere, 3_000_000_000).unwrap();
        for client in 1..10_000 {
            buckets.take(Key::V4(client), 1_000_000_000).unwrap();
        }
        tokio::time::advance(Duration::from_secs(2)).await;
        buckets.take(Key::Site, 1_000_000_000).unwrap();
        assert_eq!(buckets.remembered(), 2);
        assert!(buckets.take(Key::Nowhere, 1).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_overflows_with_the_largest_numbers() {
        let buckets = Buckets::new(u64::MAX, u128::from(u64::MAX) * 1_000_000_000);
        tokio::time::advance(Duration::from_secs(100 * 365 * 24 * 3600)).await;
        buckets.charge(Key::Site, u128::from(u64::MAX) * 3_000_000_000);
        assert_eq!(buckets.take(Key::Site, 0), Err(Duration::from_secs(2)));
        buckets.charge(Key::Site, u128::MAX);
        assert!(buckets.take(Key::Site, 0).is_err());
    }
}
