//! From what the wire tells to requests in work: variables become an `http::Request`, body bytes find their inbox.

use super::{
    admit::{Candidate, Refused, admit},
    driver::{Driver, Phase},
    exchanges::Slot,
    failure::Failure,
    inbox::{self, BodyError, Expected},
    sending,
    socket::Link,
    spare,
};
use crate::{
    body::Body,
    cgi::{
        CgiVars,
        request::{self, Meta, cgi_body, parts_from_vars},
        response::Head,
    },
    diagnostic::codes as code,
    gateway::Gateway,
    limits::Limits,
    profile::{self, Profile},
    proto::{Event, Params, Refusal, RequestId, ResponsePart, Role, Violation, Wire},
    role::FilterData,
};
use http::{HeaderValue, Method, header, request::Parts};
use std::task::Context;

/// After how many of the requests that came with one read what there is to send leaves. A peer that has its first answers says what it wants next while the other requests are worked on: where
/// all answers left with one write, peer and process waited for each other by turns, and to fall asleep and wake was a fifth of a request.
pub(super) const ANSWERS_AT_ONCE: usize = 4;

/// Refusals that may wait to be read by the peer, in bytes.
const REFUSED_BACKLOG: usize = 256 * 1024;

impl<L: Link, W: Wire> Driver<L, W> {
    /// Takes every event that the input holds.
    ///
    /// A request that is here with all that belongs to it is worked on before the next is looked at: most are answered at once, and what one has used is in the cache for the next. So
    /// a handler may have run although an abort of its request stands behind it.
    pub(super) fn take_events(&mut self, cx: &mut Context<'_>) {
        // LSAPI has something to say before there is a response: that it has the request.
        self.out.lend(spare::output);
        self.take_all(cx);
        if self.out.is_empty() {
            spare::keep_output(self.out.release());
        }
    }

    fn take_all(&mut self, cx: &mut Context<'_>) {
        let (mut seen, mut requests) = (None, 0);
        while self.phase != Phase::Done {
            let event = match seen.take().unwrap_or_else(|| self.next_event()) {
                Ok(Some(event)) => event,
                Ok(None) => return,
                Err(violation) => return self.protocol_failed(code::VIOLATION, &violation.to_string()),
            };
            requests += usize::from(event.is_request());
            // Most requests have no body, which costs nothing when it is known before they begin.
            let mut body_ended = false;
            if let Event::Request { id, .. } = event {
                let next = self.next_event();
                body_ended = matches!(next, Ok(Some(Event::BodyEnd { id: ended })) if ended == id);
                if !body_ended {
                    seen = Some(next);
                }
            }
            self.take_event(event, body_ended, cx);
            if requests >= ANSWERS_AT_ONCE && (seen.is_some() || !self.input.is_empty()) {
                requests = 0;
                self.poll_output(cx);
            }
        }
    }

    fn next_event(&mut self) -> Result<Option<Event>, Violation> {
        self.wire.next_event(&mut self.input, &mut self.out)
    }

    fn take_event(&mut self, event: Event, body_ended: bool, cx: &mut Context<'_>) {
        if self.phase != Phase::Open {
            return;
        }
        match event {
            Event::Request { id, keep_conn, role, params } => self.begin(id, keep_conn, role, params, body_ended, cx),
            #[cfg(feature = "http")]
            Event::Head { id, head } => self.begin_head(id, head, cx),
            Event::Refused { id, refusal } => self.refuse(id, refusal.into(), None, false),
            Event::Body { id, chunk } => self.take_input(id, chunk, body_of),
            Event::BodyEnd { id } => self.end_input(id, body_of, inbox::Inbox::finish),
            Event::BodyCut { id } => self.end_input(id, body_of, inbox::Inbox::cut),
            Event::Data { id, chunk } => self.take_input(id, chunk, data_of),
            Event::DataEnd { id } => self.end_input(id, data_of, inbox::Inbox::finish),
            Event::DataCut { id } => self.end_input(id, data_of, inbox::Inbox::cut),
            Event::Aborted { id } => {
                if let Some(slot) = self.exchanges.remove(id) {
                    slot.fail_input(BodyError::Departed);
                }
                self.wire.respond(id, ResponsePart::End, &mut self.out);
            }
        }
    }

    fn begin(&mut self, id: RequestId, keep_conn: bool, role: Role, params: Params, body_ended: bool, cx: &mut Context<'_>) {
        let Params { bytes, pairs, headers } = params;
        let vars = CgiVars::from_parts(bytes, pairs, headers);
        let profile = self.profile_of(&vars, keep_conn);
        let (mut parts, mut meta) = match self.request_of(&vars, profile) {
            Ok(mapped) => mapped,
            Err(failure) => return self.refuse(id, failure, vars.get("HTTP_ACCEPT"), vars.get("REQUEST_METHOD") == Some(b"HEAD")),
        };
        let head_request = parts.method == Method::HEAD;
        if role == Role::Authorizer {
            put_whole_target(&mut parts, &mut meta);
        }
        let data = (role == Role::Filter).then(|| insert_data(&mut parts, &vars, &self.shared.limits));
        let (gateway, last_call) = (self.gateway, self.close_when_idle);
        let candidate = Candidate { parts, meta, vars, gateway, profile, role, body_ended, upgrade: false, last_call };
        match admit(&self.shared, &self.app, candidate) {
            Ok(admitted) => {
                let is_cut = body_ended && admitted.inbox.is_some();
                let is_whole = body_ended && admitted.inbox.is_none() && data.is_none();
                let slot = Slot::new(id, admitted, data, profile, keep_conn);
                if is_whole {
                    return self.work_on_whole(slot, cx);
                }
                self.work_on(slot);
                if is_cut {
                    self.end_input(id, body_of, inbox::Inbox::finish);
                }
            }
            Err(Refused { failure, accept }) => self.refuse(id, failure, accept.as_ref().map(HeaderValue::as_bytes), head_request),
        }
    }

