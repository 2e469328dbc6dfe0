//! Who stands at the other end of a connection that speaks HTTP, and whom is believed what.

use crate::{
    cgi::http::{Arrival, Trust},
    gateway::http::{HttpPeer, any_peer},
    profile::{self, Profile},
    transport::{Shared, socket::Socket},
};
use std::net::SocketAddr;

/// What is known of a connection before its first request.
#[derive(Debug, Clone, Copy)]
pub(in crate::transport) struct Front {
    peer: Option<SocketAddr>,
    trust: Trust,
    /// What the start tells of the web server; where it tells nothing, the request does.
    profile: Option<&'static Profile>,
}

/// Nobody: that of a connection which speaks something else.
impl Default for Front {
    fn default() -> Self {
        Self { peer: None, trust: Trust::Nobody, profile: None }
    }
}

impl Front {
    pub(super) fn of(socket: &Socket, shared: &Shared) -> Self {
        let peer = socket.peer_addr();
        let trusts = |peer: SocketAddr| shared.trusted.as_ref().is_some_and(|trusted| trusted.holds(peer.ip()));
        let (trust, profile) = match shared.http.peer {
            HttpPeer::Passenger => (Trust::Passenger, Some(&profile::PASSENGER)),
            HttpPeer::Lsnode => (Trust::Lsnode, Some(&profile::LITESPEED)),
            // Any user of the machine may connect to a port of it; a Unix socket is for whom its permissions let in.
            HttpPeer::Any if socket.is_unix() || peer.is_some_and(trusts) => (Trust::Forwarded, None),
            HttpPeer::Any => (Trust::Nobody, None),
        };
        Self { peer, trust, profile: shared.profile.or(profile) }
    }

    /// The web server that a request came through, by the headers that the request has.
    pub(super) fn profile(&self, has: impl Fn(&'static str) -> bool) -> &'static Profile {
        self.profile.unwrap_or_else(|| any_peer(has))
    }

    pub(super) fn arrival<'a>(&self, shared: &'a Shared, profile: &'a Profile, has_body: bool, upgrade: bool) -> Arrival<'a> {
        Arrival { peer: self.peer, trust: self.trust, mount: &shared.http.mount, profile, has_body, upgrade }
    }
}
