//! From what the wire tells to requests in work: variables become an `http::Request`, body bytes find their inbox.

use super::{
    driver::{Driver, Phase, logged},
    exchange::{Exchange, Failure},
    exchanges::{Permit, Slot},
    inbox::{self, BodyError, Expected},
    socket::Link,
};
use crate::{
    body::Body,
    cgi::{
        CgiVars,
        request::{Context, VarError, cgi_body, parts_from_vars},
        response::Head,
    },
    diagnostic::codes as code,
    ext,
    gateway::{Gateway, choose_profile},
    limits::Limits,
    profile,
    proto::{Event, Params, Refusal, RequestId, ResponsePart, Role, Wire},
    telemetry::log,
};
use http::{Request, StatusCode};
use std::time::Duration;
use tokio::time::Instant;

/// Refusals that may wait to be read by the peer, in bytes.
const REFUSED_BACKLOG: usize = 256 * 1024;

impl<L: Link, W: Wire> Driver<L, W> {
    /// Takes every event that the input holds.
    pub(super) fn take_events(&mut self) {
        while self.phase != Phase::Done {
            match self.wire.next_event(&mut self.input, &mut self.out) {
                Ok(Some(event)) => self.take_event(event),
                Ok(None) => return,
                Err(violation) => return self.protocol_failed(code::VIOLATION, &violation.to_string()),
            }
        }
    }

    fn take_event(&mut self, event: Event) {
        if self.phase != Phase::Open {
            return;
        }
        match event {
            Event::Request { id, keep_conn, role: Role::Responder, params } => self.begin(id, keep_conn, params),
            Event::Refused { id, refusal } => self.refuse(id, refused(refusal), false),
            Event::Body { id, chunk } => self.take_body(id, chunk),
            Event::BodyEnd { id } => self.end_body(id, inbox::Inbox::finish),
            Event::BodyCut { id } => self.end_body(id, inbox::Inbox::cut),
            Event::Aborted { id } => {
                if let Some(slot) = self.exchanges.remove(id) {
                    slot.inbox.fail(BodyError::Departed);
                }
                self.wire.respond(id, ResponsePart::End, &mut self.out);
            }
        }
    }

    fn begin(&mut self, id: RequestId, keep_conn: bool, params: Params) {
        let vars = CgiVars::from_spans(params.bytes, params.pairs);
        let head_request = vars.get("REQUEST_METHOD") == Some(b"HEAD");
        if self.gateway == Gateway::Cgi
            && let Err(failure) = check_environment(&vars, &self.shared.limits)
        {
            return self.refuse(id, failure, head_request);
        }
        let profile = choose_profile(self.gateway, self.shared.ownership, &vars, keep_conn);
        let context = Context { program: self.shared.program.as_deref(), profile };
        let (parts, meta) = match parts_from_vars(&vars, &context) {
            Ok(mapped) => mapped,
            Err(error) => return self.refuse(id, not_a_request(&error), head_request),
        };
        let limits = &self.shared.limits;
        let too_large = limits.body_bytes.zip(meta.content_length).is_some_and(|(limit, length)| length > limit);
        if too_large {
            let sentence = "the declared length of the request body is over the limit";
            return self.refuse(id, Failure { status: StatusCode::PAYLOAD_TOO_LARGE, code: code::BODY_TOO_LARGE, sentence }, head_request);
        }
        let permit = Permit::take(&self.shared).filter(|_| !self.close_when_idle);
        let Some(permit) = permit else {
            return self.refuse(id, refused(Refusal::TooManyRequests), head_request);
        };
        let expected = Expected { length: meta.content_length, none: meta.no_body, limit: limits.body_bytes };
        let (inbox, incoming) = inbox::channel(limits.body_window, expected);
        let timeout = limits.request_timeout.min(profile.request_timeout_max.unwrap_or(Duration::MAX));
        let mut request = Request::from_parts(parts, Body::incoming(incoming, limits.body_bytes));
        let Ok(app) = log::guard(|| self.app.clone()) else {
            let sentence = "the app panicked when it was cloned";
            return self.refuse(id, Failure { status: StatusCode::INTERNAL_SERVER_ERROR, code: code::APP_PANICKED, sentence }, head_request);
        };
        self.timers.pause_over();
        let body_follows = !meta.no_body;
        let exchange = ext::Exchange::new(vars, self.gateway, profile, meta);
        insert_extensions(&mut request, exchange);
        let now = Instant::now();
        self.exchanges.add(Slot {
            id,
            exchange: Exchange::new(app, request, profile, body_follows, false),
            inbox,
            profile,
            keep_conn,
            heard: now,
            deadline: Some(now + timeout),
            timeout,
            _permit: permit,
            own_waker: None,
            over: false,
        });
    }

