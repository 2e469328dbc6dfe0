//! What the three that share a connection tell each other: the link under hyper, the request in work, and the driver around both.

use super::upload::Upload;
use crate::transport::{
    exchange::Failure,
    socket::{Link as _, Socket},
};
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::time::Instant;

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
    /// The peer has said that it sends no more, and hyper has not been told.
    pub(super) half_closed: bool,
    /// Whether a response is being made or sent.
    pub(super) in_work: bool,
    /// Whether somebody looks after a peer that stopped writing; after an upgrade that is up to the app.
    pub(super) watched: bool,
    /// Since when nothing is.
    pub(super) idle_since: Instant,
    /// When the last piece of the request body came, or the request itself.
    pub(super) heard: Instant,
    /// The body of the request, until it has ended and the response too.
    pub(super) upload: Option<Upload>,
    /// Whether the response waits for the request body, so that it has to be read whoever takes it.
    pub(super) upload_first: bool,
    /// What happened to the request from outside.
    pub(super) failure: Option<Failure>,
}

impl Handle {
    pub(super) fn new(socket: Socket) -> Self {
        let now = Instant::now();
        Self(Arc::new(Mutex::new(Common {
            socket,
            begun: None,
            write_blocked: None,
            read_waits: false,
            half_closed: false,
            in_work: false,
            watched: true,
            idle_since: now,
            heard: now,
            upload: None,
            upload_first: false,
            failure: None,
        })))
    }

    /// Nothing panics while it holds the lock; should it happen all the same, the state is still whole.
    pub(super) fn lock(&self) -> MutexGuard<'_, Common> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Common {
    /// Whether the peer has nothing to send before it has our response.
    pub(super) fn is_our_turn(&self) -> bool {
        let body_comes = self.upload.as_ref().is_some_and(|upload| !upload.is_over());
        !body_comes && (self.in_work || self.write_blocked.is_some())
    }

    /// Whether the peer is gone; one that only stopped writing is not.
    pub(super) fn hung_up(&self) -> bool {
        self.socket.hung_up()
    }

    /// A request begins.
    pub(super) fn begin(&mut self, upload: Option<Upload>) {
        self.begun = None;
        self.heard = Instant::now();
        self.in_work = true;
        self.upload = upload;
        self.upload_first = false;
        self.failure = None;
    }

    /// The response is complete, or it was given up. What is still to come of the request body is thrown away until `linger_until`.
    pub(super) fn end(&mut self, complete: bool, linger_until: Instant) {
        self.in_work = false;
        self.idle_since = Instant::now();
        // The next request may have begun to come already; its time was ours so far.
        self.begun = self.begun.map(|_| self.idle_since);
        self.upload = self.upload.take().and_then(|upload| upload.unwanted(complete, linger_until));
    }
}
