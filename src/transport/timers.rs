//! The clock of one connection: which limit ends when, and what happens then. One timer serves them all.

use super::{
    connection::FRESH,
    driver::{Driver, Phase},
    exchanges::Slot,
    failure::Failure,
    socket::Link,
};
use crate::{diagnostic::codes as code, proto::Wire};
use http::StatusCode;
use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::{Instant, Sleep, sleep_until};

/// How often a connection that is not being read is asked whether its peer has hung up.
pub(super) const PROBE: Duration = Duration::from_secs(1);

/// How long a body that nobody takes may hold up what stands behind it on a kept connection.
const PAUSE: Duration = Duration::from_millis(100);

/// How often a connection that is to be reset is asked whether its peer has taken everything.
const LOOK: Duration = Duration::from_millis(10);

/// How long a response may be held back for an upload that makes no progress. A client that wants to see a part of the answer before it sends more would
/// wait for ever.
pub(super) const UPLOAD_STALL: Duration = Duration::from_secs(2);

#[derive(Debug, Default)]
pub(super) struct Timers {
    alarm: Alarm,
    /// The limit on incomplete variables, with the request it is meant for.
    params: Option<(u64, Instant)>,
    /// The limit on throwing away the rest of a body, with the request it is meant for.
    discard: Option<(u64, Instant)>,
    linger: Option<Instant>,
    write: Option<Instant>,
    idle: Option<Instant>,
    /// The last end of an idle time that the timer was set for.
    idle_alarm: Option<Instant>,
    probe: Option<Instant>,
    /// Since when reading is held back, and what the handler had taken then.
    pause: Option<(Instant, u64)>,
}

impl Timers {
    /// Something happened: the connection is not idle.
    pub(super) fn busy(&mut self) {
        self.idle = None;
    }

    /// Nothing but the next request is waited for. Tells whether the timer is set as an earlier pause needed it, so that it rings before this one is over
    /// and need not be looked at now.
    pub(super) fn rest(&mut self, idle_for: Duration) -> bool {
        (self.params, self.discard, self.write, self.probe) = (None, None, None, None);
        self.idle.get_or_insert_with(|| Instant::now() + idle_for);
        self.alarm.0.as_ref().is_some_and(|sleep| !sleep.is_elapsed() && self.idle_alarm.is_some_and(|idle| sleep.deadline() <= idle))
    }

    /// The timer counts as not set for the end of an idle time, until it is.
    pub(super) fn forget_idle_alarm(&mut self) {
        self.idle_alarm = None;
    }

    /// Bytes went out: the peer is alive.
    pub(super) fn wrote(&mut self) {
        self.write = None;
    }

    /// The window has room again.
    pub(super) fn pause_over(&mut self) {
        self.pause = None;
    }

    /// Whether reading has been held back long enough while the handler took nothing.
    pub(super) fn paused_long(&mut self, taken: u64) -> bool {
        match self.pause {
            Some((since, before)) if before == taken => Instant::now() >= since + PAUSE,
            _ => {
                self.pause = Some((Instant::now(), taken));
                false
            }
        }
    }

    /// Ready when `earliest` has come, or some time before.
    pub(super) fn poll(&mut self, earliest: Option<Instant>, cx: &mut Context<'_>) -> Poll<()> {
        earliest.map_or(Poll::Pending, |earliest| self.alarm.poll(earliest, cx))
    }
}

/// A timer that is made when it is first needed.
#[derive(Debug, Default)]
pub(super) struct Alarm(Option<Pin<Box<Sleep>>>);

impl Alarm {
    /// Ready when `until` has come, or a time before that it was set to earlier: it is only set anew to an earlier time, and a later one is found out when it rings.
    pub(super) fn poll(&mut self, until: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let sleep = self.0.get_or_insert_with(|| Box::pin(sleep_until(until)));
        if until < sleep.deadline() || sleep.is_elapsed() {
            sleep.as_mut().reset(until);
        }
        sleep.as_mut().poll(cx)
    }
}

/// Stands for a request of which not even the first record is complete. The limit on it goes on when its name is known.
const UNNAMED: u64 = u64::MAX;

/// Keeps a limit that is meant for `token`; another token starts it anew.
fn keep_for(slot: &mut Option<(u64, Instant)>, token: Option<u64>, until: impl FnOnce() -> Instant) -> Option<Instant> {
    *slot = token.map(|token| match *slot {
        Some((before, deadline)) if before == token || before == UNNAMED => (token, deadline),
        _ => (token, until()),
    });
    slot.map(|(_, deadline)| deadline)
}

fn keep_while(slot: &mut Option<Instant>, holds: bool, until: impl FnOnce() -> Instant) -> Option<Instant> {
    *slot = holds.then(|| slot.unwrap_or_else(until));
    *slot
}