    /// Takes a request among those in work.
    fn work_on(&mut self, slot: Slot) {
        self.timers.pause_over();
        self.exchanges.add(slot);
    }

    /// Works on a request that is here with all that belongs to it, and takes it among those in work if that was not all there is to do.
    ///
    /// It is polled with the waker of the connection: until that wakes there is no reason to poll it again, and it needs no waker of its own.
    pub(super) fn work_on_whole(&mut self, mut slot: Slot, cx: &mut Context<'_>) {
        self.timers.pause_over();
        (slot.polled, slot.just_polled) = (true, true);
        sending::poll(&mut slot, &mut self.wire, &mut self.out, cx);
        if !slot.over {
            self.exchanges.add(slot);
        }
    }

    /// What the web server needs. One connection comes from one server, so that its name is not looked for again once it was told.
    fn profile_of(&mut self, vars: &CgiVars, keep_conn: bool) -> &'static Profile {
        match self.profile.filter(|(kept, _)| *kept == keep_conn) {
            Some((_, profile)) => profile,
            None => {
                let profile = self.shared.profile_of(self.gateway, vars, keep_conn);
                // A place in the configuration may leave its name out that others tell, and they share connections.
                self.profile = Some((keep_conn, profile)).filter(|(_, profile)| !std::ptr::eq(*profile, &profile::UNKNOWN));
                profile
            }
        }
    }

    fn request_of(&self, vars: &CgiVars, profile: &'static Profile) -> Result<(Parts, Meta), Failure> {
        if self.gateway == Gateway::Cgi {
            check_environment(vars, &self.shared.limits)?;
        }
        let context = request::Context {
            program: self.shared.program.as_ref(),
            profile,
            trusted: self.shared.trusted.as_ref(),
            max_vars: self.shared.limits.params_pairs,
        };
        Ok(parts_from_vars(vars, &context)?)
    }

    /// Answers in the place of a handler that is never called.
    #[cold]
    pub(super) fn refuse(&mut self, id: RequestId, failure: Failure, accept: Option<&[u8]>, head_request: bool) {
        if self.refused_unread > REFUSED_BACKLOG {
            return self.protocol_failed(code::VIOLATION, "more requests were refused than their answers were read");
        }
        let tell = || tracing::warn!(target: "lodger", "{}: {}", failure.code, failure.sentence);
        sending::logged(&mut self.wire, &mut self.out, id, &profile::UNKNOWN, tell);
        let (head, page) = Head::of_error(failure.status, failure.code.as_str(), accept, head_request);
        self.refused_unread += sending::respond_head(&mut self.wire, &mut self.out, id, &head, &page, &profile::UNKNOWN);
        self.wire.respond(id, ResponsePart::End, &mut self.out);
    }

    fn take_input(&mut self, id: RequestId, chunk: bytes::Bytes, which: fn(&Slot) -> Option<&inbox::Inbox>) {
        let Some(slot) = self.exchanges.get_mut(id) else { return };
        // A body on its way shows that somebody is still there: the time of the handler starts again.
        slot.heard = None;
        if which(slot).is_some_and(|inbox| inbox.push(chunk).is_err()) {
            slot.fail_input(BodyError::NoRoom);
            self.fail(id, Failure::NO_ROOM_FOR_BODY);
        }
    }

    fn end_input(&mut self, id: RequestId, which: fn(&Slot) -> Option<&inbox::Inbox>, end: impl FnOnce(&inbox::Inbox) -> Result<(), BodyError>) {
        let Some(slot) = self.exchanges.get_mut(id) else { return };
        slot.exchange.upload_ended();
        slot.poll_again();
        if which(slot).is_some_and(|inbox| end(inbox).is_err()) && slot.exchange.is_undecided() {
            self.fail(id, Failure::BODY_CUT);
        }
    }
}

fn body_of(slot: &Slot) -> Option<&inbox::Inbox> {
    slot.inbox.as_ref()
}

fn data_of(slot: &Slot) -> Option<&inbox::Inbox> {
    slot.data.as_ref()
}

/// An Authorizer guards what the client asked for, wherever the web server found it, and gets no body whatever the client sends (specification 6.3).
fn put_whole_target(parts: &mut Parts, meta: &mut Meta) {
    parts.uri = meta.original_uri.clone();
    meta.mount.clear();
    for name in [header::CONTENT_LENGTH, header::TRANSFER_ENCODING] {
        parts.headers.remove(name);
    }
    (meta.content_length, meta.no_body) = (None, true);
}

/// Gives a Filter the way to its file. Specification 6.4: FCGI_DATA_LENGTH tells how many bytes the file has.
fn insert_data(parts: &mut Parts, vars: &CgiVars, limits: &Limits) -> inbox::Inbox {
    let length = vars.get("FCGI_DATA_LENGTH").and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
    let (inbox, incoming) = inbox::channel(limits.body_window, Expected { length, none: false, limit: limits.body_bytes });
    parts.extensions.insert(FilterData::new(Body::incoming(incoming, limits.body_bytes)));
    inbox
}

/// A wire checks these while it reads; an environment is there all at once.
fn check_environment(vars: &CgiVars, limits: &Limits) -> Result<(), Failure> {
    if vars.byte_len() > limits.params_bytes {
        return Err(Refusal::ParamsTooLarge.into());
    }
    Ok(cgi_body(vars).map(drop)?)
}
