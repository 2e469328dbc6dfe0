//! `proxy`: another HTTP server, over TCP or a Unix socket.
//!
//! hyper's client does the talking and keeps the connections; around it stand what a proxy owes both ends (`head`, `hop`, `forwarded`, `body`) and what it knows of the upstream (`health`).

mod body;
mod connector;
mod forwarded;
mod head;
mod hop;
mod problem;
mod upgrade;

use super::{
    Answer, Answering,
    failure::Failure,
    upstream::{self, health::Health},
};
use crate::{
    app::ResponseBody,
    body::Body,
    config::{address::Network, model},
    diagnostic::codes as code,
    error::BoxError,
};
use body::{Outgoing, Returned};
use connector::Connector;
use head::Rules;
use http::{Method, Request, Response, StatusCode, request::Parts};
use http_body::Body as _;
use hyper::{body::Incoming, upgrade::OnUpgrade};
use hyper_util::{
    client::legacy::{self, Client},
    rt::{TokioExecutor, TokioTimer},
};
use problem::Problem;
use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tower_service::Service;
use upgrade::Wish;

/// How long a connection is kept for the next request. Servers close idle ones after 5 s (Node.js, hypercorn) to 75 s (nginx); one that has been closed is noticed and not used.
const KEPT_FOR: Duration = Duration::from_secs(30);

/// How many connections are kept. Each holds a descriptor on both sides and 8 KiB, and a site rarely has more requests at one time.
const KEPT: usize = 16;

/// The most that hyper reads ahead of the visitor, and the largest head of a response. No web server takes a larger one from us.
const BUFFER: usize = 64 * 1024;

/// Passes requests on to another server, and its responses back.
#[derive(Debug, Clone)]
pub(crate) struct Proxy(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// As the log names it.
    upstream: String,
    rules: Rules,
    retries: u32,
    websocket: bool,
    health: Arc<Health>,
    client: Client<Connector, Outgoing>,
}

impl Proxy {
    /// `trusted`: whose `X-Forwarded-*` are passed on instead of replaced.
    pub(crate) fn new(settings: model::Proxy, trusted: Arc<[Network]>) -> Self {
        let rules = Rules::new(&settings, trusted);
        let model::Proxy { upstream, connect_timeout, retries, fail_for, websocket, .. } = settings;
        let health = Arc::new(Health::new(fail_for));
        let name = upstream::name(&upstream);
        // A kept connection that turns out to be closed before any of a request went out is replaced by another, which is hyper's `retry_canceled_requests`.
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(KEPT_FOR)
            .pool_max_idle_per_host(KEPT)
            .http1_max_buf_size(BUFFER)
            .build(Connector::new(upstream, connect_timeout, Arc::clone(&health)));
        Self(Arc::new(Inner { upstream: name, rules, retries, websocket, health, client }))
    }
}

impl Service<Request<Body>> for Proxy {
    type Response = Answer;
    type Error = BoxError;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Answering {
        let inner = Arc::clone(&self.0);
        Box::pin(async move { Ok(inner.answer(request).await.unwrap_or_else(|refused| *refused)) })
    }
}

impl Inner {
    /// The answer of the upstream, or what is answered in its place.
    async fn answer(&self, request: Request<Body>) -> Result<Answer, Box<Answer>> {
        let (mut parts, body) = request.into_parts();
        if parts.method == Method::CONNECT {
            // It asks for a tunnel to wherever the visitor likes.
            return refuse(Failure { status: StatusCode::METHOD_NOT_ALLOWED, code: None });
        }
        let body = Outgoing::new(body, &parts.headers);
        let visitor = self.visitor_of_websocket(&mut parts, &body)?;
        let mut head = match self.rules.outgoing(&parts, &body) {
            Ok(head) => head,
            Err(failure) => return refuse(failure),
        };
        if visitor.is_some() {
            upgrade::ask(&mut head.headers);
        }
        if let Err(wait) = self.health.may_ask() {
            let failure = Failure::new(StatusCode::SERVICE_UNAVAILABLE, code::UPSTREAM_UNREACHABLE);
            return Err(Box::new(failure.answer_later(wait)));
        }
        match self.send(head, body).await {
            Ok(response) => Ok(self.returned(response, visitor)),
            Err(error) => {
                let problem = Problem::of(&error);
                problem.tell(&self.upstream, &error);
                if problem == Problem::Unreachable {
                    self.health.fails();
                }
                refuse(problem.failure())
            }
        }
    }

    fn visitor_of_websocket(&self, parts: &mut Parts, body: &Outgoing) -> Result<Option<OnUpgrade>, Box<Answer>> {
        match upgrade::wish(parts, !body.is_end_stream()) {
            Wish::WebSocket(visitor) if self.websocket => Ok(Some(visitor)),
            Wish::Impossible if self.websocket => {
                tracing::warn!(target: "lodger", "{}: a WebSocket was asked for in a way that cannot become one", code::NO_UPGRADE);
                refuse(Failure::new(StatusCode::BAD_REQUEST, code::NO_UPGRADE))
            }
            _ => Ok(None),
        }
    }

    /// Sends the request, more than once where that does no harm.
    async fn send(&self, head: Parts, body: Outgoing) -> Result<Response<Incoming>, legacy::Error> {
        // RFC 9110, 9.2.2: a request of such a method may be repeated "if a communication failure occurs before the client is able to read the server's response".
        if head.method.is_idempotent() && body.is_end_stream() {
            for _ in 0..self.retries {
                match self.send_once(head.clone(), Outgoing::default()).await {
                    Err(error) if Problem::of(&error).may_pass() => {}
                    outcome => return outcome,
                }
            }
        }
        self.send_once(head, body).await
    }

    async fn send_once(&self, head: Parts, body: Outgoing) -> Result<Response<Incoming>, legacy::Error> {
        let response = self.client.request(Request::from_parts(head, body)).await?;
        self.health.answers();
        Ok(response)
    }

    fn returned(&self, response: Response<Incoming>, visitor: Option<OnUpgrade>) -> Answer {
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return visitor.and_then(|visitor| upgrade::accept(visitor, response)).unwrap_or_else(|| {
                let upstream = &self.upstream;
                tracing::warn!(target: "lodger", "{}: {upstream} switched to a protocol that nobody asked for", code::UPSTREAM_BROKE);
                Problem::Broke.failure().answer()
            });
        }
        // Neither the version nor what hyper says in extensions means anything on the other side.
        let (parts, body) = response.into_parts();
        let headers = head::returned(&parts.headers, &body);
        let mut answer = Response::new(ResponseBody::new(Returned(body)));
        *answer.status_mut() = parts.status;
        *answer.headers_mut() = headers;
        answer
    }
}

/// What is answered in the place of the upstream.
fn refuse<T>(failure: Failure) -> Result<T, Box<Answer>> {
    Err(Box::new(failure.answer()))
}

#[cfg(test)]
#[path = "proxy_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "websocket_tests.rs"]
mod websocket_tests;
