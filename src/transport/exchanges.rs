//! The requests in work on one connection. One alone is driven with the waker of the connection; of several, only those are polled that woke.

use super::{
    Shared,
    admit::Admitted,
    exchange::Exchange,
    inbox::{BodyError, Inbox},
};
use crate::{profile::Profile, proto::RequestId};
use futures_util::task::AtomicWaker;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Wake, Waker},
    time::Duration,
};
use tokio::time::Instant;

/// A request in work, with the end of its body that the connection holds.
pub(super) struct Slot {
    pub(super) id: RequestId,
    pub(super) exchange: Exchange,
    /// None for a request without a body, where nothing can come.
    pub(super) inbox: Option<Inbox>,
    /// The file of a Filter, which comes beside the body.
    pub(super) data: Option<Inbox>,
    pub(super) profile: &'static Profile,
    /// Whether the peer may send other requests on this connection.
    pub(super) keep_conn: bool,
    /// When the last piece of the request body came, or the request itself; `None` for since the clock was last looked at.
    pub(super) heard: Option<Instant>,
    /// How long the handler may take, while the head of the response has not gone out.
    pub(super) timeout: Option<Duration>,
    /// Given back with the slot.
    _permit: Permit,
    pub(super) own_waker: Option<Arc<SlotWaker>>,
    /// Whether it was polled before.
    pub(super) polled: bool,
    /// Whether it was polled when it came, with the waker of the connection: until that wakes, there is no reason to poll it again.
    pub(super) just_polled: bool,
    /// Whether its response broke, which is yet to be shown, and whether a length was declared.
    pub(super) broken: Option<bool>,
    /// Whether its response has ended, so that it only waits to be taken away.
    pub(super) over: bool,
}

impl Slot {
    /// A request that has just been let in. `data` is where its file goes, if it is one of a Filter.
    pub(super) fn new(id: RequestId, admitted: Admitted, data: Option<Inbox>, profile: &'static Profile, keep_conn: bool) -> Self {
        let Admitted { exchange, inbox, permit, timeout } = admitted;
        Self {
            id,
            exchange,
            inbox,
            data,
            profile,
            keep_conn,
            heard: None,
            timeout: Some(timeout),
            _permit: permit,
            own_waker: None,
            polled: false,
            just_polled: false,
            broken: None,
            over: false,
        }
    }

    /// When the head of the response must have gone out.
    pub(super) fn deadline(&self) -> Option<Instant> {
        Some(self.heard? + self.timeout?)
    }

    /// Whoever still reads what came with this request gets `error`.
    pub(super) fn fail_input(&self, error: BodyError) {
        for inbox in [&self.inbox, &self.data].into_iter().flatten() {
            inbox.fail(error);
        }
    }

    /// Makes sure that this request is polled again although nothing woke it.
    pub(super) fn poll_again(&mut self) {
        self.just_polled = false;
        if let Some(own) = &self.own_waker {
            own.woken.store(true, Ordering::Release);
        }
    }
}

/// A place among the requests of the process, given back when it is dropped.
pub(super) struct Permit(Arc<Shared>);

impl Permit {
    /// Takes a place, if the limit leaves one.
    pub(super) fn take(shared: &Arc<Shared>) -> Option<Self> {
        let permit = Self(Arc::clone(shared));
        shared.begun.fetch_add(1, Ordering::Relaxed);
        shared.rest.end();
        let before = shared.in_work.fetch_add(1, Ordering::Relaxed);
        (before < shared.limits.requests).then_some(permit)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.in_work.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Wakes the connection and remembers which request is meant.
pub(super) struct SlotWaker {
    woken: AtomicBool,
    connection: Arc<AtomicWaker>,
}

impl Wake for SlotWaker {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        self.connection.wake();
    }
}

/// With which waker a request is polled.
pub(super) enum Turn {
    /// With that of the connection.
    Connection,
    /// With its own, which tells that it woke.
    Own(Waker),
}

/// The requests in work on one connection, in the order they came.
#[derive(Default)]
pub(super) struct Exchanges {
    slots: Vec<Slot>,
    /// Made for the first request that has to wait in company.
    connection: Option<Arc<AtomicWaker>>,
    /// Who comes first in the next round. It changes every time, so that one large response cannot keep the others from their turn.
    first: usize,
}

impl Exchanges {
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    #[inline]
    pub(super) fn add(&mut self, slot: Slot) {
        if self.slots.capacity() == 0 {
            // Most connections never have a second request in work. A list that grows by itself makes room for four: more than the allocator has at hand at once.
            self.slots.reserve_exact(1);
        }
        self.slots.push(slot);
    }

