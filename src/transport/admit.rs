//! What a request has to pass before its app is called, whatever door it came in by, and what it is given on the way.

use super::{
    Shared,
    exchange::Exchange,
    exchanges::Permit,
    failure::Failure,
    inbox::{self, Expected, Inbox},
};
use crate::{
    app::BoxApp,
    body::Body,
    cgi::{CgiVars, request::Meta},
    ext,
    gateway::Gateway,
    profile::Profile,
    proto::{Refusal, Role},
};
use http::{Extensions, HeaderValue, Request, header, request::Parts};
use std::{
    sync::{Arc, Once},
    time::Duration,
};
use tracing::{Level, level_filters::LevelFilter};

/// A request that stands at the door.
pub(super) struct Candidate {
    pub(super) parts: Parts,
    pub(super) meta: Meta,
    pub(super) vars: CgiVars,
    pub(super) gateway: Gateway,
    pub(super) profile: &'static Profile,
    pub(super) role: Role,
    /// Whether all of the body has come, which can be nothing then.
    pub(super) body_ended: bool,
    /// Whether the connection may become something else.
    pub(super) upgrade: bool,
    /// Whether no more requests are begun on this connection.
    pub(super) last_call: bool,
}

/// A request in work, and what its connection keeps of it.
pub(super) struct Admitted {
    pub(super) exchange: Exchange,
    /// Where its body goes, if one may come.
    pub(super) inbox: Option<Inbox>,
    pub(super) permit: Permit,
    /// How long its handler may take.
    pub(super) timeout: Duration,
}

/// A request that is not let in.
pub(super) struct Refused {
    pub(super) failure: Failure,
    /// Which form of a page its client likes.
    pub(super) accept: Option<HeaderValue>,
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Self { failure, accept: None }
    }
}

/// Lets a request in, or says what it is answered with instead: 413 before 503, since asking again later does not help the first.
#[inline]
pub(super) fn admit(shared: &Arc<Shared>, app: &BoxApp, candidate: Candidate) -> Result<Admitted, Refused> {
    let Candidate { parts, meta, vars, gateway, profile, role, body_ended, upgrade, last_call } = candidate;
    let limits = &shared.limits;
    let refused = |failure| Refused { failure, accept: parts.headers.get(header::ACCEPT).cloned() };
    if limits.body_bytes.zip(meta.content_length).is_some_and(|(limit, length)| length > limit) {
        return Err(refused(Failure::BODY_TOO_LARGE));
    }
    let permit = Permit::take(shared).filter(|_| !last_call).ok_or_else(|| refused(Refusal::TooManyRequests.into()))?;
    let (inbox, body) = if body_ended && meta.content_length.is_none_or(|length| length == 0) {
        (None, Body::empty())
    } else {
        let expected = Expected { length: meta.content_length, none: meta.no_body, limit: limits.body_bytes };
        let (inbox, incoming) = inbox::channel(limits.body_window, expected);
        (Some(inbox), Body::incoming(incoming, limits.body_bytes))
    };
    let body_follows = !meta.no_body && !body_ended;
    let timeout = limits.request_timeout.min(profile.request_timeout_max.unwrap_or(Duration::MAX));
    let method = parts.method.clone();
    let facts = ext::Exchange::new(vars, gateway, profile, meta, role, shared.listener.clone());
    let mut request = Request::from_parts(parts, body);
    insert_extensions(&mut request, &shared.room, facts.clone());
    Ok(Admitted { exchange: Exchange::new(app.call(request), method, facts, body_follows, upgrade), inbox, permit, timeout })
}

fn insert_extensions(request: &mut Request<Body>, room: &Extensions, exchange: ext::Exchange) {
    tell_of_first(&exchange);
    let before = std::mem::replace(request.extensions_mut(), room.clone());
    request.extensions_mut().extend(before);
    #[cfg(feature = "axum08")]
    {
        use axum::extract::{ConnectInfo, OriginalUri};
        if let Some(remote) = exchange.remote_addr() {
            request.extensions_mut().insert(ConnectInfo(remote));
        }
        if let Some(original) = exchange.original_uri() {
            request.extensions_mut().insert(OriginalUri(original.clone()));
        }
    }
    request.extensions_mut().insert(exchange);
}

/// Says once in the life of a process how it is asked: whoever set the web server up wants to know what was made of that.
fn tell_of_first(exchange: &ext::Exchange) {
    static ONCE: Once = Once::new();
    if let Some(gateway) = exchange.gateway() {
        // A CGI program has but one request, and each page that it touches is dear.
        if gateway == Gateway::Cgi && Level::INFO > LevelFilter::current() {
            return;
        }
        ONCE.call_once(|| tracing::info!(target: "lodger", "the first request came over {gateway} from {}", exchange.profile().name()));
    }
}
