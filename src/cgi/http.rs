//! The head of an HTTP request to the request that an app sees: the same rules as for variables, for a web server that speaks HTTP.

use super::{
    any_byte, cookie,
    known::{self, Meaning},
    mount::{self, MountFacts},
    origin::{X_FORWARDED_FOR, X_FORWARDED_HOST, X_FORWARDED_PROTO, host, ip_addr, last_of, last_word},
    request::{Meta, USUAL_HEADERS, VarError, stays_behind, strip},
    uri,
};
use crate::{
    pairs::{PairSpan, cut},
    profile::Profile,
};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Uri, Version, header,
    request::Parts,
    uri::{Authority, PathAndQuery},
};
use std::{net::SocketAddr, ops::Range};

/// Whose word counts for the address of the client, the scheme and the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trust {
    /// `X-Forwarded-*` of the peer.
    Forwarded,
    /// The same of LiteSpeed in the place of Node.js, but for `X-Forwarded-Proto`, which it does not set and passes on from clients.
    Lsnode,
    /// Passenger's own headers. It refuses those from clients, and passes all `X-Forwarded-*` of clients on.
    Passenger,
    /// Nobody's: the peer is the client.
    Nobody,
}

/// What is known of a request beside its head.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrival<'a> {
    /// The address of the peer; none on a Unix socket.
    pub(crate) peer: Option<SocketAddr>,
    pub(crate) trust: Trust,
    /// The mount that somebody wrote down, "" for none.
    pub(crate) mount: &'a [u8],
    pub(crate) profile: &'a Profile,
    /// Whether a body follows.
    pub(crate) has_body: bool,
    /// Whether the connection may become something else, so that the app needs the headers that ask for it.
    pub(crate) upgrade: bool,
}

/// Only Passenger itself can set headers that begin so; an app that looks for them must not find them from anybody else.
const OF_PASSENGER: &str = "!~";

/// Makes the request that an app sees of the one that came.
///
/// `uri()` of the result is always in origin form with the mount stripped; scheme and host are facts of the exchange. A missing Host is no error.
pub(crate) fn parts_from_head(mut parts: Parts, arrival: &Arrival<'_>) -> Result<(Parts, Meta), VarError> {
    let asterisk = parts.uri.path() == "*";
    let original = if asterisk { PathAndQuery::from_static("/") } else { origin_form(&parts.uri)? };
    let said = Said::in_headers(&parts.headers, arrival.trust);
    let meta = Meta {
        remote_addr: said.client(arrival),
        https: said.is_https(),
        host: said.host(parts.uri.authority(), Bytes::copy_from_slice)?,
        accept: parts.headers.get(header::ACCEPT).cloned(),
        content_length: parts.headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok()),
        no_body: !arrival.has_body,
        original_uri: if asterisk { Uri::from_static("*") } else { Uri::from(original.clone()) },
        mount: mount(&original, arrival),
    };
    parts.uri = if asterisk { meta.original_uri.clone() } else { strip(&original, &meta.mount)? };
    leave_out(&mut parts.headers, arrival);
    join_cookies(&mut parts.headers, arrival.profile);
    Ok((parts, meta))
}

/// The head of a request whose target is in origin form, as its lines have it: ranges of `bytes`.
#[derive(Debug)]
pub(crate) struct Lines<'a> {
    pub(crate) bytes: &'a Bytes,
    pub(crate) method: Range<u32>,
    pub(crate) target: Range<u32>,
    pub(crate) version: Version,
    pub(crate) headers: &'a [PairSpan],
}

impl Lines<'_> {
    fn text(&self, range: &Range<u32>) -> &[u8] {
        cut(self.bytes, range)
    }

    /// Whether there is a header of that name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.headers.iter().any(|(range, _)| range.len() == name.len() && self.text(range).eq_ignore_ascii_case(name.as_bytes()))
    }
}

