//! The requests in work on one connection. One alone is driven with the waker of the connection; of several, only those are polled that woke.

use super::{
    Shared,
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
    pub(super) inbox: Inbox,
    /// The file of a Filter, which comes beside the body.
    pub(super) data: Option<Inbox>,
    pub(super) profile: &'static Profile,
    /// Whether the peer may send other requests on this connection.
    pub(super) keep_conn: bool,
    /// When the head of the response must have gone out.
    pub(super) deadline: Option<Instant>,
    /// When the last piece of the request body came, or the request itself.
    pub(super) heard: Instant,
    /// How long the handler may take.
    pub(super) timeout: Duration,
    /// Given back with the slot.
    pub(super) _permit: Permit,
    pub(super) own_waker: Option<Arc<SlotWaker>>,
    /// Whether its response has ended, so that it only waits to be taken away.
    pub(super) over: bool,
}

impl Slot {
    /// Whoever still reads what came with this request gets `error`.
    pub(super) fn fail_input(&self, error: BodyError) {
        for inbox in [Some(&self.inbox), self.data.as_ref()].into_iter().flatten() {
            inbox.fail(error);
        }
    }

    /// Makes sure that this request is polled again although nothing woke it.
    pub(super) fn poll_again(&self) {
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

/// The requests in work on one connection, in the order they came.
pub(super) struct Exchanges {
    slots: Vec<Slot>,
    connection: Arc<AtomicWaker>,
    /// Who comes first in the next round. It changes every time, so that one large response cannot keep the others from their turn.
    first: usize,
}

impl Exchanges {
    pub(super) fn new() -> Self {
        Self { slots: Vec::new(), connection: Arc::new(AtomicWaker::new()), first: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    pub(super) fn add(&mut self, slot: Slot) {
        self.slots.push(slot);
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

    /// Has to be called before the slots are looked at, so that they can wake this connection.
    pub(super) fn register(&self, cx: &Context<'_>) {
        if self.slots.iter().any(|slot| slot.own_waker.is_some()) || self.slots.len() > 1 {
            self.connection.register(cx.waker());
        }
    }

    /// The waker to poll the slot `at` with, or `None` if there is no reason to poll it.
    pub(super) fn waker(&mut self, at: usize, cx: &Context<'_>) -> Option<Waker> {
        let alone = self.slots.len() == 1;
        let slot = self.slots.get_mut(at)?;
        if alone {
            // When company comes, it has to be polled once more, so that it holds a waker of its own again.
            slot.own_waker = None;
            return Some(cx.waker().clone());
        }
        let fresh = slot.own_waker.is_none();
        let connection = &self.connection;
        let own = slot.own_waker.get_or_insert_with(|| Arc::new(SlotWaker { woken: AtomicBool::new(true), connection: Arc::clone(connection) }));
        (own.woken.swap(false, Ordering::AcqRel) || fresh).then(|| Waker::from(Arc::clone(own)))
    }
}
