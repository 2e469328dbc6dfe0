//! The driver of one connection: one task that reads, drives the requests in work and writes, until the connection is over.

use super::{
    Shared,
    exchanges::{Exchanges, Turn},
    failure::Failure,
    inbox::BodyError,
    sending,
    socket::Link,
    spare,
    stop::Stop,
    timers::Timers,
};
use crate::{
    app::BoxApp,
    diagnostic::codes as code,
    gateway::Gateway,
    profile::{Abort, Profile},
    proto::{Appetite, Outbox, RequestId, ResponsePart, Wire},
};
use bytes::{BufMut as _, Bytes, BytesMut};
use std::{
    future::poll_fn,
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker, ready},
};
use tokio::time::Instant;
use tokio_util::io::poll_read_buf;

/// What one read asks for: the variables of an ordinary request and a small body.
const READ: usize = 16 * 1024;

/// What one read asks for once the one before was filled: a body is on its way. No read brings more.
const READ_MORE: usize = 64 * 1024;

/// How much is looked at where the last byte is left in the socket.
#[cfg(feature = "http")]
const LOOK: usize = 4 * 1024;

/// No more requests are read while so much waits to be sent and none is in work.
pub(super) const OUT_MAX: usize = 1024 * 1024;

/// How many slices go out with one write: as much as is written at once, in records of 8 KiB, each behind its head.
const PIECES: usize = 32;

/// One connection and all that belongs to it.
pub(super) struct Driver<L, W> {
    pub(super) link: L,
    pub(super) wire: W,
    pub(super) input: BytesMut,
    pub(super) out: Outbox,
    pub(super) exchanges: Exchanges,
    pub(super) shared: Arc<Shared>,
    pub(super) app: BoxApp,
    pub(super) gateway: Gateway,
    /// What the web server at the other end needs, once a request has told, and what that said of `FCGI_KEEP_CONN`.
    pub(super) profile: Option<(bool, &'static Profile)>,
    pub(super) phase: Phase,
    pub(super) timers: Timers,
    /// The peer has said that it sends no more.
    pub(super) input_closed: bool,
    pub(super) write_blocked: bool,
    /// In this poll the wait for input was put off: nothing is waited for, and the task was woken.
    put_off: bool,
    /// Set when a connection shared with other requests has to be closed, to show that one response broke: no new request is begun on it.
    pub(super) close_when_idle: bool,
    pub(super) stopping: bool,
    pub(super) received_any: bool,
    /// How many bytes of refusals wait to be sent, at the most.
    pub(super) refused_unread: usize,
    /// The last byte of the request was looked at and is still in the socket.
    pub(super) byte_left: bool,
    /// Since when the peer has taken everything that was sent, on a connection that is to be reset.
    pub(super) taken_since: Option<Instant>,
    last_read: usize,
    stop: Stop,
    broken: bool,
    /// Who stands at the other end of a connection that speaks HTTP.
    #[cfg(feature = "http")]
    pub(super) front: super::http::Front,
    /// The connection was left to somebody else, with what is still in the input.
    #[cfg(feature = "http")]
    pub(super) handed_over: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Open,
    /// Everything is answered and said; the peer may still be writing. Closing now would reset the connection under a response that
    /// the peer has not read yet.
    Lingering,
    /// Close once everything is sent.
    Closing,
    Done,
}

/// How a connection went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Fine,
    /// A response broke after its head had gone out.
    Broken,
}

/// Serves one connection until it is over.
pub(super) async fn drive<L: Link, W: Wire + Unpin>(link: L, wire: W, gateway: Gateway, app: BoxApp, shared: Arc<Shared>) -> Outcome {
    let mut driver = Driver::new(link, wire, gateway, app, shared);
    driver.run().await;
    spare::keep_input(std::mem::take(&mut driver.input));
    spare::keep_output(driver.out.release());
    if driver.broken { Outcome::Broken } else { Outcome::Fine }
}

