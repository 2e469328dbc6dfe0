//! What the three that share a connection tell each other: the link under hyper, the request in work, and the driver around both.

use super::upload::Upload;
use crate::transport::{
    failure::Failure,
    socket::{Link as _, Socket},
};
use std::{
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll, Waker},
};
use tokio::time::Instant;

/// What the last bytes of a head and of an empty line behind it are.
const BLANK: &[u8; 5] = b"\n\r\n\r\n";

/// How the end of a response shows to a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// Not known before the head of the first request.
    Unknown,
    /// HTTP/1.1: chunks, and their end.
    Framed,
    /// HTTP/1.0, as nginx speaks it: a response of unknown length ends with the connection, so that a close shows nothing. The last byte that came is
    /// only looked at and stays in the socket until a response has gone out whole: closing a socket with a byte unread resets it.
    Close,
}

/// Locked for moments only, and never while the app runs.
#[derive(Clone)]
pub(super) struct Handle(Arc<Mutex<Common>>);

pub(super) struct Common {
    pub(super) socket: Socket,
    /// When the first byte came of a request whose head is not complete.
    pub(super) begun: Option<Instant>,
    /// Since when the peer takes nothing of what it is offered.
    pub(super) write_blocked: Option<Instant>,
    /// Whether the runtime wakes us when the peer does something.
    pub(super) read_waits: bool,
    /// Whether hyper may look for the end of the input while a request is in work.
    may_look: bool,
    /// hyper wanted to and was put off.
    put_off: bool,
    /// The peer has said that it sends no more, and hyper has not been told.
    pub(super) half_closed: bool,
    /// The body of the request in work is shorter than announced, which hyper finds out when it is told of the end.
    pub(super) cut: bool,
    /// Whether a response is being made or sent.
    pub(super) in_work: bool,
    /// Whether hyper holds bytes that belong to no request in work.
    holds_input: bool,
    /// The last bytes that hyper was given.
    tail: [u8; BLANK.len()],
    /// How the end of a response shows to this peer.
    pub(super) ending: Ending,
    /// A byte that hyper has was left in the socket.
    pub(super) byte_left: bool,
    /// hyper has not offered anything to the peer since the request began.
    pub(super) nothing_offered: bool,
    /// hyper holds bytes of a response that it has not written.
    pub(super) unflushed: bool,
    /// The response in work is the last on this connection.
    pub(super) last: bool,
    /// Whether somebody looks after a peer that stopped writing; after an upgrade that is up to the app.
    pub(super) watched: bool,
    /// The link is gone, which after an upgrade may be long after hyper is.
    gone: bool,
    /// Who waits for that.
    waits_for_end: Option<Waker>,
    /// Since when nothing is.
    pub(super) idle_since: Instant,
    /// When the last piece of the request body came, or the request itself.
    pub(super) heard: Instant,
    /// The last request had a body, and that was not long ago.
    had_body: bool,
    /// A body was not read to its end.
    lost: bool,
    /// A request was answered.
    answered: bool,
    /// The body of the request, until it has ended and the response too.
    pub(super) upload: Option<Upload>,
    /// Whether the response waits for the request body, so that it has to be read whoever takes it.
    pub(super) upload_first: bool,
    /// What happened to the request from outside.
    pub(super) failure: Option<Failure>,
}

impl Handle {
    pub(super) fn new(socket: Socket, ending: Ending, byte_left: bool) -> Self {
        let now = Instant::now();
        Self(Arc::new(Mutex::new(Common {
            socket,
            begun: None,
            write_blocked: None,
            read_waits: false,
            may_look: false,
            put_off: false,
            half_closed: false,
            cut: false,
            in_work: false,
            holds_input: false,
            tail: [0; BLANK.len()],
            ending,
            byte_left,
            nothing_offered: false,
            unflushed: false,
            last: false,
            watched: true,
            gone: false,
            waits_for_end: None,
            idle_since: now,
            heard: now,
            had_body: false,
            lost: false,
            answered: false,
            upload: None,
            upload_first: false,
            failure: None,
        })))
    }

