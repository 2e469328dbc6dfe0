//! The body of a request on its way from hyper to the handler.

use crate::transport::inbox::{BodyError, Inbox};
use http_body::Body as _;
use hyper::body::Incoming;
use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::time::Instant;

pub(super) struct Upload {
    incoming: Incoming,
    inbox: Inbox,
    /// The client waits for a `100 Continue`, which hyper sends when the body is asked for.
    on_demand: bool,
    over: bool,
    /// hyper has read it to its end.
    ended: bool,
    /// hyper was asked for more and has none.
    waiting: bool,
    /// Set once the response has ended: what still comes is thrown away until then.
    discard_until: Option<Instant>,
}

/// What a look at a body found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pulled {
    Piece,
    End,
    /// The connection ended first.
    Cut,
    /// The chunks cannot be read.
    Malformed,
    /// What had to wait could not be written to disk.
    NoRoom,
}

impl Upload {
    pub(super) fn new(incoming: Incoming, inbox: Inbox, on_demand: bool) -> Self {
        Self { incoming, inbox, on_demand, over: false, ended: false, waiting: false, discard_until: None }
    }

    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    /// Whether hyper has read it to its end, so that it knows where the next request begins.
    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Whether hyper was asked for more and has none.
    pub(super) fn is_waiting(&self) -> bool {
        self.waiting
    }

    /// Whether the client waits to be told that it may send.
    pub(super) fn is_unasked(&self) -> bool {
        self.on_demand && !self.over
    }

    pub(super) fn discard_until(&self) -> Option<Instant> {
        self.discard_until.filter(|_| !self.over)
    }

    /// What still comes is thrown away until `until` at the latest.
    pub(super) fn discard_no_longer_than(&mut self, until: Instant) {
        self.discard_until = self.discard_until.map(|end| end.min(until));
    }

    /// The response has ended. What is left of the body is thrown away: closing the connection under a peer that is still sending could cost it the
    /// response. A client that was never told to go on sends nothing, and hyper closes.
    pub(super) fn unwanted(mut self, response_complete: bool, linger_until: Instant) -> Option<Self> {
        if !(self.over && response_complete) {
            self.inbox.fail(BodyError::Departed);
        }
        self.discard_until = Some(linger_until);
        (!self.over && !self.on_demand).then_some(self)
    }

    /// Takes the next piece, if it may be taken: a full window stops reading, and so holds the peer back, except while that could block somebody (`urgent`).
    /// A client that asked whether it may send is told so when somebody waits for the body, be it only the response (`needed`).
    pub(super) fn poll(&mut self, urgent: bool, needed: bool, cx: &mut Context<'_>) -> Poll<Pulled> {
        self.waiting = false;
        let discarding = self.discard_until.is_some();
        let asked_for = !self.on_demand || needed || self.inbox.is_awaited(cx.waker());
        if self.over || !asked_for || !discarding && !urgent && !needed && self.inbox.is_full(cx.waker()) {
            return Poll::Pending;
        }
        self.on_demand = false;
        let frame = Pin::new(&mut self.incoming).poll_frame(cx);
        self.waiting = frame.is_pending();
        Poll::Ready(match ready!(frame) {
            Some(Ok(frame)) => match frame.into_data().map(|data| self.inbox.push(data)) {
                Ok(Err(_)) => self.end_with(BodyError::NoRoom, Pulled::NoRoom),
                // Trailers have no place in what an app is given by other gateways, and are passed over.
                Ok(Ok(())) | Err(_) => Pulled::Piece,
            },
            None => {
                (self.over, self.ended) = (true, true);
                match self.inbox.finish() {
                    Ok(()) => Pulled::End,
                    Err(_) => Pulled::Cut,
                }
            }
            Some(Err(error)) => {
                let pulled = if is_malformed(&error) { Pulled::Malformed } else { Pulled::Cut };
                self.end_with(BodyError::Incomplete, pulled)
            }
        })
    }

    fn end_with(&mut self, error: BodyError, pulled: Pulled) -> Pulled {
        self.over = true;
        self.inbox.fail(error);
        pulled
    }
}

fn is_malformed(error: &hyper::Error) -> bool {
    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<io::Error>());
    cause.is_some_and(|cause| matches!(cause.kind(), io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput))
}
