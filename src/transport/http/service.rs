//! Requests of hyper become requests in work.

use super::{
    answer::{Answer, InWork, Place, refusal},
    common::{Ending, Handle},
    front::Front,
    upload::Upload,
};
use crate::{
    app::BoxApp,
    cgi::{CgiVars, http::parts_from_head},
    diagnostic::codes as code,
    gateway::{Gateway, http::HttpPeer},
    profile::Profile,
    proto::Role,
    transport::{
        Shared,
        admit::{Admitted, Candidate, Refused, admit},
        exchanges::Permit,
        failure::Failure,
        inbox::{self, Expected},
        timers::Alarm,
    },
};
use http::{Method, Request, StatusCode, Version, header, request::Parts};
use http_body::Body as _;
use hyper::{body::Incoming, upgrade::OnUpgrade};
use std::sync::Arc;

/// Where the requests of one connection come in.
pub(super) struct Entrance {
    common: Handle,
    app: BoxApp,
    shared: Arc<Shared>,
    front: Front,
}

impl Entrance {
    pub(super) fn new(common: Handle, front: Front, app: BoxApp, shared: Arc<Shared>) -> Self {
        Self { common, app, shared, front }
    }

    pub(super) fn common(&self) -> Handle {
        self.common.clone()
    }

    /// Begins a request.
    pub(super) fn answer(&self, request: Request<Incoming>) -> Answer {
        let (parts, incoming) = request.into_parts();
        let head_request = parts.method == Method::HEAD;
        let on_demand = parts.headers.get(header::EXPECT).is_some_and(|expect| expect.as_bytes().eq_ignore_ascii_case(b"100-continue"));
        let has_body = !incoming.is_end_stream();
        let profile = self.front.profile(|name| parts.headers.contains_key(name));
        let close = on_demand && has_body || self.shared.stop.is_cancelled();
        let last = close || !is_kept(&parts);
        self.common.lock().set_ending(if parts.version == Version::HTTP_10 { Ending::Close } else { Ending::Framed });
        match self.admit(parts, has_body, profile) {
            Ok(Admitted { exchange, inbox, permit, timeout }) => {
                self.common.lock().begin(inbox.filter(|_| has_body).map(|inbox| Upload::new(incoming, inbox, on_demand)), last);
                let place = self.place(Some(permit));
                Answer::InWork(Some(Box::new(InWork { exchange, place, timeout, alarm: Alarm::default() })))
            }
            Err(Refused { failure, accept }) => {
                let (inbox, _) = inbox::channel(0, Expected::default());
                self.common.lock().begin(has_body.then(|| Upload::new(incoming, inbox, on_demand)), last);
                Answer::Refused(Some(Box::new((refusal(failure, accept.as_ref(), head_request, close), self.place(None)))))
            }
        }
    }

    fn place(&self, permit: Option<Permit>) -> Place {
        Place { common: self.common.clone(), shared: Arc::clone(&self.shared), permit, complete: false }
    }

    fn admit(&self, mut parts: Parts, has_body: bool, profile: &'static Profile) -> Result<Admitted, Refused> {
        if self.shared.http.peer == HttpPeer::Passenger && parts.extensions.remove::<OnUpgrade>().is_some() && asks_for_websocket(&parts) {
            let sentence = "the request asks for a WebSocket, which Apache with Passenger does not pass on";
            return Err(Failure::new(StatusCode::BAD_REQUEST, code::NO_UPGRADE, sentence).into());
        }
        let upgrade = parts.extensions.get::<OnUpgrade>().is_some();
        let arrival = self.front.arrival(&self.shared, profile, has_body, upgrade);
        let (parts, meta) = parts_from_head(parts, &arrival).map_err(Failure::from)?;
        let vars = CgiVars::new();
        let candidate =
            Candidate { parts, meta, vars, gateway: Gateway::Http, profile, role: Role::Responder, body_ended: !has_body, upgrade, last_call: false };
        admit(&self.shared, &self.app, candidate)
    }
}

/// RFC 9112, 9.3: HTTP/1.1 keeps a connection unless somebody says `close`, HTTP/1.0 does where the client says `keep-alive`.
fn is_kept(parts: &Parts) -> bool {
    let says = |option: &[u8]| {
        let mut said = parts.headers.get_all(header::CONNECTION).into_iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
        said.any(|said| said.trim_ascii().eq_ignore_ascii_case(option))
    };
    if parts.version == Version::HTTP_10 { says(b"keep-alive") && !says(b"close") } else { !says(b"close") }
}

fn asks_for_websocket(parts: &Parts) -> bool {
    let protocols = parts.headers.get_all(header::UPGRADE).into_iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    protocols.into_iter().any(|protocol| protocol.trim_ascii().eq_ignore_ascii_case(b"websocket"))
}