impl<L: Link, W: Wire> Driver<L, W> {
    pub(super) fn new(link: L, wire: W, gateway: Gateway, app: BoxApp, shared: Arc<Shared>) -> Self {
        Self {
            link,
            wire,
            input: BytesMut::new(),
            out: Outbox::default(),
            exchanges: Exchanges::default(),
            shared,
            app,
            gateway,
            profile: None,
            phase: Phase::Open,
            timers: Timers::default(),
            input_closed: false,
            write_blocked: false,
            put_off: false,
            close_when_idle: false,
            stopping: false,
            received_any: false,
            refused_unread: 0,
            byte_left: false,
            taken_since: None,
            last_read: 0,
            stop: Stop::default(),
            broken: false,
            #[cfg(feature = "http")]
            front: super::http::Front::default(),
            #[cfg(feature = "http")]
            handed_over: false,
        }
    }

    /// Goes on until the connection is over.
    pub(super) async fn run(&mut self) {
        // A wire that knows its request from the start has an event before a byte is read.
        poll_fn(|cx| {
            self.take_events(cx);
            Poll::Ready(())
        })
        .await;
        poll_fn(|cx| self.poll(cx)).await;
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let mut moved = self.poll_input(cx);
            moved |= self.poll_exchanges(cx);
            moved |= self.poll_output(cx);
            self.settle(cx);
            if self.phase == Phase::Done {
                return Poll::Ready(());
            }
            if moved {
                self.timers.busy();
                continue;
            }
            if std::mem::take(&mut self.put_off) {
                return Poll::Pending;
            }
            let waited_before = self.stop.is_known_to(cx);
            if self.poll_stop(cx) {
                continue;
            }
            if waited_before && self.is_between_requests() && self.timers.rest(self.shared.limits.idle_timeout) {
                return Poll::Pending;
            }
            if !waited_before {
                // The timer may still wake whoever drove this connection before.
                self.timers.forget_idle_alarm();
            }
            ready!(self.poll_timers(cx));
        }
    }

    /// Whether the process has just been told to leave. The token is only watched by connections that have to wait.
    fn poll_stop(&mut self, cx: &mut Context<'_>) -> bool {
        if self.stopping {
            return false;
        }
        self.stopping = self.stop.poll(&self.shared.stop, cx);
        if self.stopping {
            self.wire.leave();
        }
        self.stopping
    }

    fn poll_input(&mut self, cx: &mut Context<'_>) -> bool {
        if self.input_closed || !self.may_read(cx.waker()) {
            return false;
        }
        if self.input.is_empty() && self.exchanges.is_empty() {
            // Only a peer that has said all that it had to say may be about to close. One that is in the middle of something is held to its limits.
            self.put_off = self.link.may_put_off() && self.is_between_requests() && !self.shared.stop.is_cancelled();
            if self.put_off {
                self.link.put_off(cx);
                self.exchanges.release();
                return self.spare_buffers();
            }
            match self.link.poll_readable(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => return self.departed(),
                Poll::Pending => return self.spare_buffers(),
            }
        }
        match self.poll_read(cx) {
            Poll::Pending if self.input.is_empty() && self.exchanges.is_empty() => self.spare_buffers(),
            Poll::Pending => false,
            Poll::Ready(Ok(0)) => {
                self.at_end_of_input(cx);
                true
            }
            Poll::Ready(Ok(read)) => {
                self.last_read = read;
                self.received_any = true;
                self.take_events(cx);
                true
            }
            Poll::Ready(Err(_)) => {
                // Input that cannot be read (stdin may be a directory) is no sign that nobody wants the answer.
                self.at_end_of_input(cx);
                true
            }
        }
    }

    /// An idle connection waits without a buffer: others may use it. However large its last request was, the next is taken for an ordinary one.
    fn spare_buffers(&mut self) -> bool {
        self.last_read = 0;
        spare::keep_input(std::mem::take(&mut self.input));
        spare::keep_output(self.out.release());
        false
    }

    /// Reads as much as the wire has an appetite for.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let appetite = self.wire.appetite(self.input.len());
        // More is wanted, so the byte that was looked at was not the last.
        if std::mem::take(&mut self.byte_left) {
            self.link.discard(1);
        }
        let link = Pin::new(&mut self.link);
        match appetite {
            Appetite::Any => {
                if self.input.capacity() == 0 {
                    self.input = spare::input();
                }
                // What has begun is not copied while more of it has room.
                if self.input.is_empty() || self.input.capacity() - self.input.len() < READ {
                    self.input.reserve(if self.last_read >= READ { READ_MORE } else { READ });
                }
                // What one read brings should have room in the window of a body: what has none goes to disk, although the handler may be there to take it.
                let most = READ_MORE.min(self.shared.limits.body_window.max(READ));
                poll_read_buf(link, cx, &mut (&mut self.input).limit(most))
            }
            Appetite::AtMost(bytes) => {
                let bytes = bytes.min(READ_MORE);
                self.input.reserve(bytes);
                poll_read_buf(link, cx, &mut (&mut self.input).limit(bytes))
            }
            Appetite::LastByte => {
                let mut last = [0];
                let looked = ready!(self.link.poll_peek(cx, &mut last, 1))?;
                self.byte_left = looked > 0;
                self.input.extend_from_slice(last.get(..looked).unwrap_or_default());
                Poll::Ready(Ok(looked))
            }
            #[cfg(feature = "http")]
            Appetite::AllButLast => self.poll_all_but_last(cx),
        }
    }

    #[cfg(feature = "http")]
    #[inline(never)]
    fn poll_all_but_last(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut scratch = [0; LOOK];
        let looked = ready!(self.link.poll_peek(cx, &mut scratch, 1))?;
        let others = looked.saturating_sub(1);
        if self.link.discard(others) < others {
            return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
        }
        self.byte_left = looked > 0;
        if self.input.capacity() == 0 {
            self.input = spare::input();
        }
        self.input.extend_from_slice(scratch.get(..looked).unwrap_or_default());
        Poll::Ready(Ok(looked))
    }

    /// Whether to take more from the peer.
    ///
    /// A full window stops reading, and so holds the peer back, except where that could block somebody: while our own write is blocked, the peer may be
    /// waiting for us to read (mod_fcgid and Caddy do), and another request may stand behind the body that nobody takes.
    fn may_read(&mut self, waker: &Waker) -> bool {
        match self.phase {
            Phase::Lingering => return true,
            // A peer that has more to say before it takes what was sent would wait for us, and we for it. The byte that makes the end a reset stays unread.
            Phase::Closing => return self.out.is_empty() && !self.byte_left && self.may_reset() && self.link.untaken() > 0,
            Phase::Done => return false,
            Phase::Open => {}
        }
        if !self.wire.wants_input() {
            return false;
        }
        if self.exchanges.is_empty() {
            return self.out.len() <= OUT_MAX;
        }
        if self.write_blocked || self.exchanges.len() > 1 || self.wire.oldest_incomplete().is_some() {
            return true;
        }
        let Some(slot) = self.exchanges.iter().next() else { return true };
        // The two inputs of a Filter come one behind the other, and its handler may want the second first.
        if slot.exchange.waits_for_upload() || slot.data.is_some() {
            return true;
        }
        let Some(inbox) = slot.inbox.as_ref().filter(|inbox| inbox.is_full(waker)) else {
            self.timers.pause_over();
            return true;
        };
        // The peer may put another request behind this body. It is not kept waiting for a handler that takes nothing.
        self.timers.paused_long(inbox.taken()) && slot.keep_conn
    }

    fn at_end_of_input(&mut self, cx: &mut Context<'_>) {
        self.input_closed = true;
        // Where nothing is in work and nothing is to be sent, either way it is over.
        if !(self.exchanges.is_empty() && self.out.is_empty()) && self.link.hung_up() {
            self.departed();
            return;
        }
        // "EOF alone on a Unix socket is a half-close": the peer still reads.
        self.wire.end_of_input();
        self.take_events(cx);
        if self.phase == Phase::Lingering {
            self.phase = Phase::Done;
        }
    }

    /// The visitor or the web server is gone: every handler is dropped, whoever kept a body gets an error.
    #[cold]
    pub(super) fn departed(&mut self) -> bool {
        for slot in self.exchanges.drain() {
            slot.fail_input(BodyError::Departed);
        }
        self.phase = Phase::Done;
        true
    }

    fn poll_exchanges(&mut self, cx: &mut Context<'_>) -> bool {
        if self.exchanges.is_empty() {
            return false;
        }
        self.exchanges.register(cx);
        let mut moved = false;
        for at in self.exchanges.round() {
            let Some(turn) = self.exchanges.turn(at, cx) else { continue };
            let Some(slot) = self.exchanges.slot(at) else { continue };
            moved |= match turn {
                Turn::Connection => sending::poll(slot, &mut self.wire, &mut self.out, cx),
                Turn::Own(waker) => sending::poll(slot, &mut self.wire, &mut self.out, &mut Context::from_waker(&waker)),
            };
        }
        moved |= self.show_broken_ones();
        if moved {
            self.exchanges.take_away_ended();
            if self.exchanges.is_empty() && !self.input.is_empty() {
                // A protocol with one request at a time has left there what stands behind the one that has just ended.
                self.take_events(cx);
            }
        }
        moved
    }

    /// Shows which responses broke, once all that has come is in work: what closes the connection must not cost the requests that came behind. Tells whether there were any.
    fn show_broken_ones(&mut self) -> bool {
        let mut any = false;
        while let Some((id, profile, declared)) = self.exchanges.take_broken() {
            self.show_broken(id, if declared { profile.abort_declared } else { profile.abort_undeclared });
            if let Some(slot) = self.exchanges.get_mut(id) {
                slot.over = true;
            }
            any = true;
        }
        any
    }

    /// Makes a response that broke visible, in the way that this web server understands.
    #[cold]
    fn show_broken(&mut self, id: RequestId, abort: Abort) {
        self.broken = true;
        let alone = self.exchanges.iter().filter(|slot| !slot.over).count() == 1;
        let abort = self.wire.abort(abort);
        if abort != Abort::End {
            // HAProxy 2.6 crashes, for all its sites, when a connection ends behind lines for the log that could go on.
            self.wire.respond(id, ResponsePart::Stderr(Bytes::new()), &mut self.out);
        }
        match abort {
            Abort::End => self.wire.respond(id, ResponsePart::Cut, &mut self.out),
            Abort::Poison if alone => {
                self.wire.respond(id, ResponsePart::Poison, &mut self.out);
                self.phase = Phase::Closing;
            }
            Abort::Close if alone => self.phase = Phase::Closing,
            // One bad response hurts one request: the others on this connection are finished first.
            Abort::Poison | Abort::Close => self.close_when_idle = true,
        }
    }

    /// Gives a request up in its handler's place.
    #[cold]
    pub(super) fn fail(&mut self, id: RequestId, failure: Failure) {
        let Some(slot) = self.exchanges.get_mut(id) else { return };
        slot.timeout = None;
        sending::logged(&mut self.wire, &mut self.out, id, slot.profile, || slot.exchange.fail(failure));
        slot.poll_again();
    }

    pub(super) fn poll_output(&mut self, cx: &mut Context<'_>) -> bool {
        let mut moved = false;
        // With a request in work there is another round behind this one, in which the rest leaves whether anything was added or not.
        let kept = if self.exchanges.is_empty() { 0 } else { self.out.kept_back() };
        while self.out.len() > kept {
            let mut slices = [IoSlice::new(&[]); PIECES];
            let filled = self.out.slices(&mut slices, self.out.len() - kept);
            match Pin::new(&mut self.link).poll_write_vectored(cx, &slices[..filled]) {
                Poll::Ready(Ok(sent)) if sent > 0 => {
                    self.out.advance(sent);
                    self.timers.wrote();
                    self.refused_unread = self.refused_unread.min(self.out.len());
                    moved = true;
                }
                Poll::Ready(_) => return self.departed(),
                Poll::Pending => {
                    // Reading may go on now, if it was held back.
                    moved |= !self.write_blocked;
                    self.write_blocked = true;
                    return moved;
                }
            }
        }
        self.write_blocked = false;
        moved
    }

    /// Whether nothing is to be waited for but the next request, with no limit but the one on idle connections.
    fn is_between_requests(&self) -> bool {
        self.exchanges.is_empty() && self.out.is_empty() && self.phase == Phase::Open && !self.stopping && self.is_silent()
    }

    /// Whether the peer has said what it had to say, and nothing is half said.
    pub(super) fn is_silent(&self) -> bool {
        self.received_any && self.input.is_empty() && self.wire.oldest_incomplete().is_none() && self.wire.oldest_discarding().is_none()
    }

    fn poll_timers(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let now = Instant::now();
        let earliest = self.deadlines(now);
        ready!(self.timers.poll(earliest, cx));
        self.expire(Instant::now());
        Poll::Ready(())
    }

    #[cold]
    pub(super) fn protocol_failed(&mut self, code: code::Code, sentence: &str) {
        tracing::warn!(target: "lodger", "{code}: the connection was closed: {sentence}");
        self.departed();
    }
}

#[cfg(test)]
#[path = "driver_tests.rs"]
mod tests;
