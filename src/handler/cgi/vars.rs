//! The variables that a program is told of a request (RFC 3875, 4.1), for `cgi` and for `fastcgi`.

use crate::{
    config::host::split_port,
    ext::RequestExt as _,
    handler::{Matched, auth::User},
};
use http::{HeaderMap, HeaderName, HeaderValue, Version, header, request::Parts};
use percent_encoding::percent_decode_str;
use std::net::SocketAddr;

/// What `GATEWAY_INTERFACE` says.
const CGI_1_1: &str = "CGI/1.1";

/// Names and values, each name once.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Vars(Vec<(String, Vec<u8>)>);

impl Vars {
    /// All variables but those that say which script is meant. `length` is that of the body, where there is one.
    ///
    /// `Authorization` is passed on, since scripts that check passwords themselves have no other way to them. What the web server said of the connection is taken from its
    /// variables; no other variable of it is passed on.
    pub(crate) fn of_request(parts: &Parts, length: Option<u64>) -> Self {
        let mut vars = Self::default();
        vars.put_headers(&parts.headers);
        vars.put_server(parts);
        vars.put_client(parts);
        vars.put("GATEWAY_INTERFACE", CGI_1_1);
        vars.put("SERVER_PROTOCOL", protocol(parts.version));
        vars.put("REQUEST_METHOD", parts.method.as_str());
        vars.put("REQUEST_URI", parts.original_uri().unwrap_or(&parts.uri).to_string());
        vars.put("QUERY_STRING", parts.uri.query().unwrap_or_default());
        if let Some(kind) = parts.headers.get(header::CONTENT_TYPE) {
            vars.put("CONTENT_TYPE", kind.as_bytes());
        }
        if let Some(length) = length {
            vars.put("CONTENT_LENGTH", length.to_string());
        }
        vars
    }

    pub(crate) fn put(&mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) {
        self.0.push((name.into(), value.into()));
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_slice()))
    }

    fn put_headers(&mut self, headers: &HeaderMap) {
        for name in headers.keys() {
            let Some(variable) = variable(name) else { continue };
            let between: &[u8] = if name == header::COOKIE { b"; " } else { b", " };
            let values: Vec<&[u8]> = headers.get_all(name).iter().map(HeaderValue::as_bytes).collect();
            self.put(variable, values.join(between));
        }
    }

    fn put_server(&mut self, parts: &Parts) {
        let https = parts.scheme() == "https";
        let (host, port) = parts.host().map_or(("localhost", None), split_port);
        self.put("SERVER_SOFTWARE", concat!("lodger/", env!("CARGO_PKG_VERSION")));
        self.put("SERVER_NAME", host);
        let usual: &[u8] = if https { b"443" } else { b"80" };
        self.put("SERVER_PORT", parts.cgi_vars().get("SERVER_PORT").or(port.map(str::as_bytes)).unwrap_or(usual));
        self.put("REQUEST_SCHEME", if https { "https" } else { "http" });
        if https {
            self.put("HTTPS", "on");
        }
        // A visitor is known by these whom the web server let in by name, or the route.
        let user = parts.extensions.get::<User>().map(|User(name)| name.as_bytes());
        for (name, own) in [("SERVER_ADDR", None), ("REMOTE_USER", user), ("AUTH_TYPE", None)] {
            if let Some(value) = own.or_else(|| parts.cgi_vars().get(name)) {
                self.put(name, value);
            }
        }
    }

    /// A client on a Unix socket has no address. The variable is there all the same: scripts take it for granted.
    fn put_client(&mut self, parts: &Parts) {
        let client = parts.remote_addr();
        self.put("REMOTE_ADDR", client.map(|client| client.ip().to_string()).unwrap_or_default());
        if let Some(port) = client.as_ref().map(SocketAddr::port).filter(|port| *port != 0) {
            self.put("REMOTE_PORT", port.to_string());
        }
    }
}

/// The variable that stands for a header. None for those that have variables of their own or are about a connection; for `Proxy`, which HTTP clients take for a setting of
/// theirs (CVE-2016-5385, "httpoxy"); and for names that could be taken for another one, since `X_Y` and `X-Y` would be one variable.
fn variable(name: &HeaderName) -> Option<String> {
    let plain = name.as_str().bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let stays = matches!(
        *name,
        header::CONTENT_TYPE
            | header::CONTENT_LENGTH
            | header::CONNECTION
            | header::TRANSFER_ENCODING
            | header::TE
            | header::TRAILER
            | header::UPGRADE
    ) || matches!(name.as_str(), "proxy" | "proxy-authorization" | "proxy-connection" | "keep-alive");
    (plain && !stays).then(|| format!("HTTP_{}", name.as_str().to_ascii_uppercase().replace('-', "_")))
}

fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2.0",
        Version::HTTP_3 => "HTTP/3.0",
        _ => "HTTP/1.1",
    }
}

/// Where in the site the handler of a request stands.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The mount and the route's prefix, decoded, without a slash at its end. Of a route without a prefix all of its path.
    pub(crate) base: Vec<u8>,
    /// What of the path follows that, as it stands in the target; empty, or it begins with a slash.
    pub(crate) rest: String,
}

impl Place {
    pub(crate) fn of(parts: &Parts) -> Self {
        let path = parts.uri.path();
        let whole = Matched { rest: path.to_owned(), ..Matched::default() };
        let matched = parts.extensions.get::<Matched>().unwrap_or(&whole);
        let (prefix, left) = path.split_at(matched.prefix(path));
        let mut base = decoded(parts.mount());
        base.extend_from_slice(&decoded(prefix));
        while base.last() == Some(&b'/') {
            base.pop();
        }
        let rest = if left.is_empty() { String::new() } else { matched.rest.clone() };
        Self { base, rest }
    }
}