/// Makes the request that an app sees of lines that nobody has made headers of, as [`parts_from_head`] does of headers. It has no body and asks for no upgrade.
pub(crate) fn parts_from_lines(lines: &Lines<'_>, arrival: &Arrival<'_>) -> Result<(Parts, Meta), VarError> {
    let mut said = Said::default();
    let mut parts = http::Request::new(()).into_parts().0;
    let headers = &mut parts.headers;
    headers.reserve(lines.headers.len().min(USUAL_HEADERS));
    let (mut accept, mut cookies) = (None, 0);
    for (name, value) in lines.headers {
        let (name, text) = (lines.text(name), lines.text(value));
        let (name, meaning) = match known::find(name) {
            Some(known) => (known.name.clone(), known.meaning),
            None => match HeaderName::from_bytes(name) {
                Ok(name) if is_for_the_app(&name, arrival) => (name, Meaning::None),
                _ => continue,
            },
        };
        said.take(meaning, text, arrival.trust);
        if matches!(meaning, Meaning::StaysBehind | Meaning::PassengerClient | Meaning::PassengerProto) {
            continue;
        }
        let Ok(value) = HeaderValue::from_maybe_shared(lines.bytes.slice_ref(text)) else { continue };
        match meaning {
            Meaning::Accept => accept = accept.or_else(|| Some(value.clone())),
            Meaning::Cookie => cookies += 1,
            _ => {}
        }
        // There is always room: lines that pass for ordinary are no more than a map holds.
        let _ = headers.try_append(name, value);
    }
    if cookies > 1 || cookies > 0 && arrival.profile.joins_cookies_with_comma {
        join_cookies(headers, arrival.profile);
    }
    let original = uri::path_and_query(lines.text(&lines.target), |target| lines.bytes.slice_ref(target))?;
    parts.method = Method::from_bytes(lines.text(&lines.method)).map_err(|_| VarError::Method)?;
    parts.version = lines.version;
    let meta = Meta {
        remote_addr: said.client(arrival),
        https: said.is_https(),
        host: said.host(None, |host| lines.bytes.slice_ref(host))?,
        accept,
        content_length: None,
        no_body: true,
        mount: mount(&original, arrival),
        original_uri: Uri::from(original.clone()),
    };
    parts.uri = strip(&original, &meta.mount)?;
    Ok((parts, meta))
}

/// RFC 9112, 3.2.2: "a server MUST accept the absolute-form in requests". CONNECT, which has neither path nor any meaning here, is no request.
fn origin_form(target: &Uri) -> Result<PathAndQuery, VarError> {
    let original = target.path_and_query().ok_or(VarError::Uri)?;
    if original.as_str().starts_with('/') {
        return Ok(original.clone());
    }
    uri::path_and_query(original.as_str().as_bytes(), Bytes::copy_from_slice)
}

fn mount(original: &PathAndQuery, arrival: &Arrival<'_>) -> String {
    let told = Some(arrival.mount).filter(|mount| !mount.is_empty());
    mount::find(&MountFacts { told, path: original.path(), ..MountFacts::default() }).to_owned()
}

/// What headers say of where a request came from, as far as whoever says it is believed.
#[derive(Debug, Default)]
struct Said<'a> {
    client: Option<&'a [u8]>,
    scheme: Option<&'a [u8]>,
    forwarded_host: Option<&'a [u8]>,
    host: Option<&'a [u8]>,
    hosts_differ: bool,
}

impl<'a> Said<'a> {
    fn in_headers(headers: &'a HeaderMap, trust: Trust) -> Self {
        let mut said = Self {
            client: match trust {
                Trust::Forwarded | Trust::Lsnode => last_of(headers, &X_FORWARDED_FOR),
                Trust::Passenger => last_of(headers, "!~passenger-client-address"),
                Trust::Nobody => None,
            },
            scheme: match trust {
                Trust::Forwarded => last_of(headers, &X_FORWARDED_PROTO),
                Trust::Passenger => last_of(headers, "!~passenger-proto"),
                Trust::Lsnode | Trust::Nobody => None,
            },
            forwarded_host: matches!(trust, Trust::Forwarded | Trust::Lsnode).then(|| last_of(headers, &X_FORWARDED_HOST)).flatten(),
            ..Self::default()
        };
        headers.get_all(header::HOST).into_iter().for_each(|host| said.take_host(host.as_bytes()));
        said
    }

