//! What stands around a handler: CORS, headers, caching, compression.

mod coding;
mod compress;
mod cors;

use self::cors::{Allowed, Cors};
use crate::{
    body::Body,
    config::model::{Layers, NOT_OURS},
    handler::Answer,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header};
use std::sync::Arc;

/// What stands around the handlers of a route.
#[derive(Debug, Clone)]
pub(crate) struct Around(Option<Arc<Inner>>);

#[derive(Debug)]
struct Inner {
    cors: Option<Cors>,
    headers: Vec<(HeaderName, Option<HeaderValue>)>,
    cache: Option<HeaderValue>,
    compress: bool,
}

/// What has to be known of a request when it is answered.
#[derive(Debug, Clone, Default)]
pub(crate) struct Before {
    head: bool,
    gzip: bool,
    allowed: Option<Allowed>,
}

impl Around {
    /// Of the layers of a route those that change responses: `cors`, `headers`, `cache` and `compress`.
    pub(crate) fn new(layers: &Layers) -> Self {
        let headers = layers.headers.iter().filter(|(name, _)| !NOT_OURS.contains(&name.as_str())).cloned().collect();
        let cache = layers.cache.clone().map(|cache| if layers.auth.is_some() { private(&cache) } else { cache });
        let inner = Inner { cors: layers.cors.as_deref().map(Cors::new), headers, cache, compress: layers.compress };
        let idle = inner.cors.is_none() && inner.headers.is_empty() && inner.cache.is_none() && !inner.compress;
        Self((!idle).then(|| Arc::new(inner)))
    }

    /// What [`after`](Self::after) wants to know of a request; or the answer to it, whole, where a browser asks whether a script of another site may send one. Browsers ask
    /// without saying who the visitor is, so this comes before anybody is asked to log in.
    #[expect(clippy::result_large_err, reason = "it is what every handler answers with")]
    pub(crate) fn before(&self, request: &Request<Body>) -> Result<Before, Answer> {
        let Some(inner) = &self.0 else { return Ok(Before::default()) };
        if let Some(answer) = inner.cors.as_ref().and_then(|cors| cors.preflight(request)) {
            return Err(answer);
        }
        Ok(Before {
            head: request.method() == Method::HEAD,
            gzip: inner.compress && coding::takes_gzip(request.headers()),
            allowed: inner.cors.as_ref().and_then(|cors| cors.allowed(request.headers())),
        })
    }

    /// Changes the answer to the request that `before` tells of. An error is to go through here too: a script of another site could not read it otherwise.
    pub(crate) fn after(&self, before: Before, mut answer: Answer) -> Answer {
        let Some(inner) = &self.0 else { return answer };
        // Compression heeds what these say of type and encoding.
        for (name, value) in &inner.headers {
            match value {
                Some(value) => drop(answer.headers_mut().insert(name, value.clone())),
                None => drop(answer.headers_mut().remove(name)),
            }
        }
        if let Some(cache) = &inner.cache
            && matches!(
                answer.status(),
                StatusCode::OK | StatusCode::NON_AUTHORITATIVE_INFORMATION | StatusCode::PARTIAL_CONTENT | StatusCode::NOT_MODIFIED
            )
        {
            answer.headers_mut().entry(header::CACHE_CONTROL).or_insert_with(|| cache.clone());
        }
        if inner.compress {
            answer = compress::compress(before.gzip, before.head, answer);
        }
        if let Some(cors) = &inner.cors {
            cors.tell(before.allowed, answer.headers_mut());
        }
        answer
    }
}

/// A `Cache-Control` for pages behind a lock: RFC 9111, 3.5 lets shared caches keep even those that were asked for with a password when it says `public`.
fn private(cache: &HeaderValue) -> HeaderValue {
    let said = cache.to_str().unwrap_or_default().split(',').map(str::trim);
    let kept: Vec<&str> = said.filter(|directive| !directive.eq_ignore_ascii_case("public") && !directive.starts_with("s-maxage")).collect();
    let says = |wanted: &str| kept.iter().any(|directive| directive.eq_ignore_ascii_case(wanted));
    let first = if says("private") || says("no-store") { None } else { Some("private") };
    let all: Vec<&str> = first.into_iter().chain(kept.iter().copied()).collect();
    HeaderValue::from_str(&all.join(", ")).unwrap_or(HeaderValue::from_static("private"))
}