/// A path, or a piece of one, without its percent-encoding.
pub(crate) fn decoded(path: &str) -> Vec<u8> {
    percent_decode_str(path).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cgi::{CgiVars, request},
        ext::Exchange,
        gateway::Gateway,
        handler::cgi::testing::asked,
        profile,
        proto::Role,
    };
    use http::Request;

    /// The head of a request that a web server described.
    fn behind_a_web_server(vars: &[(&str, &str)]) -> Parts {
        let vars = CgiVars::from_pairs(vars.iter().copied());
        let context = request::Context { program: None, profile: &profile::UNKNOWN, trusted: None, max_vars: 1024 };
        let (mut parts, meta) = request::parts_from_vars(&vars, &context).unwrap();
        parts.extensions.insert(Exchange::new(vars, Gateway::FastCgi, &profile::UNKNOWN, meta, Role::Responder, None));
        parts
    }

    fn vars(parts: &Parts, length: Option<u64>) -> Vec<(String, String)> {
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        Vars::of_request(parts, length).iter().map(|(name, value)| (name.to_owned(), text(value))).collect()
    }

    fn value(vars: &[(String, String)], name: &str) -> Option<String> {
        let mut found = vars.iter().filter(|(other, _)| other == name).map(|(_, value)| value.clone());
        let first = found.next();
        assert_eq!(found.next(), None, "{name} is there twice");
        first
    }

    #[test]
    fn a_request_that_nobody_describes_has_all_that_is_required() {
        let request = Request::post("/a?b=c").header("content-type", "text/plain").body(()).unwrap();
        let vars = vars(&request.into_parts().0, Some(3));
        for (name, expect) in [
            ("REQUEST_METHOD", "POST"),
            ("REQUEST_URI", "/a?b=c"),
            ("QUERY_STRING", "b=c"),
            ("CONTENT_TYPE", "text/plain"),
            ("CONTENT_LENGTH", "3"),
            ("SERVER_PROTOCOL", "HTTP/1.1"),
            ("GATEWAY_INTERFACE", "CGI/1.1"),
            ("SERVER_NAME", "localhost"),
            ("SERVER_PORT", "80"),
            ("REQUEST_SCHEME", "http"),
            ("REMOTE_ADDR", ""),
        ] {
            assert_eq!(value(&vars, name).as_deref(), Some(expect), "{name}");
        }
        for name in ["HTTPS", "HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH", "REMOTE_PORT", "SERVER_ADDR"] {
            assert_eq!(value(&vars, name), None, "{name}");
        }
    }

    #[test]
    fn what_the_web_server_said_of_the_connection_is_passed_on() {
        let parts = behind_a_web_server(&[
            ("REQUEST_METHOD", "GET"),
            ("REQUEST_URI", "/x"),
            ("HTTP_HOST", "example.org:8443"),
            ("HTTPS", "on"),
            ("REMOTE_ADDR", "203.0.113.7"),
            ("REMOTE_PORT", "4711"),
            ("SERVER_ADDR", "192.0.2.1"),
            ("SERVER_PORT", "443"),
            ("REMOTE_USER", "anna"),
            ("SECRET_OF_THE_SERVER", "x"),
        ]);
        let vars = vars(&parts, None);
        for (name, expect) in [
            ("SERVER_NAME", "example.org"),
            ("SERVER_PORT", "443"),
            ("SERVER_ADDR", "192.0.2.1"),
            ("HTTPS", "on"),
            ("REQUEST_SCHEME", "https"),
            ("REMOTE_ADDR", "203.0.113.7"),
            ("REMOTE_PORT", "4711"),
            ("REMOTE_USER", "anna"),
            ("HTTP_HOST", "example.org:8443"),
        ] {
            assert_eq!(value(&vars, name).as_deref(), Some(expect), "{name}");
        }
        assert_eq!(value(&vars, "SECRET_OF_THE_SERVER"), None);
        assert_eq!(value(&vars, "CONTENT_LENGTH"), None);
    }

    #[test]
    fn headers_become_variables_but_for_those_that_deceive() {
        let request = Request::get("/")
            .header("authorization", "Basic YTpi")
            .header("proxy", "http://evil.example")
            .header("x_real_ip", "127.0.0.1")
            .header("connection", "close")
            .header("x-a", "1")
            .header("x-a", "2")
            .header("cookie", "a=1")
            .header("cookie", "b=2");
        let vars = vars(&request.body(()).unwrap().into_parts().0, None);
        let headers: Vec<_> = vars.iter().filter(|(name, _)| name.starts_with("HTTP_")).map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(headers, ["HTTP_AUTHORIZATION=Basic YTpi", "HTTP_X_A=1, 2", "HTTP_COOKIE=a=1; b=2"]);
    }

    #[test]
    fn the_place_of_a_handler_is_its_mount_and_prefix() {
        for (path, rest, base, behind) in [
            ("/", "/", "", "/"),
            ("/blog/a%20b", "/a%20b", "/blog", "/a%20b"),
            ("/blog/%61", "/a", "/blog", "/a"),
            ("/blog/", "/", "/blog", "/"),
            ("/report", "/", "/report", ""),
            ("/a%20b", "/", "/a b", ""),
        ] {
            let place = Place::of(&asked(path, rest).into_parts().0);
            assert_eq!((String::from_utf8(place.base).unwrap().as_str(), place.rest.as_str()), (base, behind), "{path}");
        }
    }
}
