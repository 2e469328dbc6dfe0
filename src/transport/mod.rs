//! What moves bytes: the one async driver, the sockets and pipes it runs on, and the door where connections come in.

pub(crate) mod accept;
mod adapt;
pub(crate) mod client;
pub(crate) mod connection;
pub(crate) mod door;
mod driver;
mod exchange;
mod exchanges;
pub(crate) mod inbox;
mod intake;
pub(crate) mod socket;
mod spool;
pub(crate) mod stdio;
mod timers;

use crate::{gateway::Ownership, limits::Limits};
use std::{
    path::PathBuf,
    sync::{Arc, atomic::AtomicUsize},
};
use tokio_util::sync::CancellationToken;

/// What all connections of a process share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) limits: Arc<Limits>,
    /// How the listener came to us, which tells one web server from another.
    pub(crate) ownership: Ownership,
    /// Our own executable, for the mount rule.
    pub(crate) program: Option<PathBuf>,
    /// Cancelled when the process is told to leave.
    pub(crate) stop: CancellationToken,
    /// Requests in work, over all connections.
    pub(crate) in_work: AtomicUsize,
}

impl Shared {
    pub(crate) fn new(limits: Limits, ownership: Ownership, stop: CancellationToken) -> Arc<Self> {
        Arc::new(Self { limits: Arc::new(limits), ownership, program: std::env::current_exe().ok(), stop, in_work: AtomicUsize::new(0) })
    }
}