    /// Takes the value of a header that means something; of those that fronts append to, the last counts.
    fn take(&mut self, meaning: Meaning, value: &'a [u8], trust: Trust) {
        match (meaning, trust) {
            (Meaning::Host, _) => self.take_host(value),
            (Meaning::ForwardedFor, Trust::Forwarded | Trust::Lsnode) | (Meaning::PassengerClient, Trust::Passenger) => {
                self.client = last_word(value);
            }
            (Meaning::ForwardedProto, Trust::Forwarded) | (Meaning::PassengerProto, Trust::Passenger) => self.scheme = last_word(value),
            (Meaning::ForwardedHost, Trust::Forwarded | Trust::Lsnode) => self.forwarded_host = last_word(value),
            _ => {}
        }
    }

    fn take_host(&mut self, value: &'a [u8]) {
        self.hosts_differ |= self.host.is_some_and(|first| !first.eq_ignore_ascii_case(value));
        self.host = self.host.or(Some(value));
    }

    fn client(&self, arrival: &Arrival<'_>) -> Option<SocketAddr> {
        self.client.and_then(ip_addr).map(|ip| SocketAddr::new(ip, 0)).or(arrival.peer)
    }

    fn is_https(&self) -> bool {
        self.scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"https"))
    }

    /// The host of the absolute form overrides the header (RFC 9112, 3.2.2), and what a front says overrides both.
    fn host(&self, authority: Option<&Authority>, share: impl Fn(&[u8]) -> Bytes) -> Result<Option<Bytes>, VarError> {
        if self.hosts_differ {
            // RFC 9112, 3.2: a server MUST respond with 400 to a message "that contains more than one Host header field line".
            return Err(VarError::Host);
        }
        let own = self.host.filter(|host| !host.is_empty()).map(|value| host(value, &share)).transpose()?;
        let absolute = authority.map(|authority| host(authority.as_str().as_bytes(), Bytes::copy_from_slice)).transpose()?;
        if own.is_some() && self.forwarded_host == self.host {
            // A front that passes the host on says the same twice.
            return Ok(own);
        }
        Ok(self.forwarded_host.and_then(|forwarded| host(forwarded, share).ok()).or(absolute).or(own))
    }
}

/// Takes out what must not reach an app, and keeps the order of the others, which a removal from the map does only of the last.
fn leave_out(headers: &mut HeaderMap, arrival: &Arrival<'_>) {
    let mut rest = headers.keys().skip_while(|name| is_for_the_app(name, arrival));
    let Some(first) = rest.next() else { return };
    if rest.next().is_none() {
        let last = first.clone();
        headers.remove(last);
        return;
    }
    let all = std::mem::take(headers);
    headers.reserve(all.keys_len());
    let mut current = None;
    for (name, value) in all {
        // Further values of a header come without its name.
        if let Some(name) = name {
            current = Some(name).filter(|name| is_for_the_app(name, arrival));
        }
        if let Some(name) = &current {
            // There is room: they all were in a map before.
            let _ = headers.try_append(name.clone(), value);
        }
    }
}

/// Two of the headers that speak of a connection ask for an upgrade, and reach an app that can be given one.
fn is_for_the_app(name: &HeaderName, arrival: &Arrival<'_>) -> bool {
    match name.as_str() {
        "connection" | "upgrade" if arrival.upgrade => true,
        name => !stays_behind(name.as_bytes()) && !name.starts_with(OF_PASSENGER),
    }
}

