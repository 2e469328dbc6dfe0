//! Cross-origin resource sharing, as the Fetch standard has it: which other sites' scripts may ask and read.

use super::vary;
use crate::{
    body::Body,
    config::model,
    handler::{Answer, empty},
};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};

/// Whose scripts may ask, and what they are told, ready to be sent.
#[derive(Debug)]
pub(super) struct Cors {
    /// None: everybody's.
    origins: Option<Vec<HeaderValue>>,
    credentials: bool,
    methods: Option<HeaderValue>,
    headers: Option<HeaderValue>,
    expose: Option<HeaderValue>,
    max_age: Option<HeaderValue>,
}

/// What `Access-Control-Allow-Origin` says to the one who asks.
#[derive(Debug, Clone)]
pub(super) struct Allowed(HeaderValue);

impl Cors {
    pub(super) fn new(cors: &model::Cors) -> Self {
        let anybody = cors.origins.iter().any(|origin| origin == "*");
        Self {
            origins: (!anybody).then(|| cors.origins.iter().filter_map(|origin| origin.parse().ok()).collect()),
            // No browser heeds credentials beside `*`, and to send back every origin instead would open what needs a login to every page on the Web.
            credentials: cors.credentials && !anybody,
            methods: list(cors.methods.iter().map(Method::as_str)),
            headers: list(cors.headers.iter().map(header::HeaderName::as_str)),
            expose: list(cors.expose.iter().map(header::HeaderName::as_str)),
            max_age: cors.max_age.map(|age| age.as_secs().into()),
        }
    }

    /// The answer to a browser that asks before it sends the request of a script. One from elsewhere is answered too, with nothing in it that would let the browser go on.
    pub(super) fn preflight(&self, request: &Request<Body>) -> Option<Answer> {
        let asked = |name| request.headers().contains_key(name);
        if request.method() != Method::OPTIONS || !asked(header::ORIGIN) || !asked(header::ACCESS_CONTROL_REQUEST_METHOD) {
            return None;
        }
        let mut answer = empty(StatusCode::NO_CONTENT);
        let headers = answer.headers_mut();
        if let Some(allowed) = self.allowed(request.headers()) {
            let said = [
                (header::ACCESS_CONTROL_ALLOW_METHODS, &self.methods),
                (header::ACCESS_CONTROL_ALLOW_HEADERS, &self.headers),
                (header::ACCESS_CONTROL_MAX_AGE, &self.max_age),
            ];
            self.admit(allowed, headers);
            headers.extend(said.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))));
        }
        self.vary(headers);
        Some(answer)
    }

    /// Whether a request comes from where it may, and what it is told then.
    pub(super) fn allowed(&self, headers: &HeaderMap) -> Option<Allowed> {
        let origin = headers.get(header::ORIGIN)?;
        match &self.origins {
            None => Some(Allowed(HeaderValue::from_static("*"))),
            Some(origins) => origins.contains(origin).then(|| Allowed(origin.clone())),
        }
    }

    /// Says who may read a response, in the place of what the handler says.
    pub(super) fn tell(&self, allowed: Option<Allowed>, headers: &mut HeaderMap) {
        for name in [header::ACCESS_CONTROL_ALLOW_ORIGIN, header::ACCESS_CONTROL_ALLOW_CREDENTIALS, header::ACCESS_CONTROL_EXPOSE_HEADERS] {
            headers.remove(name);
        }
        if let Some(allowed) = allowed {
            self.admit(allowed, headers);
            headers.extend(self.expose.clone().map(|expose| (header::ACCESS_CONTROL_EXPOSE_HEADERS, expose)));
        }
        self.vary(headers);
    }

    fn admit(&self, Allowed(origin): Allowed, headers: &mut HeaderMap) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        if self.credentials {
            headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
    }

    /// What differs from origin to origin says so even to who sent none: a cache may keep it for somebody who does.
    fn vary(&self, headers: &mut HeaderMap) {
        if self.origins.is_some() {
            vary(headers, "Origin");
        }
    }
}

