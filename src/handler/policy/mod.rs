//! What a request has to pass: addresses, the size of its body, rates, bytes, how many at one time; and how long it may take.
//!
//! Everything is counted in this process, exactly. Where a web server runs several processes, as mod_fcgid does, each counts for itself, so that as many times the limit can pass as
//! there are processes.

mod access;
mod bandwidth;
mod buckets;
mod notice;
mod pass;
mod rate;
pub(crate) mod time;

pub(crate) use pass::Pass;

use self::{access::Access, bandwidth::BandwidthLimit, notice::Notice, rate::RateLimit};
use crate::{
    body::Body,
    config::model::Policy,
    diagnostic::codes as code,
    ext::RequestExt as _,
    handler::{Answer, failure::Failure},
};
use http::{Request, StatusCode, header};
use http_body::Body as _;
use http_body_util::Limited;
use std::{sync::Arc, time::Duration};
use tokio::sync::Semaphore;

const BODY_TOO_LARGE: Failure = Failure::new(StatusCode::PAYLOAD_TOO_LARGE, code::BODY_TOO_LARGE);
const RATE: Failure = Failure::new(StatusCode::TOO_MANY_REQUESTS, code::RATE);
const BANDWIDTH: Failure = Failure::new(StatusCode::TOO_MANY_REQUESTS, code::BANDWIDTH);
const CONCURRENCY: Failure = Failure::new(StatusCode::SERVICE_UNAVAILABLE, code::CONCURRENCY);

/// When to come back where too many are in work: nobody knows when the first of them is done, and a second is the least that the header can say.
const SOON: Duration = Duration::from_secs(1);

/// What stands in the way of the requests of a site, or of a route. Its clones count together.
#[derive(Debug, Clone)]
pub(crate) struct Gate(Option<Arc<Limits>>);

#[derive(Debug)]
struct Limits {
    access: Option<Access>,
    max_body: Option<u64>,
    rate: Option<RateLimit>,
    bandwidth: Option<BandwidthLimit>,
    concurrency: Option<Arc<Semaphore>>,
    notice: Notice,
}

impl Gate {
    /// A gate that nobody has passed yet. The timeout of the policy is not its business: see [`time::in_time`].
    pub(crate) fn new(policy: &Policy) -> Self {
        let limits = Limits {
            access: Access::new(policy),
            max_body: policy.max_body,
            rate: policy.rate.as_ref().map(RateLimit::new),
            bandwidth: policy.bandwidth.as_ref().map(BandwidthLimit::new),
            concurrency: policy.max_concurrent.map(|most| Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS)))),
            notice: Notice::default(),
        };
        let open = limits.access.is_none()
            && limits.max_body.is_none()
            && limits.rate.is_none()
            && limits.bandwidth.is_none()
            && limits.concurrency.is_none();
        Self((!open).then(|| Arc::new(limits)))
    }

    /// Lets a request in, or says what it is answered with. Its body breaks off with a [`LengthLimitError`](http_body_util::LengthLimitError) where it is longer than `max-body`.
    ///
    /// A request that is refused takes nothing from the limits that would have been asked after the one that refused it. One that is refused for debt or because too many are in
    /// work has spent its part of the rate: it did come, and whoever hammers at a busy site is to meet the rate.
    #[expect(clippy::result_large_err, reason = "the other side is larger: it is the request")]
    pub(crate) fn enter(&self, request: Request<Body>) -> Result<(Request<Body>, Pass), Answer> {
        let Some(limits) = &self.0 else { return Ok((request, Pass::default())) };
        let address = request.remote_addr().map(|address| address.ip());
        if limits.access.as_ref().is_some_and(|access| !access.admits(address)) {
            return Err(Failure::FORBIDDEN.answer());
        }
        if limits.max_body.is_some_and(|most| declared_length(&request) > most) {
            limits.notice.refused(code::BODY_TOO_LARGE, "the declared length of a request body is over `max-body`");
            return Err(BODY_TOO_LARGE.answer());
        }
        if let Some(Err(wait)) = limits.rate.as_ref().map(|rate| rate.take(address)) {
            limits.notice.refused(code::RATE, "more requests came than `rate` allows");
            return Err(RATE.answer_later(wait));
        }
        let bill = limits.bandwidth.as_ref().map(|bandwidth| bandwidth.begin(address)).transpose().map_err(|wait| {
            limits.notice.refused(code::BANDWIDTH, "more bytes were sent than `bandwidth` allows");
            BANDWIDTH.answer_later(wait)
        })?;
        let permit = limits.concurrency.as_ref().map(|permits| Arc::clone(permits).try_acquire_owned()).transpose().map_err(|_| {
            limits.notice.refused(code::CONCURRENCY, "more requests are in work than `max-concurrent` allows");
            CONCURRENCY.answer_later(SOON)
        })?;
        Ok((limits.cut_body(request), Pass::new(permit, bill)))
    }
}

impl Limits {
    /// A declared length is advice: what comes is counted too.
    fn cut_body(&self, request: Request<Body>) -> Request<Body> {
        match self.max_body {
            Some(most) if !request.body().is_end_stream() => {
                request.map(|body| Body::new(Limited::new(body, usize::try_from(most).unwrap_or(usize::MAX))))
            }
            _ => request,
        }
    }
}

/// How many bytes the request says that it brings, or is known to; 0 where nobody knows.
fn declared_length(request: &Request<Body>) -> u64 {
    let said = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    request.body().size_hint().lower().max(said.unwrap_or(0))
}

#[cfg(test)]
mod tests;