    /// Answers in the place of a handler that is never called.
    pub(super) fn refuse(&mut self, id: RequestId, failure: Failure, head_request: bool) {
        if self.refused_unread > REFUSED_BACKLOG {
            return self.protocol_failed(code::VIOLATION, "more requests were refused than their answers were read");
        }
        let ((), lines) = logged::<W, _>(|| tracing::warn!(target: "lodger", "{}: {}", failure.code, failure.sentence));
        self.send_log(id, lines, &profile::UNKNOWN);
        let (head, page) = Head::of_error(failure.status, failure.code.as_str(), head_request);
        let (block, head_len) = head.block(&page, &profile::UNKNOWN);
        self.refused_unread += block.len();
        self.wire.respond(id, ResponsePart::Head { block, head_len }, &mut self.out);
        self.wire.respond(id, ResponsePart::End, &mut self.out);
    }

    fn take_body(&mut self, id: RequestId, chunk: bytes::Bytes) {
        let Some(slot) = self.exchanges.get_mut(id) else { return };
        // A body on its way shows that somebody is still there: the time of the handler starts again.
        slot.heard = Instant::now();
        slot.deadline = slot.deadline.map(|_| slot.heard + slot.timeout);
        if slot.inbox.push(chunk).is_err() {
            slot.inbox.fail(BodyError::NoRoom);
            let sentence = "the request body had to wait on disk, and could not be written there";
            self.fail(id, Failure { status: StatusCode::INSUFFICIENT_STORAGE, code: code::NO_ROOM_FOR_BODY, sentence });
        }
    }

    fn end_body(&mut self, id: RequestId, end: impl FnOnce(&inbox::Inbox) -> Result<(), BodyError>) {
        let Some(slot) = self.exchanges.get_mut(id) else { return };
        slot.exchange.upload_ended();
        slot.poll_again();
        if end(&slot.inbox).is_err() && slot.exchange.is_undecided() {
            let sentence = "the request body is shorter than its declared length";
            self.fail(id, Failure { status: StatusCode::BAD_REQUEST, code: code::BODY_CUT, sentence });
        }
    }
}

/// FastCGI checks these while it reads; an environment is there all at once.
fn check_environment(vars: &CgiVars, limits: &Limits) -> Result<(), Failure> {
    if vars.len() > limits.params_pairs || vars.byte_len() > limits.params_bytes {
        return Err(refused(Refusal::ParamsTooLarge));
    }
    cgi_body(vars).map(drop).map_err(|error| not_a_request(&error))
}

fn insert_extensions(request: &mut Request<Body>, exchange: ext::Exchange) {
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

fn not_a_request(error: &VarError) -> Failure {
    let (status, sentence) = match error {
        VarError::UriTooLong => (StatusCode::URI_TOO_LONG, "the target of the request is longer than 65,534 bytes"),
        VarError::Method => (StatusCode::BAD_REQUEST, "REQUEST_METHOD is missing or is no method"),
        VarError::Uri => (StatusCode::BAD_REQUEST, "the target of the request cannot be a URI"),
        VarError::Host => (StatusCode::BAD_REQUEST, "the Host header is no host, or there are two that differ"),
        VarError::ContentLength => (StatusCode::BAD_REQUEST, "CONTENT_LENGTH is no number"),
    };
    Failure { status, code: code::NOT_A_REQUEST, sentence }
}

fn refused(refusal: Refusal) -> Failure {
    let (status, code, sentence) = match refusal {
        Refusal::ParamsTooLarge => {
            (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, code::PARAMS_TOO_LARGE, "the variables of the request are larger than the limit")
        }
        Refusal::ParamsMalformed => (StatusCode::BAD_REQUEST, code::PARAMS_MALFORMED, "the variables of the request cannot be read"),
        Refusal::UnknownRole => (StatusCode::INTERNAL_SERVER_ERROR, code::UNKNOWN_ROLE, "the web server asked for a role that lodger does not play"),
        Refusal::LengthRequired => {
            (StatusCode::LENGTH_REQUIRED, code::NO_LENGTH, "the request has a body without a length, which this protocol cannot carry")
        }
        Refusal::TooManyRequests => (StatusCode::SERVICE_UNAVAILABLE, code::TOO_MANY_REQUESTS, "more requests are in work than the limit allows"),
    };
    Failure { status, code, sentence }
}
