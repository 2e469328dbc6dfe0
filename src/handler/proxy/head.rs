//! The heads of requests and responses as they pass through.

use super::{body::Outgoing, forwarded, hop};
use crate::{
    config::{address::Network, model},
    ext::RequestExt as _,
    handler::{Matched, failure::Failure},
};
use http::{
    HeaderMap, HeaderValue, Method, StatusCode, Uri, Version, header,
    request::Parts,
    uri::{Authority, PathAndQuery, Scheme},
};
use http_body::Body as _;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use std::net::Ipv6Addr;

/// What may not stand in a path as it is. A percent sign may: what follows a route's prefix is encoded where it has to be.
const NOT_IN_A_PATH: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'<').add(b'>').add(b'?').add(b'`').add(b'{').add(b'}');

/// What every request to one upstream has in common.
#[derive(Debug)]
pub(super) struct Rules {
    authority: Authority,
    base: Option<String>,
    host: Option<HeaderValue>,
    trusted: std::sync::Arc<[Network]>,
}

impl Rules {
    pub(super) fn new(settings: &model::Proxy, trusted: std::sync::Arc<[Network]>) -> Self {
        Self { authority: authority(&settings.upstream), base: settings.path.clone(), host: settings.host.clone(), trusted }
    }

    /// The head of the request to the upstream, in place of that of the visitor.
    ///
    /// # Errors
    ///
    /// When the path becomes longer than a path may be.
    pub(super) fn outgoing(&self, request: &Parts, body: &Outgoing) -> Result<Parts, Failure> {
        let mut head = http::Request::new(()).into_parts().0;
        head.method = request.method.clone();
        head.version = Version::HTTP_11;
        head.uri = self.uri(request)?;
        head.headers = self.headers(request, body);
        Ok(head)
    }

    fn uri(&self, request: &Parts) -> Result<Uri, Failure> {
        let too_long = Failure { status: StatusCode::URI_TOO_LONG, code: None };
        let own = request.uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
        let target = match &self.base {
            None => own,
            Some(base) => {
                let rest = request.extensions.get::<Matched>().map_or("/", |matched| &matched.rest);
                mapped(base, rest, &own).parse::<PathAndQuery>().map_err(|_| too_long)?
            }
        };
        Uri::builder().scheme(Scheme::HTTP).authority(self.authority.clone()).path_and_query(target).build().map_err(|_| too_long)
    }