/// None for an empty list, which is told by saying nothing.
fn list<'a>(items: impl Iterator<Item = &'a str>) -> Option<HeaderValue> {
    let list = items.collect::<Vec<_>>().join(", ");
    if list.is_empty() { None } else { list.parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::model::Layers,
        handler::{full, layers::Around},
    };
    use std::{sync::Arc, time::Duration};

    fn around(origins: &[&str], credentials: bool) -> Around {
        let cors = model::Cors {
            origins: origins.iter().map(|&origin| origin.to_owned()).collect(),
            methods: vec![Method::GET, Method::PUT],
            headers: vec![header::CONTENT_TYPE, header::AUTHORIZATION],
            expose: vec![header::ETAG, header::LINK],
            credentials,
            max_age: Some(Duration::from_secs(600)),
        };
        Around::new(&Layers { cors: Some(Arc::new(cors)), ..Layers::default() })
    }

    fn request(method: &str, headers: &[(&'static str, &'static str)]) -> Request<Body> {
        let mut request = Request::builder().method(method);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(Body::empty()).unwrap()
    }

    /// The headers of an answer in one line, sorted.
    fn told(answer: &Answer) -> String {
        let mut lines: Vec<_> = answer.headers().iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
        lines.sort();
        lines.join("; ").replace("access-control-", "")
    }

    const HERE: (&str, &str) = ("origin", "https://example.org");
    const ELSEWHERE: (&str, &str) = ("origin", "https://example.com");
    const ASKS: (&str, &str) = ("access-control-request-method", "PUT");
    const MAY: &str = "allow-headers: content-type, authorization; allow-methods: GET, PUT";

    #[test]
    fn a_preflight_is_answered_without_the_handler() {
        let listed: &[&str] = &["https://example.com:8443", "https://example.org"];
        let cases = [
            (listed, true, HERE, format!("allow-credentials: true; {MAY}; allow-origin: https://example.org; max-age: 600; vary: Origin")),
            (listed, false, HERE, format!("{MAY}; allow-origin: https://example.org; max-age: 600; vary: Origin")),
            (listed, true, ELSEWHERE, "vary: Origin".to_owned()),
            (listed, true, ("origin", "null"), "vary: Origin".to_owned()),
            (listed, true, ("origin", "https://example.com:8443.example.net"), "vary: Origin".to_owned()),
            (listed, true, ("origin", "http://example.org"), "vary: Origin".to_owned()),
            (&["*"], false, ELSEWHERE, format!("{MAY}; allow-origin: *; max-age: 600")),
            (&["*"], true, ELSEWHERE, format!("{MAY}; allow-origin: *; max-age: 600")),
            (&[], false, HERE, "vary: Origin".to_owned()),
        ];
        for (origins, credentials, origin, expected) in cases {
            let answer = around(origins, credentials).before(&request("OPTIONS", &[origin, ASKS])).expect_err("answered at once");
            assert_eq!((answer.status(), told(&answer)), (StatusCode::NO_CONTENT, expected), "{origins:?} {origin:?}");
        }
    }

    #[test]
    fn only_a_preflight_is_answered_so() {
        for (method, headers) in [("OPTIONS", vec![HERE]), ("OPTIONS", vec![ASKS]), ("GET", vec![HERE, ASKS]), ("OPTIONS", vec![])] {
            assert!(around(&["*"], false).before(&request(method, &headers)).is_ok(), "{method} {headers:?}");
        }
    }

    #[test]
    fn a_response_says_who_may_read_it() {
        let listed: &[&str] = &["https://example.org"];
        let cases = [
            (
                listed,
                true,
                Some(HERE),
                "allow-credentials: true; allow-origin: https://example.org; expose-headers: etag, link; vary: Accept; vary: Origin",
            ),
            (listed, false, Some(HERE), "allow-origin: https://example.org; expose-headers: etag, link; vary: Accept; vary: Origin"),
            (listed, true, Some(ELSEWHERE), "vary: Accept; vary: Origin"),
            (listed, true, None, "vary: Accept; vary: Origin"),
            (&["*"], true, Some(ELSEWHERE), "allow-origin: *; expose-headers: etag, link; vary: Accept"),
            (&["*"], false, None, "vary: Accept"),
        ];
        for (origins, credentials, origin, expected) in cases {
            let around = around(origins, credentials);
            let before = around.before(&request("GET", &Vec::from_iter(origin))).unwrap();
            let mut answer = Answer::new(full("body"));
            answer.headers_mut().insert("vary", HeaderValue::from_static("Accept"));
            assert_eq!(told(&around.after(before, answer)), expected, "{origins:?} {origin:?}");
        }
    }

    #[test]
    fn what_the_site_says_holds_and_not_what_an_app_says() {
        let around = around(&["https://example.org"], false);
        let before = around.before(&request("GET", &[ELSEWHERE])).unwrap();
        let mut answer = empty(StatusCode::OK);
        answer.headers_mut().insert("access-control-allow-origin", HeaderValue::from_static("*"));
        answer.headers_mut().insert("access-control-allow-credentials", HeaderValue::from_static("true"));
        assert_eq!(told(&around.after(before, answer)), "vary: Origin");
    }
}
