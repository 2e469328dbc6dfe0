//! How many connections there are, and what is done when most of many have gone: glibc keeps what they held unless it is asked to give it back.

use crate::sys;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// So many connections at a time leave something behind that is worth asking for: about a MiB.
const MANY: usize = 256;

/// Most have gone when no more than one of so many is left.
const FEW: usize = 8;

/// The connections of one listener.
#[derive(Debug, Default)]
pub(super) struct Crowd {
    here: AtomicUsize,
    /// The most that were here since memory was last given back.
    most: AtomicUsize,
}

impl Crowd {
    /// Counts a connection until the result is dropped.
    pub(super) fn enter(self: &Arc<Self>) -> Guest {
        self.come();
        Guest(Arc::clone(self))
    }

    fn come(&self) {
        let here = self.here.fetch_add(1, Ordering::Relaxed) + 1;
        self.most.fetch_max(here, Ordering::Relaxed);
    }

    /// One goes; tells whether most have gone now. A crowd that goes one by one tells so each time it has shrunk to an eighth.
    fn leave(&self) -> bool {
        let here = self.here.fetch_sub(1, Ordering::Relaxed) - 1;
        let most = self.most.load(Ordering::Relaxed);
        most >= MANY && here * FEW <= most && self.most.compare_exchange(most, here, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

/// A connection that is counted.
#[derive(Debug)]
pub(crate) struct Guest(Arc<Crowd>);

impl Drop for Guest {
    fn drop(&mut self) {
        if self.0.leave() {
            sys::give_back_memory();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_given_back_when_most_of_many_have_gone_and_not_of_a_few() {
        let crowd = Crowd::default();
        for (came, occasions) in [(MANY - 1, 0), (MANY, 1), (10 * MANY, 2)] {
            (0..came).for_each(|_| crowd.come());
            assert_eq!((0..came).filter(|_| crowd.leave()).count(), occasions, "{came} connections");
        }
    }
}
