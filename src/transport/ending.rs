//! How a connection ends: so that the peer reads all that was sent, or so that it sees that something broke.

use super::{
    driver::{Driver, Phase},
    socket::Link,
};
use crate::proto::{Appetite, Rest, Wire};
use std::{pin::Pin, task::Context, time::Duration};
use tokio::time::Instant;

/// How long a peer has had nothing to take before it is taken to wait.
const RESET_PAUSE: Duration = Duration::from_millis(20);

/// How much is taken of what a peer sent behind its only request. A peer that sends more gets a reset.
const BEHIND: usize = 64 * 1024;

impl<L: Link, W: Wire> Driver<L, W> {
    /// Decides what becomes of a connection on which nothing is in work and everything is sent.
    pub(super) fn settle(&mut self, cx: &mut Context<'_>) {
        if !self.exchanges.is_empty() || !self.out.is_empty() {
            return;
        }
        let rest = self.wire.rest();
        match self.phase {
            Phase::Closing => self.close_badly(cx),
            Phase::Lingering if rest == Rest::Close => self.close_well(),
            Phase::Open => match rest {
                #[cfg(feature = "http")]
                Rest::HandOver => (self.phase, self.handed_over) = (Phase::Done, true),
                _ if self.close_when_idle || self.input_closed => self.phase = Phase::Done,
                Rest::Close => self.close_well(),
                Rest::Linger => {
                    // An error here means that the peer is gone, which the next read finds out.
                    let _ = Pin::new(&mut self.link).poll_shutdown(cx);
                    self.phase = Phase::Lingering;
                }
                // A connection that has not said anything yet may have its first request on the way; it gets a moment, see `timers`.
                Rest::Keep if self.stopping && self.is_silent() => self.phase = Phase::Done,
                Rest::Keep => {}
            },
            Phase::Lingering | Phase::Done => {}
        }
    }

    /// Ends the connection so that closing it is no reset. What stands behind the request belongs to nobody, and is taken as far as it is here.
    fn close_well(&mut self) {
        if self.byte_left {
            self.link.discard(BEHIND);
        }
        self.phase = Phase::Done;
    }

    /// Ends the connection so that the peer sees that something broke. Where only a reset shows that, it takes a byte that is not read, which may be on its way
    /// still, and a peer that waits for more: mod_proxy_uwsgi overlooks a reset that it meets behind the last bytes of a piece.
    #[cold]
    fn close_badly(&mut self, cx: &mut Context<'_>) {
        let unread = self.byte_left || self.input_closed || !self.may_reset() || self.link.poll_peek(cx, &mut [0], 1).is_ready();
        if unread && (!self.may_reset() || self.peer_waits_for_more()) {
            self.phase = Phase::Done;
        }
    }

    /// Whether closing this connection is a reset as long as a byte of the request is not read.
    pub(super) fn may_reset(&self) -> bool {
        self.byte_left || self.wire.appetite(0) != Appetite::Any && self.wire.wants_input()
    }

    fn peer_waits_for_more(&mut self) -> bool {
        if self.link.untaken() > 0 {
            self.taken_since = None;
            return false;
        }
        let now = Instant::now();
        *self.taken_since.get_or_insert(now) + RESET_PAUSE <= now
    }
}
