//! The HTTP door: a connection that speaks HTTP/1.1. Ordinary requests are read by a wire of our own, all others by hyper, and a connection goes from one to the other between
//! two requests.

mod answer;
mod common;
mod front;
mod link;
mod ordinary;
mod service;
mod upload;

use super::{
    Shared,
    connection::FRESH,
    socket::{Link as _, Socket},
    timers::{Alarm, PROBE},
};
use crate::{app::BoxApp, diagnostic::codes as code, gateway::http::HttpPeer, limits::Limits, transport::failure::Failure};
use answer::{Answer, Broken, Stream};
use bytes::{Bytes, BytesMut};
use common::{Ending, Handle};
pub(super) use front::Front;
use http::{Request, StatusCode};
use hyper::{
    body::Incoming,
    server::conn::http1::{Builder, UpgradeableConnection},
    service::HttpService,
};
use hyper_util::rt::TokioIo;
use link::Link;
use service::Entrance;
use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{io::AsyncWrite as _, time::Instant};
use tokio_util::sync::WaitForCancellationFutureOwned;
use upload::{Pulled, Upload};

/// hyper panics below this.
const SMALLEST_BUFFER: usize = 8 * 1024;

/// The largest piece of what is read or waits to be written that hyper holds.
const BUFFER: usize = 64 * 1024;

/// How long hyper is kept for the next request behind one that had a body. Where such requests follow one another at once, it is not made anew for each.
const REST: Duration = Duration::from_millis(20);

/// Up to so many headers hyper reads without an allocation for them.
const HEADERS_FOR_FREE: usize = 100;

/// A connection between two that serve it.
struct Conn {
    socket: Socket,
    /// What has been read of it and belongs to no request yet.
    input: BytesMut,
    /// The last byte of that is still in the socket.
    byte_left: bool,
    /// Something was read of it before.
    used: bool,
    /// The first request, or the one before, is known to be in HTTP/1.1.
    framed: bool,
}

/// Serves one connection until it is over, and until what it may have become is over too. `is_1_1`: the first request is known to be in HTTP/1.1.
pub(super) async fn serve_http(socket: Socket, is_1_1: bool, app: BoxApp, shared: Arc<Shared>) {
    let front = Front::of(&socket, &shared);
    let mut conn = Conn { socket, input: BytesMut::new(), byte_left: false, used: false, framed: is_1_1 };
    loop {
        let Some(unusual) = ordinary::serve(conn, front, app.clone(), Arc::clone(&shared)).await else { return };
        let Some(back) = serve_with_hyper(unusual, front, app.clone(), Arc::clone(&shared)).await else { return };
        conn = back;
    }
}

/// Serves a connection with hyper, and returns it when what comes next may be ordinary.
async fn serve_with_hyper(conn: Conn, front: Front, app: BoxApp, shared: Arc<Shared>) -> Option<Conn> {
    let upgraded = Arc::clone(&shared.upgraded);
    let ending = if conn.framed { Ending::Framed } else { Ending::Unknown };
    let entrance = Entrance::new(Handle::new(conn.socket, ending, conn.byte_left), front, app, Arc::clone(&shared));
    let common = entrance.common();
    // Passenger has asked the client for the body already, and would take a `100 Continue` for an answer that is on its way.
    let mut link = Link::new(common.clone(), shared.http.peer == HttpPeer::Passenger);
    let has_begun = link.go_ahead_with(conn.input.freeze());
    let service = hyper::service::service_fn(move |request: Request<Incoming>| entrance.answer(request));
    let mut driver = Driver {
        hyper: Hyper::Asleep(TokioIo::new(link), service),
        common: common.clone(),
        stop: None,
        stopping: false,
        told_to_stop: false,
        told_end: false,
        output_ended: false,
        alarm: Alarm::default(),
        probe: None,
        shared,
    };
    if has_begun {
        driver.wake();
    }
    let rest = poll_fn(|cx| driver.poll(cx)).await;
    if let Some(rest) = rest {
        drop(driver);
        return Some(Conn { socket: common.into_socket()?, input: rest.into(), byte_left: false, used: true, framed: true });
    }
    common.lock().watched = false;
    drop(driver);
    upgraded.fetch_add(1, Ordering::Relaxed);
    poll_fn(|cx| common.lock().poll_gone(cx)).await;
    upgraded.fetch_sub(1, Ordering::Relaxed);
    None
}

fn builder(limits: &Limits) -> Builder {
    let mut builder = Builder::new();
    // The clock is ours, as for all other connections.
    builder.header_read_timeout(None).max_header_size(limits.params_bytes).max_buf_size(limits.params_bytes.max(BUFFER).max(SMALLEST_BUFFER));
    if limits.params_pairs != HEADERS_FOR_FREE {
        builder.max_headers(limits.params_pairs);
    }
    builder
}