    fn headers(&self, request: &Parts, body: &Outgoing) -> HeaderMap {
        let mut headers = hop::end_to_end(&request.headers);
        // `100 Continue` is for the web server to say, which may have said it.
        for name in [header::HOST, header::CONTENT_LENGTH, header::EXPECT] {
            headers.remove(name);
        }
        let asked = request.host().and_then(|host| HeaderValue::from_str(host).ok()).or_else(|| request.headers.get(header::HOST).cloned());
        forwarded::tell(&mut headers, request, asked.as_ref(), &self.trusted);
        if let Some(host) = self.host.clone().or(asked) {
            headers.insert(header::HOST, host);
        }
        if body.is_end_stream() {
            // RFC 9110, 8.6: "A user agent SHOULD send Content-Length in a request when the method defines a meaning for enclosed content", and some servers wait for one.
            if matches!(request.method, Method::POST | Method::PUT | Method::PATCH) {
                headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
            }
        } else if body.size_hint().exact().is_none() {
            // hyper would leave the body of a GET out unless it is told that there is one.
            headers.insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
        headers
    }
}

/// What stands before the path of each request, and in `Host` where a visitor names no host.
fn authority(upstream: &model::Upstream) -> Authority {
    let localhost = Authority::from_static("localhost");
    let model::Upstream::Tcp { host, port } = upstream else { return localhost };
    let named = if host.parse::<Ipv6Addr>().is_ok() { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    named.parse().unwrap_or(localhost)
}

/// `base` in the place of the route's prefix, with the query of the request.
fn mapped(base: &str, rest: &str, own: &PathAndQuery) -> String {
    // A route that is no prefix leaves nothing over: then the base is the whole path.
    let whole = rest == "/" && !own.path().ends_with('/');
    let (base, rest) = if whole { (base, "") } else { (base.strip_suffix('/').unwrap_or(base), rest) };
    let root = if base.starts_with('/') || rest.starts_with('/') && base.is_empty() { "" } else { "/" };
    let query = own.query().map(|query| format!("?{query}")).unwrap_or_default();
    format!("{root}{}{}{query}", utf8_percent_encode(base, NOT_IN_A_PATH), utf8_percent_encode(rest, NOT_IN_A_PATH))
}

/// The headers of a response as they go on.
pub(super) fn returned(headers: &HeaderMap, body: &impl http_body::Body) -> HeaderMap {
    let mut kept = hop::end_to_end(headers);
    if headers.contains_key(header::TRANSFER_ENCODING) {
        // RFC 9112, 6.3: "Transfer-Encoding overrides the Content-Length".
        kept.remove(header::CONTENT_LENGTH);
    } else if let (Some(length), false) = (body.size_hint().exact(), body.is_end_stream())
        && kept.contains_key(header::CONTENT_LENGTH)
    {
        // It may have come more than once, and is one number from here on.
        kept.insert(header::CONTENT_LENGTH, length.into());
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::Body;
    use std::{path::PathBuf, time::Duration};

    fn rules(upstream: model::Upstream, path: Option<&str>, host: Option<&'static str>) -> Rules {
        let settings = model::Proxy {
            upstream,
            path: path.map(str::to_owned),
            host: host.map(HeaderValue::from_static),
            connect_timeout: Duration::ZERO,
            retries: 0,
            fail_for: Duration::ZERO,
            websocket: false,
        };
        Rules::new(&settings, std::sync::Arc::default())
    }

    fn unix() -> model::Upstream {
        model::Upstream::Unix(PathBuf::from("/run/other.sock"))
    }

    fn tcp(host: &str) -> model::Upstream {
        model::Upstream::Tcp { host: host.to_owned(), port: 8080 }
    }

    fn head(rules: &Rules, request: http::Request<Body>) -> Parts {
        let (parts, body) = request.into_parts();
        let body = Outgoing::new(body, &parts.headers);
        rules.outgoing(&parts, &body).unwrap()
    }

    #[test]
    fn the_path_is_the_whole_one_or_what_follows_the_prefix() {
        for (base, target, rest, expected) in [
            (None, "/legacy/a%2Fb?q=1", "/a%2Fb", "/legacy/a%2Fb?q=1"),
            (None, "/", "/", "/"),
            (None, "*", "/", "*"),
            (Some("/"), "/legacy/a", "/a", "/a"),
            (Some(""), "/legacy/a", "/a", "/a"),
            (Some(""), "/legacy", "/", "/"),
            (Some("/app"), "/legacy/a", "/a", "/app/a"),
            (Some("/app/"), "/legacy/a", "/a", "/app/a"),
            (Some("app"), "/legacy/a", "/a", "/app/a"),
            (Some("/app"), "/legacy/", "/", "/app/"),
            (Some("/app/"), "/legacy/", "/", "/app/"),
            (Some("/app"), "/legacy", "/", "/app"),
            (Some("/app/"), "/legacy", "/", "/app/"),
            (Some("/app"), "/legacy/a?q=/../&r=%20", "/a", "/app/a?q=/../&r=%20"),
            (Some("/app"), "/legacy/a?", "/a", "/app/a?"),
            (Some("/app"), "/legacy/x", "/a%3Fb%2F..%2Fc", "/app/a%3Fb%2F..%2Fc"),
            (Some("/app"), "/legacy/x", "/a?b#c d\r\n", "/app/a%3Fb%23c%20d%0D%0A"),
            (Some("/app"), "/legacy/x", "/\u{e4}", "/app/%C3%A4"),
        ] {
            let mut request = http::Request::get(target).body(Body::empty()).unwrap();
            request.extensions_mut().insert(Matched { params: Vec::new(), rest: rest.to_owned() });
            let head = head(&rules(unix(), base, None), request);
            assert_eq!(head.uri.path_and_query().unwrap().as_str(), expected, "{base:?} {target} {rest}");
        }
    }

    #[test]
    fn a_target_that_names_a_server_does_not_choose_one() {
        let request = http::Request::get("https://evil.example:1/a").body(Body::empty()).unwrap();
        assert_eq!(head(&rules(tcp("127.0.0.1"), None, None), request).uri, "http://127.0.0.1:8080/a");
    }

    #[test]
    fn a_path_that_grows_too_long_is_refused() {
        let (mut parts, ()) = http::Request::get("/legacy/").body(()).unwrap().into_parts();
        parts.extensions.insert(Matched { params: Vec::new(), rest: format!("/{}", "a".repeat(66_000)) });
        let refused = rules(unix(), Some("/app"), None).outgoing(&parts, &Outgoing::default()).unwrap_err();
        assert_eq!(refused.status, StatusCode::URI_TOO_LONG);
    }

    #[test]
    fn host_is_what_was_asked_for_unless_the_settings_say_otherwise() {
        for (asked, set, expected) in [
            (Some("example.org"), None, Some("example.org")),
            (Some("example.org:81"), None, Some("example.org:81")),
            (Some("example.org"), Some("inside"), Some("inside")),
            (None, Some("inside"), Some("inside")),
            // hyper takes it from the authority of the target.
            (None, None, None),
        ] {
            let mut request = http::Request::new(Body::empty());
            if let Some(asked) = asked {
                request.headers_mut().insert(header::HOST, HeaderValue::from_static(asked));
            }
            let head = head(&rules(unix(), None, set), request);
            assert_eq!(head.headers.get(header::HOST).map(|host| host.to_str().unwrap()), expected);
            assert_eq!(head.headers.get("x-forwarded-host").map(|host| host.to_str().unwrap()), asked);
        }
    }

    #[test]
    fn every_upstream_has_an_authority() {
        for (upstream, expected) in [
            (unix(), "localhost"),
            (tcp("127.0.0.1"), "127.0.0.1:8080"),
            (tcp("inside.example"), "inside.example:8080"),
            (tcp("::1"), "[::1]:8080"),
            (tcp("[::1]"), "[::1]:8080"),
            (tcp("no name"), "localhost"),
        ] {
            assert_eq!(authority(&upstream), expected, "{upstream:?}");
        }
    }

    #[test]
    fn a_body_is_framed_once() {
        let stream =
            || Body::new(http_body_util::StreamBody::new(tokio_stream::pending::<Result<http_body::Frame<bytes::Bytes>, crate::BoxError>>()));
        for (method, length, body, framing) in [
            (Method::GET, None, Body::empty(), (None, None)),
            (Method::POST, None, Body::empty(), (Some("0"), None)),
            (Method::PUT, Some("0"), Body::empty(), (Some("0"), None)),
            (Method::DELETE, None, Body::empty(), (None, None)),
            // hyper adds the length that the body tells.
            (Method::POST, Some("3"), Body::from("abc"), (None, None)),
            (Method::POST, Some("9"), stream(), (None, None)),
            (Method::POST, None, stream(), (None, Some("chunked"))),
            (Method::GET, None, stream(), (None, Some("chunked"))),
        ] {
            let case = format!("{method} {length:?} {body:?}");
            let mut request = http::Request::new(body);
            *request.method_mut() = method;
            request.headers_mut().insert(header::TRANSFER_ENCODING, HeaderValue::from_static("gzip, chunked"));
            if let Some(length) = length {
                request.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from_static(length));
            }
            let head = head(&rules(unix(), None, None), request);
            let text = |name| head.headers.get(name).map(|value: &HeaderValue| value.to_str().unwrap());
            assert_eq!((text(header::CONTENT_LENGTH), text(header::TRANSFER_ENCODING)), framing, "{case}");
        }
    }
}