    /// The socket, when nobody else holds this any more.
    pub(super) fn into_socket(self) -> Option<Socket> {
        Some(Arc::into_inner(self.0)?.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner).socket)
    }

    /// Nothing panics while it holds the lock; should it happen all the same, the state is still whole.
    pub(super) fn lock(&self) -> MutexGuard<'_, Common> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Common {
    /// Whether hyper must not hear that the peer stopped writing, since it would take that for a departure. It may have decoded the body to its last byte
    /// while the upload is not over here, so that only a body found to be cut lets the end through.
    pub(super) fn withholds_end(&self) -> bool {
        !self.cut && (self.in_work || self.write_blocked.is_some())
    }

    /// While a request is in work that has come whole, hyper reads only to find out whether the peer is still there. It is put off until there is something to read:
    /// most responses are there before anything has to be waited for.
    pub(super) fn puts_off_look(&mut self) -> bool {
        let puts_off = self.in_work && !self.may_look && !self.body_comes();
        if puts_off {
            self.put_off = true;
            self.delivered(&[]);
        }
        puts_off
    }

    /// Whether hyper was put off and has to look now, because there is something. Otherwise the runtime tells when there is.
    pub(super) fn must_look(&mut self, cx: &mut Context<'_>) -> bool {
        if !std::mem::take(&mut self.put_off) {
            return false;
        }
        // What else this may find out, hyper does when it reads.
        self.may_look = self.socket.poll_readable(cx).is_ready();
        self.read_waits = !self.may_look;
        self.may_look
    }

    /// Whether there is nothing that hyper would have to be kept for, once a request was answered. It may still hold the beginning of a request that nobody has seen begin.
    pub(super) fn is_quiet(&self) -> bool {
        let busy = self.in_work || self.upload.is_some() || self.begun.is_some() || self.unflushed || self.write_blocked.is_some();
        self.answered && self.ending == Ending::Framed && !(busy || self.byte_left || self.half_closed || self.last || self.lost)
    }

    /// Whether what comes next is likely to be for hyper as well: bodies follow one another.
    pub(super) fn may_want_hyper(&self) -> bool {
        self.had_body
    }

    /// Nothing came for a while behind the last request.
    pub(super) fn rested(&mut self) {
        self.had_body = false;
    }

    /// Lets a body go of which nothing more is wanted.
    pub(super) fn drop_upload(&mut self) {
        self.lost |= self.upload.take().is_some_and(|upload| !upload.has_ended());
    }

    /// The link was dropped.
    pub(super) fn go(&mut self) -> Option<Waker> {
        self.gone = true;
        self.waits_for_end.take()
    }

    /// Ready when the link was dropped.
    pub(super) fn poll_gone(&mut self, cx: &Context<'_>) -> Poll<()> {
        if self.gone {
            return Poll::Ready(());
        }
        self.waits_for_end = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Looks whether the peer stopped writing in the middle of the body: hyper has been asked for more of it, and has none.
    pub(super) fn find_cut(&mut self) {
        self.cut |= self.half_closed && self.in_work && self.upload.as_ref().is_some_and(Upload::is_waiting);
    }

    fn body_comes(&self) -> bool {
        self.upload.as_ref().is_some_and(|upload| !upload.is_over())
    }

    /// hyper asked for input and was given `new`. While a request is in work it asks only when it holds nothing.
    pub(super) fn delivered(&mut self, new: &[u8]) {
        // RFC 9112, 2.2: "a server that is expecting to receive and parse a request-line SHOULD ignore at least one empty line (CRLF) received prior to the
        // request-line". It is the beginning of nothing.
        let empty_lines = new.iter().all(|byte| matches!(byte, b'\r' | b'\n'));
        let begins = !empty_lines && !self.body_comes();
        if self.in_work {
            // Behind a body a line end at the end may be an empty line too.
            self.holds_input = begins || self.body_comes() && !new.is_empty() && !new.ends_with(b"\n");
        }
        if begins {
            self.begun.get_or_insert_with(Instant::now);
        }
        let kept = new.len().min(BLANK.len());
        self.tail.rotate_left(kept);
        for (to, from) in self.tail.iter_mut().rev().zip(new.iter().rev()) {
            *to = *from;
        }
    }

    /// How the end of a response to the request that begins shows, which its version decides.
    pub(super) fn set_ending(&mut self, ending: Ending) {
        self.ending = ending;
        if ending == Ending::Framed {
            self.take_byte_left();
        }
    }

    /// Closing is no reset any more.
    pub(super) fn take_byte_left(&mut self) {
        if std::mem::take(&mut self.byte_left) {
            self.socket.discard(1);
        }
    }

    /// Whether the end of the connection is all that the peer waits for, while we still wait for the end of its body. A response that broke ended hyper too.
    pub(super) fn is_only_discarding(&self) -> bool {
        !self.in_work && self.last && !self.unflushed && self.write_blocked.is_none() && self.body_comes()
    }

    /// Whether the peer is gone; one that only stopped writing is not.
    pub(super) fn hung_up(&self) -> bool {
        self.socket.hung_up()
    }

    /// A request begins.
    pub(super) fn begin(&mut self, upload: Option<Upload>, last: bool) {
        self.begun = None;
        // Behind a head, two empty lines are the end of it and an empty line of nothing.
        self.holds_input = if upload.is_some() { !self.tail.ends_with(b"\n") } else { self.tail != *BLANK };
        self.nothing_offered = true;
        (self.may_look, self.put_off) = (false, false);
        self.last = last;
        self.cut = false;
        self.heard = Instant::now();
        self.in_work = true;
        self.had_body = upload.is_some();
        self.upload = upload;
        self.upload_first = false;
        self.failure = None;
    }

    /// The response is complete, or it was given up. What is still to come of the request body is thrown away until `linger_until`.
    pub(super) fn end(&mut self, complete: bool, linger_until: Instant) {
        self.in_work = false;
        // What hyper was just given, or the end of it.
        self.unflushed = true;
        self.idle_since = Instant::now();
        // The next request may have begun to come already; its time was ours so far.
        let begun = self.begun.is_some() || self.holds_input && !self.body_comes();
        self.begun = begun.then_some(self.idle_since);
        self.answered = true;
        let ended = self.upload.as_ref().is_none_or(Upload::has_ended);
        self.upload = self.upload.take().and_then(|upload| upload.unwanted(complete, linger_until));
        self.lost |= self.upload.is_none() && !ended;
    }
}