/// When the response of `slot` is no longer held back for its upload.
fn stalled_at(slot: &Slot) -> Option<Instant> {
    // Before it was held back nothing was waited for, and a full window may have kept us from reading.
    slot.exchange.held_since().map(|since| slot.heard.map_or(since, |heard| heard.max(since)) + UPLOAD_STALL)
}

impl<L: Link, W: Wire> Driver<L, W> {
    /// Brings all limits up to date and tells which ends first.
    pub(super) fn deadlines(&mut self, now: Instant) -> Option<Instant> {
        for slot in self.exchanges.iter_mut() {
            slot.heard.get_or_insert(now);
        }
        let limits = &self.shared.limits;
        let quiet = self.exchanges.is_empty() && self.out.is_empty();
        // A record that is not complete, on a connection that is otherwise quiet, is the beginning of a request.
        let begun = (quiet && !self.input.is_empty() && self.wire.oldest_discarding().is_none()).then_some(UNNAMED);
        let incomplete = self.wire.oldest_incomplete().or(begun).filter(|_| self.phase == Phase::Open);
        let idle_for = match (self.stopping, self.received_any) {
            (true, _) => FRESH,
            (false, true) => limits.idle_timeout,
            (false, false) => limits.params_timeout,
        };
        let may_reset = self.phase == Phase::Closing && self.out.is_empty() && self.may_reset();
        let reading = self.exchanges.is_empty() || !self.input_closed && self.wire.wants_input() && self.timers.pause.is_none();
        let timers = &mut self.timers;
        if self.stopping {
            // What was set before the stop may be far off.
            timers.idle = timers.idle.map(|idle| idle.min(now + FRESH));
            timers.linger = timers.linger.map(|linger| linger.min(now + FRESH));
            timers.discard = timers.discard.map(|(token, end)| (token, end.min(now + FRESH)));
        }
        let look_again = may_reset.then(|| now + LOOK);
        let linger_for = if self.stopping { FRESH } else { limits.linger_timeout };
        let idle = keep_while(&mut timers.idle, quiet && incomplete.is_none() && self.phase == Phase::Open, || now + idle_for);
        timers.idle_alarm = idle.or(timers.idle_alarm);
        let ends = [
            keep_for(&mut timers.params, incomplete, || now + limits.params_timeout),
            keep_for(&mut timers.discard, self.wire.oldest_discarding(), || now + linger_for),
            keep_while(&mut timers.linger, self.phase == Phase::Lingering || self.phase == Phase::Closing && self.out.is_empty(), || {
                now + linger_for
            }),
            keep_while(&mut timers.write, self.write_blocked, || now + limits.write_timeout),
            idle,
            keep_while(&mut timers.probe, !reading, || now + PROBE),
            look_again,
            timers.pause.map(|(since, _)| since + PAUSE).filter(|end| *end > now),
            self.exchanges.iter().filter_map(Slot::deadline).min(),
            self.exchanges.iter().filter_map(stalled_at).min(),
        ];
        ends.into_iter().flatten().min()
    }

    /// Does what each limit that has ended asks for.
    pub(super) fn expire(&mut self, now: Instant) {
        let past = |limit: Option<Instant>| limit.is_some_and(|end| end <= now);
        if past(self.timers.params.map(|(_, end)| end)) {
            self.give_up_incomplete();
        } else if past(self.timers.write) {
            self.protocol_failed(code::WRITE_STALLED, "the web server took none of the bytes offered to it");
        } else if past(self.timers.linger) || past(self.timers.idle) {
            self.departed();
        } else if past(self.timers.discard.map(|(_, end)| end)) {
            // On a connection that other requests share the rest is no reason to close: what still comes belongs to nobody and is ignored.
            self.timers.discard = None;
            self.wire.forget_discarded();
        } else if past(self.timers.probe) {
            self.timers.probe = None;
            if self.link.hung_up() {
                self.departed();
            }
        }
        for slot in self.exchanges.iter_mut().filter(|slot| past(stalled_at(slot))) {
            slot.exchange.upload_ended();
            slot.poll_again();
        }
        self.fail_late(now);
    }

    /// One request whose variables do not come hurts no other: alone the connection is closed, in company the request is refused.
    #[cold]
    fn give_up_incomplete(&mut self) {
        self.timers.params = None;
        let sentence = "the variables of a request were not complete in time";
        if self.exchanges.is_empty() {
            return self.protocol_failed(code::PARAMS_TIMEOUT, sentence);
        }
        if let Some(id) = self.wire.refuse_incomplete() {
            self.refuse(id, Failure::new(StatusCode::REQUEST_TIMEOUT, code::PARAMS_TIMEOUT, sentence), None, false);
        }
    }

    fn fail_late(&mut self, now: Instant) {
        let past = |limit: Option<Instant>| limit.is_some_and(|end| end <= now);
        let late: Vec<_> = self.exchanges.iter().filter(|slot| past(slot.deadline())).map(|slot| slot.id).collect();
        for id in late {
            self.fail(id, Failure::TOO_LATE);
        }
    }
}