fn join_cookies(headers: &mut HeaderMap, profile: &Profile) {
    let mut values = headers.get_all(header::COOKIE).iter();
    let comma = values.next().is_some_and(|first| profile.joins_cookies_with_comma && any_byte(first.as_bytes(), |byte| byte == b','));
    if !comma && values.next().is_none() {
        return;
    }
    let cookies = headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes);
    let joined = cookie::join(cookies, profile.joins_cookies_with_comma);
    if !joined.is_empty()
        && let Ok(joined) = HeaderValue::from_maybe_shared(Bytes::from(joined))
    {
        headers.insert(header::COOKIE, joined);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile;
    use http::Request;

    const UNIX: Arrival<'static> =
        Arrival { peer: None, trust: Trust::Forwarded, mount: b"", profile: &profile::UNKNOWN, has_body: false, upgrade: false };
    const PASSENGER: Arrival<'static> = Arrival { trust: Trust::Passenger, profile: &profile::PASSENGER, ..UNIX };

    fn map(target: &str, headers: &[(&str, &str)], arrival: &Arrival<'_>) -> Result<(Parts, Meta), VarError> {
        let request = headers.iter().fold(Request::get(target), |request, (name, value)| request.header(*name, *value));
        parts_from_head(request.body(()).unwrap().into_parts().0, arrival)
    }

    fn meta(headers: &[(&str, &str)], arrival: &Arrival<'_>) -> (Option<String>, bool, Option<String>) {
        let meta = map("/", headers, arrival).unwrap().1;
        (meta.remote_addr.map(|addr| addr.to_string()), meta.https, meta.host().map(str::to_owned))
    }

    #[test]
    fn the_target_is_in_origin_form_with_the_mount_stripped() {
        let mounted = Arrival { mount: b"/sub/", ..UNIX };
        for (target, arrival, uri, mount) in [
            ("/a%20b//c?q=%C3%A9", &UNIX, "/a%20b//c?q=%C3%A9", ""),
            ("http://example.org/x?y", &UNIX, "/x?y", ""),
            ("http://example.org", &UNIX, "/", ""),
            ("http://example.org?y", &UNIX, "/?y", ""),
            ("//host/x", &UNIX, "//host/x", ""),
            ("*", &UNIX, "*", ""),
            ("/sub/x?y", &mounted, "/x?y", "/sub"),
            ("/sub", &mounted, "/", "/sub"),
            ("/subway", &mounted, "/subway", ""),
        ] {
            let (parts, meta) = map(target, &[], arrival).unwrap();
            assert_eq!((parts.uri.to_string().as_str(), meta.mount.as_str()), (uri, mount), "{target}");
        }
        assert_eq!(map("/sub/x?y", &[], &mounted).unwrap().1.original_uri, "/sub/x?y");
        assert_eq!(map("example.org:443", &[], &UNIX).unwrap_err(), VarError::Uri, "CONNECT");
    }

    #[test]
    fn of_what_a_front_says_the_last_word_counts() {
        let said = [
            ("host", "inner"),
            ("x-forwarded-for", "192.0.2.66"),
            ("x-forwarded-for", "192.0.2.66, 203.0.113.7"),
            ("x-forwarded-proto", "http, https"),
            ("x-forwarded-host", "evil.example, shop.example"),
        ];
        assert_eq!(meta(&said, &UNIX), (Some("203.0.113.7:0".into()), true, Some("shop.example".into())));
        let stranger = Arrival { peer: Some("198.51.100.3:4711".parse().unwrap()), trust: Trust::Nobody, ..UNIX };
        assert_eq!(meta(&said, &stranger), (Some("198.51.100.3:4711".into()), false, Some("inner".into())));
        assert_eq!(meta(&[("host", "inner")], &UNIX), (None, false, Some("inner".into())));
        let nonsense = [("x-forwarded-for", "unknown"), ("x-forwarded-host", "a b"), ("host", "inner")];
        assert_eq!(meta(&nonsense, &UNIX), (None, false, Some("inner".into())));
    }

    #[test]
    fn the_scheme_that_litespeed_passes_on_is_the_clients_own() {
        let said = [("host", "inner"), ("x-forwarded-for", "203.0.113.7"), ("x-forwarded-proto", "https"), ("x-forwarded-host", "shop.example")];
        let lsnode = Arrival { trust: Trust::Lsnode, ..UNIX };
        assert_eq!(meta(&said, &lsnode), (Some("203.0.113.7:0".into()), false, Some("shop.example".into())));
    }

    #[test]
    fn a_front_that_says_the_host_twice_is_believed_before_the_target() {
        let host = |headers: &[(&str, &str)]| map("http://other.example/", headers, &UNIX).unwrap().1.host().map(str::to_owned);
        assert_eq!(host(&[("host", "shop.example"), ("x-forwarded-host", "shop.example")]).as_deref(), Some("shop.example"));
        assert_eq!(host(&[("host", ""), ("x-forwarded-host", "")]).as_deref(), Some("other.example"), "nothing, twice");
    }

    #[test]
    fn nobody_but_passenger_speaks_in_its_name() {
        let (parts, meta) = map("/", &[("!~passenger-client-address", "192.0.2.66"), ("!~passenger-envvars", "x"), ("a", "b")], &UNIX).unwrap();
        assert_eq!((parts.headers.len(), meta.remote_addr), (1, None));
    }

    #[test]
    fn under_passenger_only_its_own_headers_count_and_no_app_sees_them() {
        let said = [
            ("host", "site.example"),
            ("x-forwarded-for", "192.0.2.66"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "evil.example"),
            ("!~passenger-client-address", "203.0.113.7"),
            ("!~passenger-envvars", "TVlWQVIAaGVsbG8gd29ybGQA"),
        ];
        assert_eq!(meta(&said, &PASSENGER), (Some("203.0.113.7:0".into()), false, Some("site.example".into())));
        let secure = [("!~passenger-proto", "https")];
        assert_eq!(meta(&secure, &PASSENGER), (None, true, None));
        let (parts, _) = map("/", &said, &PASSENGER).unwrap();
        assert!(parts.headers.keys().all(|name| !name.as_str().starts_with(OF_PASSENGER)), "{:?}", parts.headers);
        assert_eq!(parts.headers["x-forwarded-for"], "192.0.2.66", "an app may still look at what the client said");
    }

    #[test]
    fn a_host_is_checked() {
        for bad in [
            &[("host", "a b")][..],
            &[("host", "user@example.org")],
            &[("host", "a%41")],
            &[("host", "one"), ("host", "two")],
            &[("host", "a:99999")],
        ] {
            assert_eq!(map("/", bad, &UNIX).unwrap_err(), VarError::Host, "{bad:?}");
        }
        let (_, meta) = map("http://example.org:81/", &[("host", "inner")], &UNIX).unwrap();
        assert_eq!(meta.host(), Some("example.org:81"));
        assert_eq!(map("/", &[("host", "")], &UNIX).unwrap().1.host, None);
    }

    #[test]
    fn headers_of_the_connection_stay_behind_unless_they_ask_for_an_upgrade() {
        let said =
            [("connection", "upgrade"), ("upgrade", "websocket"), ("te", "trailers"), ("proxy", "http://evil.example"), ("sec-websocket-key", "k")];
        let names = |arrival| {
            let (parts, _) = map("/", &said, arrival).unwrap();
            parts.headers.keys().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(names(&UNIX), ["sec-websocket-key"]);
        assert_eq!(names(&Arrival { upgrade: true, ..UNIX }), ["connection", "upgrade", "sec-websocket-key"]);
    }

    #[test]
    fn cookies_become_one_header() {
        let cookie = |headers: &[(&str, &str)], arrival| map("/", headers, arrival).unwrap().0.headers["cookie"].clone();
        assert_eq!(cookie(&[("cookie", "a=1"), ("cookie", "b=2")], &UNIX), "a=1; b=2");
        assert_eq!(cookie(&[("cookie", "a=1, b=2")], &UNIX), "a=1, b=2");
        assert_eq!(cookie(&[("cookie", "a=1, b=2")], &PASSENGER), "a=1; b=2");
    }

    #[test]
    fn what_is_known_of_the_body_is_kept() {
        let meta = map("/", &[("content-length", "7")], &Arrival { has_body: true, ..UNIX }).unwrap().1;
        assert_eq!((meta.content_length, meta.no_body), (Some(7), false));
        assert!(map("/", &[], &UNIX).unwrap().1.no_body);
    }
}
