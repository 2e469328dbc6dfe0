//! What moves bytes: the one async driver, the sockets and pipes it runs on, and the door where connections come in.

pub(crate) mod accept;
mod adapt;
mod admit;
pub(crate) mod client;
pub(crate) mod connection;
mod crowd;
pub(crate) mod door;
mod driver;
mod ending;
mod exchange;
mod exchanges;
mod failure;
mod grant;
#[cfg(feature = "http")]
mod http;
pub(crate) mod inbox;
mod intake;
mod sending;
pub(crate) mod socket;
mod spare;
mod spool;
pub(crate) mod stdio;
mod stop;
mod timers;

#[cfg(test)]
mod replay_tests;

#[cfg(feature = "http")]
use crate::gateway::http::HttpStart;
use crate::{
    cgi::{CgiVars, Executable},
    gateway::{Gateway, Ownership, choose_profile},
    life::{self, Rest, Work},
    limits::Limits,
    profile::Profile,
    settings::Settings,
    trust::Trusted,
};
use ::http::Extensions;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use tokio_util::sync::CancellationToken;

/// What all connections of a process share.
#[derive(Debug, Clone)]
pub(crate) struct Shared {
    pub(crate) limits: Arc<Limits>,
    /// The profile that the developer has set.
    pub(crate) profile: Option<&'static Profile>,
    /// Whose `X-Forwarded-*` headers are believed beside those of this machine.
    pub(crate) trusted: Option<Trusted>,
    /// How the listener came to us, which tells one web server from another.
    pub(crate) ownership: Ownership,
    /// Our own executable, for the mount rule.
    pub(crate) program: Option<Executable>,
    /// What the start tells about connections that speak HTTP.
    #[cfg(feature = "http")]
    pub(crate) http: HttpStart,
    /// Cancelled when the process is told to leave.
    pub(crate) stop: CancellationToken,
    /// What systemd calls the socket that these connections come in by.
    pub(crate) listener: Option<Arc<str>>,
    /// Requests in work, over all connections.
    pub(crate) in_work: Arc<AtomicUsize>,
    /// Requests that were ever begun, over all connections.
    pub(crate) begun: Arc<AtomicUsize>,
    /// Whether the process rests until the next request.
    pub(crate) rest: Arc<Rest>,
    /// Connections that became something else, such as a WebSocket. No limit on requests counts them, but they are work.
    pub(crate) upgraded: Arc<AtomicUsize>,
    /// What the extensions of each request are made of.
    room: Extensions,
}

impl Shared {
    /// For a process that serves sockets.
    pub(crate) fn new(settings: Settings, ownership: Ownership, stop: CancellationToken) -> Arc<Self> {
        Arc::new(Self {
            ownership,
            stop,
            #[cfg(feature = "http")]
            http: HttpStart::of_this_process(ownership),
            ..Self::of_cgi(settings)
        })
    }

    /// For the one request of a CGI program. What only connections need is not looked for.
    pub(crate) fn of_cgi(settings: Settings) -> Self {
        Self {
            limits: Arc::new(settings.limits),
            profile: settings.profile,
            trusted: settings.trusted,
            ownership: Ownership::Shared,
            program: life::program().ok().map(|program| Executable::new(program.to_owned())),
            #[cfg(feature = "http")]
            http: HttpStart::default(),
            stop: CancellationToken::new(),
            listener: None,
            in_work: Arc::default(),
            begun: Arc::default(),
            rest: Arc::default(),
            upgraded: Arc::default(),
            room: room(),
        }
    }

    /// What the web server needs that sent these variables: what the developer has set, or what can be told of it. It stands here and not where it is asked for, which is compiled for each protocol.
    fn profile_of(&self, gateway: Gateway, vars: &CgiVars, keep_conn: bool) -> &'static Profile {
        self.profile.unwrap_or_else(|| choose_profile(gateway, self.ownership, vars, keep_conn))
    }

    /// The same, for the connections of one socket of several.
    pub(crate) fn by(self: &Arc<Self>, listener: Option<Arc<str>>) -> Arc<Self> {
        if listener.is_none() {
            return Arc::clone(self);
        }
        Arc::new(Self { listener, ..Self::clone(self) })
    }

    /// How much is being done.
    pub(crate) fn work(&self) -> Work {
        let in_work = self.in_work.load(Ordering::Relaxed) + self.upgraded.load(Ordering::Relaxed);
        Work { in_work, begun: self.begun.load(Ordering::Relaxed) }
    }
}

/// An empty map with room for our extensions and those that a router adds. A map that grows is made and filled twice for each request.
fn room() -> Extensions {
    let mut room = Extensions::new();
    room.insert(0_u8);
    room.insert(0_u16);
    room.insert(0_u32);
    room.insert(0_u64);
    room.clear();
    room
}