/// Adds a name to `Vary` where it does not stand there yet.
fn vary(headers: &mut HeaderMap, name: &'static str) {
    let listed = |value: &HeaderValue| {
        value.to_str().is_ok_and(|list| list.split(',').any(|item| matches!(item.trim(), "*") || item.trim().eq_ignore_ascii_case(name)))
    };
    if !headers.get_all(header::VARY).iter().any(listed) {
        headers.append(header::VARY, HeaderValue::from_static(name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handler::{empty, full};

    fn get() -> Request<Body> {
        Request::default()
    }

    fn answered(around: &Around, answer: Answer) -> Answer {
        around.after(around.before(&get()).unwrap(), answer)
    }

    fn headers(answer: &Answer) -> Vec<(&str, &str)> {
        answer.headers().iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect()
    }

    #[test]
    fn without_layers_an_answer_stays_as_it_is() {
        let around = Around::new(&Layers::default());
        assert!(around.0.is_none());
        assert_eq!(headers(&answered(&around, Answer::new(full("body")))), []);
    }

    #[test]
    fn headers_are_set_replaced_and_taken_away_but_never_those_of_the_connection() {
        let set = |name: &'static str, value: Option<&'static str>| (HeaderName::from_static(name), value.map(HeaderValue::from_static));
        let rules = vec![
            set("x-frame-options", Some("DENY")),
            set("server", None),
            set("content-length", Some("7")),
            set("content-length", None),
            set("transfer-encoding", Some("chunked")),
            set("connection", Some("close")),
            set("status", Some("200")),
        ];
        let around = Around::new(&Layers { headers: rules, ..Layers::default() });
        let mut answer = empty(StatusCode::OK);
        for (name, value) in [("server", "app"), ("x-frame-options", "SAMEORIGIN"), ("content-length", "0")] {
            answer.headers_mut().append(name, HeaderValue::from_static(value));
        }
        let answer = answered(&around, answer);
        let mut left = headers(&answer);
        left.sort_unstable();
        assert_eq!(left, [("content-length", "0"), ("x-frame-options", "DENY")]);
    }

    #[test]
    fn what_may_be_kept_says_for_how_long_unless_the_handler_did() {
        let around = Around::new(&Layers { cache: Some(HeaderValue::from_static("max-age=60")), ..Layers::default() });
        for status in [200, 203, 206, 304, 201, 204, 302, 404, 500] {
            let answer = answered(&around, empty(StatusCode::from_u16(status).unwrap()));
            let expected = matches!(status, 200 | 203 | 206 | 304).then_some("max-age=60");
            assert_eq!(answer.headers().get("cache-control").map(|value| value.to_str().unwrap()), expected, "{status}");
        }
        let mut private = empty(StatusCode::OK);
        private.headers_mut().insert("cache-control", HeaderValue::from_static("no-store"));
        assert_eq!(headers(&answered(&around, private)), [("cache-control", "no-store")]);
    }

    #[test]
    fn vary_is_added_to_and_never_replaced_nor_doubled() {
        for (there, expected) in
            [("", "Origin"), ("Accept", "Accept|Origin"), ("accept, origin", "accept, origin"), ("*", "*"), ("x-origin", "x-origin|Origin")]
        {
            let mut headers = HeaderMap::new();
            if !there.is_empty() {
                headers.insert(header::VARY, HeaderValue::from_static(there));
            }
            vary(&mut headers, "Origin");
            let all: Vec<_> = headers.get_all(header::VARY).iter().map(|value| value.to_str().unwrap()).collect();
            assert_eq!(all.join("|"), expected);
        }
    }
}