    /// While there are none, gives back the memory in which requests lie: a connection whose peer may be about to close need not hold it.
    pub(super) fn release(&mut self) {
        if self.slots.is_empty() {
            self.slots = Vec::new();
        }
    }

    pub(super) fn get_mut(&mut self, id: RequestId) -> Option<&mut Slot> {
        self.slots.iter_mut().find(|slot| slot.id == id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Slot> {
        self.slots.iter()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Slot> {
        self.slots.iter_mut()
    }

    /// Takes a request out. Its handler is dropped with the result.
    pub(super) fn remove(&mut self, id: RequestId) -> Option<Slot> {
        let at = self.slots.iter().position(|slot| slot.id == id)?;
        Some(self.slots.remove(at))
    }

    pub(super) fn drain(&mut self) -> impl Iterator<Item = Slot> {
        self.slots.drain(..)
    }

    /// The places of all slots, in the order of the next round.
    pub(super) fn round(&mut self) -> impl Iterator<Item = usize> + use<> {
        let len = self.slots.len();
        self.first = (self.first + 1) % len.max(1);
        let first = self.first;
        (first..len).chain(0..first)
    }

    /// Takes away the slots whose responses have ended.
    pub(super) fn take_away_ended(&mut self) {
        self.slots.retain(|slot| !slot.over);
    }

    pub(super) fn slot(&mut self, at: usize) -> Option<&mut Slot> {
        self.slots.get_mut(at)
    }

    /// A request whose response broke and was not shown to have, and whether it had declared a length.
    pub(super) fn take_broken(&mut self) -> Option<(RequestId, &'static Profile, bool)> {
        self.slots.iter_mut().find_map(|slot| Some((slot.id, slot.profile, slot.broken.take()?)))
    }

    /// Has to be called before the slots are looked at, so that they can wake this connection.
    pub(super) fn register(&self, cx: &Context<'_>) {
        if let Some(connection) = self.connection.as_ref().filter(|_| self.slots.iter().any(|slot| slot.own_waker.is_some())) {
            connection.register(cx.waker());
        }
    }

    /// How to poll the slot `at`, or `None` if there is no reason to poll it.
    ///
    /// One that ends when it is first polled, or is alone, needs no waker of its own. Polled again in company it gets one, and is polled to take it.
    pub(super) fn turn(&mut self, at: usize, cx: &Context<'_>) -> Option<Turn> {
        let alone = self.slots.len() == 1;
        let slot = self.slots.get_mut(at)?;
        if std::mem::take(&mut slot.just_polled) {
            return None;
        }
        if alone || !slot.polled {
            (slot.own_waker, slot.polled) = (None, true);
            return Some(Turn::Connection);
        }
        if let Some(own) = &slot.own_waker {
            return own.woken.swap(false, Ordering::AcqRel).then(|| Turn::Own(Waker::from(Arc::clone(own))));
        }
        let connection = self.connection.get_or_insert_default();
        connection.register(cx.waker());
        let own = Arc::new(SlotWaker { woken: AtomicBool::new(false), connection: Arc::clone(connection) });
        slot.own_waker = Some(Arc::clone(&own));
        Some(Turn::Own(Waker::from(own)))
    }
}