/// hyper, which holds two buffers of 8 KiB from its first request to its end. So it is made for the first bytes, and goes when what follows need not be for it.
enum Hyper<S>
where
    S: HttpService<Incoming>,
{
    Awake(Box<UpgradeableConnection<TokioIo<Link>, S>>),
    Asleep(TokioIo<Link>, S),
    /// On the way from one to the other.
    Gone,
}

/// One connection: hyper, the body of the request in work, and the clock.
struct Driver<S>
where
    S: HttpService<Incoming>,
{
    hyper: Hyper<S>,
    common: Handle,
    shared: Arc<Shared>,
    stop: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
    stopping: bool,
    told_to_stop: bool,
    /// hyper was asked to look at the end of the input, which it had not been told of.
    told_end: bool,
    /// The peer was told that no more comes from us.
    output_ended: bool,
    alarm: Alarm,
    probe: Option<Instant>,
}

/// What ends first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ends {
    Head,
    Idle,
    Rest,
    Write,
    Discard,
    Probe,
}

impl<S> Driver<S>
where
    S: HttpService<Incoming, Future = Answer, ResBody = Stream, Error = Broken>,
{
    /// Ready when the connection is over, or with what hyper has read and not used when it is to be served by somebody else.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            if self.poll_hyper(cx).is_ready() {
                return Poll::Ready(None);
            }
            if self.common.lock().must_look(cx) {
                continue;
            }
            match self.poll_upload(cx) {
                Poll::Ready(Some(pulled)) if !self.take_pulled(pulled) => return Poll::Ready(None),
                Poll::Ready(Some(_)) => continue,
                Poll::Ready(None) | Poll::Pending => {}
            }
            if self.poll_stop(cx) || self.must_look_at_end() {
                continue;
            }
            self.end_output(cx);
            if self.is_quiet() && !self.common.lock().may_want_hyper() {
                return Poll::Ready(self.let_go());
            }
            if !ready!(self.poll_clock(cx)) {
                return Poll::Ready(None);
            }
        }
    }

    /// Ready when the connection is over.
    fn poll_hyper(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Hyper::Asleep(..) = self.hyper {
            if self.told_to_stop {
                return Poll::Ready(());
            }
            // What else this may find out, hyper does when it reads.
            let _ = ready!(self.common.lock().socket.poll_readable(cx));
            self.wake();
        }
        let Hyper::Awake(conn) = &mut self.hyper else { return Poll::Ready(()) };
        let ended = ready!(Pin::new(&mut **conn).poll(cx));
        ended.unwrap_or_else(|error| tell(&error));
        Poll::Ready(())
    }

    fn wake(&mut self) {
        if let Hyper::Asleep(io, service) = std::mem::replace(&mut self.hyper, Hyper::Gone) {
            self.hyper = Hyper::Awake(Box::new(builder(&self.shared.limits).serve_connection(io, service).with_upgrades()));
        }
    }

    /// Whether hyper has nothing to do, and the connection can go on without it.
    fn is_quiet(&self) -> bool {
        !self.stopping && matches!(self.hyper, Hyper::Awake(_)) && self.common.lock().is_quiet()
    }

    /// Lets hyper go and takes what it has read and not used.
    fn let_go(&mut self) -> Option<Bytes> {
        let Hyper::Awake(conn) = std::mem::replace(&mut self.hyper, Hyper::Gone) else { return None };
        let mut parts = conn.into_parts()?;
        Some(parts.io.inner_mut().take_back(parts.read_buf))
    }

    fn poll_upload(&self, cx: &mut Context<'_>) -> Poll<Option<Pulled>> {
        let mut common = self.common.lock();
        // While our own write is blocked the peer may be waiting for us to read: Apache sends the whole body before it takes any of the response.
        let (urgent, needed) = (common.write_blocked.is_some(), common.upload_first);
        match &mut common.upload {
            Some(upload) => upload.poll(urgent, needed, cx).map(Some),
            None => Poll::Ready(None),
        }
    }

    /// False when the peer is gone.
    fn take_pulled(&self, pulled: Pulled) -> bool {
        let mut common = self.common.lock();
        match pulled {
            Pulled::Piece | Pulled::End => {}
            Pulled::Cut if common.hung_up() => return false,
            Pulled::Cut => common.failure = Some(Failure::BODY_CUT),
            Pulled::Malformed => {
                let sentence = "the chunks of the request body cannot be read";
                common.failure = Some(Failure::new(StatusCode::BAD_REQUEST, code::VIOLATION, sentence));
            }
            Pulled::NoRoom => common.failure = Some(Failure::NO_ROOM_FOR_BODY),
        }
        // A body on its way shows that somebody is still there: the time of the handler starts again.
        common.heard = Instant::now();
        if !common.in_work && common.upload.as_ref().is_some_and(Upload::is_over) {
            common.drop_upload();
        }
        true
    }

    /// Tells hyper to leave when the process is told to: an idle connection is closed, a request in work is finished. A request whose head is on its way
    /// is waited for, since hyper would drop it.
    fn poll_stop(&mut self, cx: &mut Context<'_>) -> bool {
        if !self.stopping {
            let stop = self.stop.get_or_insert_with(|| Box::pin(self.shared.stop.clone().cancelled_owned()));
            self.stopping = stop.as_mut().poll(cx).is_ready();
        }
        let ready = self.stopping && !self.told_to_stop && self.common.lock().begun.is_none();
        if ready {
            self.told_to_stop = true;
            if let Hyper::Awake(conn) = &mut self.hyper {
                Pin::new(&mut **conn).graceful_shutdown();
            }
        }
        ready
    }

    /// Whether the peer stopped writing while hyper was not told, and the time has come to tell it.
    fn must_look_at_end(&mut self) -> bool {
        let mut common = self.common.lock();
        common.find_cut();
        let due = common.half_closed && !common.withholds_end();
        let told = std::mem::replace(&mut self.told_end, due);
        due && !told
    }

    /// Where the end of the connection ends the response, it does not wait for the end of a body that nobody wants. hyper closes when that has come.
    fn end_output(&mut self, cx: &mut Context<'_>) {
        let mut common = self.common.lock();
        if common.is_only_discarding() && !std::mem::replace(&mut self.output_ended, true) {
            common.set_ending(Ending::Framed);
            // A peer that is gone is found out by the next read.
            let _ = Pin::new(&mut common.socket).poll_shutdown(cx);
        }
    }

    /// Ready with whether to go on.
    fn poll_clock(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        let now = Instant::now();
        let Some((ends, until)) = self.first_end(now) else { return Poll::Pending };
        ready!(self.alarm.poll(until, cx));
        Poll::Ready(until > Instant::now() || self.expire(ends))
    }

    fn first_end(&mut self, now: Instant) -> Option<(Ends, Instant)> {
        let rests = self.is_quiet();
        let (mut common, limits) = (self.common.lock(), &self.shared.limits);
        let probing = common.in_work && !common.read_waits;
        self.probe = probing.then(|| self.probe.unwrap_or(now + PROBE));
        if self.stopping
            && let Some(upload) = &mut common.upload
        {
            upload.discard_no_longer_than(now + FRESH);
        }
        let discard = common.upload.as_ref().and_then(Upload::discard_until);
        let quiet = !common.in_work && common.write_blocked.is_none() && discard.is_none();
        let head = common.begun.map(|begun| begun + limits.params_timeout);
        let ends = [
            (Ends::Head, head.filter(|_| quiet)),
            (Ends::Idle, (quiet && head.is_none()).then(|| common.idle_since + limits.idle_timeout)),
            (Ends::Rest, rests.then(|| common.idle_since + REST)),
            (Ends::Write, common.write_blocked.map(|since| since + limits.write_timeout)),
            (Ends::Discard, discard),
            (Ends::Probe, self.probe),
        ];
        ends.into_iter().filter_map(|(ends, until)| Some((ends, until?))).min_by_key(|(_, until)| *until)
    }

    /// Does what the limit that has ended asks for; false ends the connection.
    fn expire(&mut self, ends: Ends) -> bool {
        match ends {
            Ends::Idle => false,
            Ends::Rest => {
                self.common.lock().rested();
                true
            }
            Ends::Head => {
                tracing::warn!(target: "lodger", "{}: the connection was closed: the head of a request was not complete in time", code::PARAMS_TIMEOUT);
                false
            }
            Ends::Write => {
                tracing::warn!(target: "lodger", "{}: the connection was closed: the web server took none of the bytes offered to it", code::WRITE_STALLED);
                false
            }
            Ends::Discard => {
                self.common.lock().drop_upload();
                true
            }
            Ends::Probe => {
                self.probe = None;
                !self.common.lock().hung_up()
            }
        }
    }
}

/// What hyper could not read is told once; a peer that left, and a response that broke, were told elsewhere or are nobody's mistake.
fn tell(error: &hyper::Error) {
    if error.is_parse_too_large() {
        tracing::warn!(target: "lodger", "{}: the head of a request is larger than the limit", code::PARAMS_TOO_LARGE);
    } else if error.is_parse() {
        tracing::warn!(target: "lodger", "{}: the connection was closed: the request is not HTTP/1.1: {error}", code::VIOLATION);
    }
}

#[cfg(test)]
#[path = "passenger_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "upgrade_tests.rs"]
mod upgrade_tests;
