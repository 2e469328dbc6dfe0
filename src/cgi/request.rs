//! Variables to `http::request::Parts`, in one total function. What http cannot say is kept beside it.

use super::{
    CgiVars, HEADER_PREFIX, any_byte, cookie,
    known::{self, Meaning},
    mount::{self, Executable, MountFacts},
    names::{self, Part, Var},
    origin::{X_FORWARDED_FOR, X_FORWARDED_HOST, X_FORWARDED_PROTO, host, ip_addr, last_of},
    uri::{self, Target},
};
use crate::{profile::Profile, trust::Trusted};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, Version, header, request::Parts, uri::Authority};
use std::net::{IpAddr, SocketAddr};

/// Why variables are not a request. The visitor gets 400, 414 or 431.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum VarError {
    #[error("more variables than the limit allows")]
    TooMany,
    #[error("the variables cannot be read")]
    Malformed,
    #[error("REQUEST_METHOD is missing or empty")]
    NoMethod,
    #[error("REQUEST_METHOD is no method")]
    Method,
    #[error("the target is longer than 65,534 bytes")]
    UriTooLong,
    #[error("the target cannot be a URI")]
    Uri,
    #[error("the Host header is no host, or there are two that differ")]
    Host,
    #[error("CONTENT_LENGTH is no number")]
    ContentLength,
}

/// Room for the headers of an ordinary request; a map that is asked for too much panics.
pub(super) const USUAL_HEADERS: usize = 64;

/// How many bytes of variables there are for each header: about a third of the variables of a browser's request are headers, and the longest ones. A map that grows is filled twice.
const BYTES_OF_HEADER: usize = 85;

/// Facts of an exchange that are no part of an `http::Request`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Meta {
    pub(crate) mount: String,
    pub(crate) original_uri: Uri,
    pub(crate) remote_addr: Option<SocketAddr>,
    pub(crate) https: bool,
    /// The host that was asked for, checked.
    pub(crate) host: Option<Bytes>,
    /// The header `Accept`, where it is not among the variables.
    pub(crate) accept: Option<HeaderValue>,
    /// `CONTENT_LENGTH` where it is a number: advice, not truth.
    pub(crate) content_length: Option<u64>,
    /// Whether the variables say that there is no body, so that a peer that forgets to end it is not waited for.
    pub(crate) no_body: bool,
}

impl Meta {
    /// The host that was asked for, as text.
    pub(crate) fn host(&self) -> Option<&str> {
        std::str::from_utf8(self.host.as_ref()?).ok()
    }
}

/// What the mapping has to know beside the variables.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Context<'a> {
    /// Our own executable.
    pub(crate) program: Option<&'a Executable>,
    /// What is particular about the web server.
    pub(crate) profile: &'a Profile,
    /// Whose `X-Forwarded-*` headers are believed beside those of this machine.
    pub(crate) trusted: Option<&'a Trusted>,
    /// How many variables there may be.
    pub(crate) max_vars: usize,
}

/// What the variables say that mean something here. Of a repeated one the last counts: nginx sends a variable that was set twice in its
/// configuration twice, and the one that was meant comes last.
#[derive(Debug, Default)]
struct Known<'a> {
    /// By their numbers; empty where they are not there.
    parts: [&'a [u8]; Part::COUNT],
    mount: Option<&'a [u8]>,
    host: Option<&'a [u8]>,
    hosts_differ: bool,
    cookie: &'a [u8],
    cookies: usize,
    authorization: &'a [u8],
    chunked: bool,
}

/// Makes a request of variables.
///
/// `uri()` of the result is always in origin form with the mount stripped; scheme and host are facts of the exchange. A missing
/// Host is no error.
#[inline]
pub(crate) fn parts_from_vars(vars: &CgiVars, context: &Context<'_>) -> Result<(Parts, Meta), VarError> {
    let mut parts = http::Request::new(()).into_parts().0;
    let headers = &mut parts.headers;
    headers.reserve((vars.byte_len() / BYTES_OF_HEADER).min(USUAL_HEADERS));
    let mut known = Known::default();
    let written = vars.headers();
    known.read_vars(vars, context.max_vars, written.is_none(), headers)?;
    if let Some(written) = written {
        // Behind the variables: of what is repeated the last counts, and the client's own header says more than what a server made of it.
        known.read_headers(vars, written, headers);
    } else if context.profile.joins_repeated_headers && headers.len() != headers.keys_len() {
        drop_collisions(headers);
    }
    parts.method = match known.part(Part::Method) {
        b"" => return Err(VarError::NoMethod),
        method => Method::from_bytes(method).map_err(|_| VarError::Method)?,
    };

    if known.cookies > 0 {
        insert(headers, header::COOKIE, cookie(vars, &known, context.profile));
    }
    if !known.authorization.is_empty() {
        insert(headers, header::AUTHORIZATION, vars.share(known.authorization));
    }
    let content_type = known.part(Part::ContentType);
    if !content_type.is_empty() {
        insert(headers, header::CONTENT_TYPE, vars.share(content_type));
    }
    let content_length = plain_number(known.part(Part::ContentLength));
    let bodiless = matches!(parts.method, Method::GET | Method::HEAD);
    // RFC 9110, 9.3: in these, content "has no generally defined semantics" or is none. What a web server has not announced is not waited for.
    let has_no_body = bodiless || matches!(parts.method, Method::DELETE | Method::OPTIONS | Method::TRACE);
    // mod_fcgid and lighttpd say CONTENT_LENGTH=0 for every GET; the client did not.
    if let Some(length) = content_length.filter(|length| !(bodiless && *length == 0)) {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }

    let Target { path_and_query: original, authority, asterisk } = match known.part(Part::RequestUri) {
        b"" => uri::from_parts(known.part(Part::ScriptName), known.part(Part::PathInfo), known.part(Part::Query))?,
        raw => uri::from_request_uri(raw, |raw| vars.share(raw))?,
    };
    let mount = mount::find(&MountFacts {
        told: known.mount,
        path: original.path(),
        script_name: known.part(Part::ScriptName),
        path_info: known.part(Part::PathInfo),
        script_filename: known.part(Part::ScriptFilename),
        program: context.program,
        invents_script_name: context.profile.invents_script_name,
        ends_mount_with_slash: context.profile.ends_mount_with_slash,
    })
    .to_owned();
    let origin = origin_facts(vars, &known, headers, authority.as_ref(), context.trusted)?;
    parts.version = version(known.part(Part::Protocol));
    parts.uri = if asterisk { Uri::from_static("*") } else { strip(&original, &mount)? };
    let meta = Meta {
        original_uri: if asterisk { parts.uri.clone() } else { Uri::from(original) },
        remote_addr: origin.remote_addr,
        https: origin.https,
        host: origin.host,
        accept: None,
        content_length,
        no_body: !known.chunked && content_length.map_or(has_no_body && known.part(Part::ContentLength).is_empty(), |length| length == 0),
        mount,
    };
    Ok((parts, meta))
}

/// The cookies as one value. A single one that no web server can have joined is taken as it stands.
fn cookie(vars: &CgiVars, known: &Known<'_>, profile: &Profile) -> Bytes {
    let comma = profile.joins_cookies_with_comma;
    if known.cookies == 1 && !(comma && any_byte(known.cookie, |byte| byte == b',')) {
        return vars.share(known.cookie);
    }
    let sent = vars.pairs().filter(|(name, _)| *name == b"HTTP_COOKIE");
    let written = vars.headers().into_iter().flatten().filter(|(name, _)| name.eq_ignore_ascii_case(b"cookie"));
    cookie::join(sent.chain(written).map(|(_, value)| value), comma).into()
}

impl<'a> Known<'a> {
    /// Sorts the headers that a client wrote as [`read_vars`](Self::read_vars) sorts variables, by the names it wrote.
    fn read_headers(&mut self, vars: &'a CgiVars, written: impl Iterator<Item = (&'a [u8], &'a [u8])>, headers: &mut HeaderMap) {
        for (name, value) in written {
            let (name, stays_behind) = match known::find(name) {
                Some(known) => (known.name.clone(), known.meaning == Meaning::StaysBehind),
                None => match HeaderName::from_bytes(name) {
                    Ok(name) => {
                        let stays_behind = stays_behind(name.as_str().as_bytes());
                        (name, stays_behind)
                    }
                    Err(_) => continue,
                },
            };
            match name {
                header::HOST => self.take_host(vars, value, headers),
                header::COOKIE => self.take_cookie(value),
                header::CONTENT_TYPE => self.put(Part::ContentType, value),
                header::CONTENT_LENGTH => self.put(Part::ContentLength, value),
                header::TRANSFER_ENCODING => self.chunked |= is_chunked(value),
                header::AUTHORIZATION => self.take_authorization(value, false),
                _ if stays_behind => {}
                name => append(headers, name, vars.share(value)),
            }
        }
    }

    /// Sorts the variables: the ones with a meaning of their own into itself, and those that are headers into `headers`, if they are the source of `all_headers`.
    fn read_vars(&mut self, vars: &'a CgiVars, max: usize, all_headers: bool, headers: &mut HeaderMap) -> Result<(), VarError> {
        let mut pairs = vars.pairs();
        for (name, value) in pairs.by_ref().take(max) {
            match names::find(name) {
                Some(Var::Header(name)) if all_headers => append(headers, name.clone(), vars.share(value)),
                Some(Var::Host) => self.take_host(vars, value, headers),
                Some(Var::Cookie) => self.take_cookie(value),
                Some(Var::Part(part)) => self.put(*part, value),
                Some(Var::Connection | Var::Header(_)) => {}
                // What is looked for among the others begins with HTTP_, LODGER_ or REDIRECT_.
                None if matches!(name, [b'H' | b'L' | b'R', ..]) => {
                    if let Some(name) = self.take_other(name, value).filter(|_| all_headers) {
                        append(headers, name, vars.share(value));
                    }
                }
                None => {}
            }
        }
        match pairs.next() {
            Some(_) => Err(VarError::TooMany),
            None if pairs.is_at_end() => Ok(()),
            None => Err(VarError::Malformed),
        }
    }

    /// Takes a variable that has no place in the table, and tells which header it is, if it is one. Within the loop it would double the code that each variable runs through.
    #[inline(never)]
    fn take_other(&mut self, name: &[u8], value: &'a [u8]) -> Option<HeaderName> {
        // Apache passes it under REDIRECT_ after each internal redirect.
        let (bare, redirected) = without_redirects(name);
        if bare == b"LODGER_MOUNT" {
            self.mount = Some(value);
            return None;
        }
        if bare == b"HTTP_AUTHORIZATION" {
            self.take_authorization(value, redirected);
            return None;
        }
        let header = name.strip_prefix(HEADER_PREFIX)?;
        self.chunked |= header == b"TRANSFER_ENCODING" && is_chunked(value);
        header_name(header)
    }

    /// The first is the host, and all have to be the same.
    fn take_host(&mut self, vars: &CgiVars, value: &'a [u8], headers: &mut HeaderMap) {
        self.hosts_differ |= self.host.is_some_and(|first| !first.eq_ignore_ascii_case(value));
        self.host = self.host.or(Some(value));
        insert(headers, header::HOST, vars.share(value));
    }

    /// One that is empty says nothing, and the plain form wins over that of a redirect.
    fn take_authorization(&mut self, value: &'a [u8], redirected: bool) {
        if !value.is_empty() && (self.authorization.is_empty() || !redirected) {
            self.authorization = value;
        }
    }

    fn take_cookie(&mut self, value: &'a [u8]) {
        (self.cookie, self.cookies) = (value, self.cookies + 1);
    }

    fn put(&mut self, part: Part, value: &'a [u8]) {
        if let Some(place) = self.parts.get_mut(part as usize) {
            *place = value;
        }
    }

    fn part(&self, part: Part) -> &'a [u8] {
        self.parts.get(part as usize).copied().unwrap_or_default()
    }
}

/// Takes out headers that a client could have smuggled in under another name: `X_Y` and `X-Y` are one variable. Behind a server that joins what is
/// repeated, one that comes twice is two names, and which of them an app would believe is nobody's guess. Equal values are one.
#[cold]
fn drop_collisions(headers: &mut HeaderMap) {
    let repeated: Vec<HeaderName> = headers.keys().filter(|name| headers.get_all(*name).iter().nth(1).is_some()).cloned().collect();
    for name in repeated {
        let mut values = headers.get_all(&name).iter();
        let equal = values.next().cloned().filter(|first| values.all(|other| other == first));
        match equal {
            Some(value) => drop(headers.insert(name, value)),
            None => drop(headers.remove(name)),
        }
    }
}

fn without_redirects(mut name: &[u8]) -> (&[u8], bool) {
    let whole = name.len();
    while let Some(rest) = name.strip_prefix(b"REDIRECT_") {
        name = rest;
    }
    (name, name.len() != whole)
}

/// `USER_AGENT` as `user-agent`, or `None` for what must not reach an app as a header.
pub(super) fn header_name(name: &[u8]) -> Option<HeaderName> {
    const LONGEST: usize = 256;
    let mut lower = [0; LONGEST];
    let lower = lower.get_mut(..name.len())?;
    for (to, from) in lower.iter_mut().zip(name) {
        *to = if *from == b'_' { b'-' } else { from.to_ascii_lowercase() };
    }
    // Content-Length and Content-Type have variables of their own, which the server made and checked.
    let is_passed_on = !stays_behind(lower) && !matches!(&*lower, b"content-length" | b"content-type");
    if is_passed_on { HeaderName::from_bytes(lower).ok() } else { None }
}

/// Whether a header, its name in small letters, is kept from every app.
///
/// `Proxy` would become the proxy of HTTP clients in the environment (CVE-2016-5385, "httpoxy"). The hop-by-hop headers of RFC 9110, 7.6.1 speak of
/// a connection that is not the app's.
pub(super) fn stays_behind(name: &[u8]) -> bool {
    matches!(name, b"proxy" | b"connection" | b"keep-alive" | b"proxy-connection" | b"transfer-encoding" | b"te" | b"trailer" | b"upgrade")
}

/// A value that cannot be a header value stays reachable among the variables, and so does one for which the map has no room.
fn append(headers: &mut HeaderMap, name: HeaderName, value: Bytes) {
    if let Ok(value) = HeaderValue::from_maybe_shared(value) {
        let _ = headers.try_append(name, value);
    }
}

fn insert(headers: &mut HeaderMap, name: HeaderName, value: Bytes) {
    if let Ok(value) = HeaderValue::from_maybe_shared(value) {
        let _ = headers.try_insert(name, value);
    }
}

/// Digits and nothing else: "" is none, -1 is unknown (Caddy, lighttpd), what overflows is no length.
pub(super) fn plain_number(text: &[u8]) -> Option<u64> {
    let digit = |byte: &u8| byte.is_ascii_digit().then(|| u64::from(*byte - b'0'));
    let add = |number: u64, byte| number.checked_mul(10)?.checked_add(digit(byte)?);
    text.iter().try_fold(0, add).filter(|_| !text.is_empty())
}

fn is_chunked(value: &[u8]) -> bool {
    value.split(|byte| *byte == b',').any(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"chunked"))
}

fn version(protocol: &[u8]) -> Version {
    match protocol {
        b"HTTP/1.1" => Version::HTTP_11,
        b"HTTP/0.9" => Version::HTTP_09,
        b"HTTP/1.0" => Version::HTTP_10,
        b"HTTP/2" | b"HTTP/2.0" => Version::HTTP_2,
        b"HTTP/3" | b"HTTP/3.0" => Version::HTTP_3,
        // INCLUDED (server-side includes) and everything that is yet to come.
        _ => Version::HTTP_11,
    }
}

pub(super) fn strip(original: &http::uri::PathAndQuery, mount: &str) -> Result<Uri, VarError> {
    if mount.is_empty() {
        return Ok(Uri::from(original.clone()));
    }
    let rest = original.as_str().get(mount.len()..).unwrap_or_default();
    uri::path_and_query(rest.as_bytes(), Bytes::copy_from_slice).map(Uri::from)
}

struct Origin {
    remote_addr: Option<SocketAddr>,
    https: bool,
    host: Option<Bytes>,
}

/// Who asked, how and for which host.
///
/// REMOTE_ADDR, HTTPS and REQUEST_SCHEME are the truth of the web server; `X-Forwarded-*` counts when its peer is a front of the
/// same machine.
fn origin_facts(
    vars: &CgiVars,
    known: &Known<'_>,
    headers: &HeaderMap,
    authority: Option<&Authority>,
    proxies: Option<&Trusted>,
) -> Result<Origin, VarError> {
    if known.hosts_differ {
        // RFC 9112, 3.2: a server MUST respond with 400 to a message "that contains more than one Host header field line".
        return Err(VarError::Host);
    }
    let ip = ip_addr(known.part(Part::RemoteAddr));
    let trusted = ip.is_some_and(|ip| ip.is_loopback() || is_same_addr(ip, known) || proxies.is_some_and(|proxies| proxies.holds(ip)));
    let forwarded = |name| trusted.then(|| last_of(headers, name)).flatten();
    let https = match forwarded(&X_FORWARDED_PROTO) {
        Some(proto) => proto.eq_ignore_ascii_case(b"https"),
        None => {
            let https = known.part(Part::Https);
            known.part(Part::RequestScheme).eq_ignore_ascii_case(b"https") || !https.is_empty() && !https.eq_ignore_ascii_case(b"off")
        }
    };
    let port = plain_number(known.part(Part::RemotePort)).and_then(|port| u16::try_from(port).ok()).unwrap_or(0);
    let remote_addr = match forwarded(&X_FORWARDED_FOR).and_then(ip_addr) {
        Some(client) => Some(SocketAddr::new(client, 0)),
        None => ip.map(|ip| SocketAddr::new(ip, port)),
    };
    // An empty Host is a client that names none; RFC 9112, 3.2.2 lets the absolute form override the header.
    let own_host = known.host.filter(|host| !host.is_empty()).map(|value| host(value, |value| vars.share(value))).transpose()?;
    let host = match (forwarded(&X_FORWARDED_HOST).and_then(|value| host(value, Bytes::copy_from_slice).ok()), authority) {
        (Some(forwarded), _) => Some(forwarded),
        (None, Some(authority)) => Some(host(authority.as_str().as_bytes(), Bytes::copy_from_slice)?),
        (None, None) => own_host,
    };
    Ok(Origin { remote_addr, https, host })
}

/// Whether the peer of the web server has the address of the web server. There is one way to write an address of the old kind.
fn is_same_addr(peer: IpAddr, known: &Known<'_>) -> bool {
    let own = known.part(Part::ServerAddr);
    own == known.part(Part::RemoteAddr) || own.contains(&b':') && ip_addr(own) == Some(peer)
}

/// How long the body is in plain CGI, where nothing but the variables frames it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CgiBody {
    None,
    Exact(u64),
    UntilEof,
}

/// The length rule of plain CGI: exact where `CONTENT_LENGTH` is present; else a chunked request, POST, PUT and PATCH read to the end of
/// the input; else there is no body. -1 stands for unknown; anything else that is no number cannot be framed and is refused.
pub(crate) fn cgi_body(vars: &CgiVars) -> Result<CgiBody, VarError> {
    let chunked = vars.get_all("HTTP_TRANSFER_ENCODING").any(is_chunked);
    match vars.get("CONTENT_LENGTH").unwrap_or_default() {
        b"" if chunked || matches!(vars.get("REQUEST_METHOD"), Some(b"POST" | b"PUT" | b"PATCH")) => Ok(CgiBody::UntilEof),
        b"" => Ok(CgiBody::None),
        b"-1" => Ok(CgiBody::UntilEof),
        text => match plain_number(text).ok_or(VarError::ContentLength)? {
            0 => Ok(CgiBody::None),
            length => Ok(CgiBody::Exact(length)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{pairs::Pairs, profile};

    /// A request with more variables and with headers that the client wrote, or with the variables that stand for them.
    fn request(more: &[(&str, &str)], headers: &[(&str, &str)], is_written: bool) -> Result<(Parts, Meta), VarError> {
        let sent = [&[("REQUEST_METHOD", "DELETE"), ("REQUEST_URI", "/"), ("REMOTE_ADDR", "127.0.0.1")], more].concat();
        let (bytes, Pairs::Spans(mut pairs), _) = CgiVars::from_pairs(sent.iter().chain(headers).copied()).into_parts() else { panic!() };
        let written = pairs.split_off(sent.len());
        let vars = CgiVars::from_parts(bytes, pairs.into(), Some(written));
        let vars = if is_written { vars } else { CgiVars::from_pairs(vars.iter()) };
        parts_from_vars(&vars, &Context { program: None, profile: &profile::UNKNOWN, trusted: None, max_vars: 1024 })
    }

    #[test]
    fn variables_that_are_too_many_or_cannot_be_read_are_no_request() {
        let map = |bytes, max_vars| {
            let vars = CgiVars::from_parts(Bytes::from_static(bytes), Pairs::Encoded, None);
            parts_from_vars(&vars, &Context { program: None, profile: &profile::UNKNOWN, trusted: None, max_vars }).unwrap_err()
        };
        assert_eq!(map(b"\0\0\0\0\0\0", 3), VarError::NoMethod, "as many as may be");
        assert_eq!(map(b"\0\0\0\0\0\0", 2), VarError::TooMany);
        assert_eq!(map(b"\0\0\0\0\x01", 2), VarError::Malformed, "what is behind them is none");
        assert_eq!(map(b"\0\0\0\0\0\0\x01", 2), VarError::TooMany, "they are too many before anything is malformed");
        assert_eq!(map(b"\xFF\xFF\xFF\xFF\x01", 2), VarError::Malformed);
    }

    #[test]
    fn a_header_as_the_client_wrote_it_is_what_its_variable_makes() {
        let gone = ["Proxy", "CONNECTION", "keep-alive", "Proxy-Connection", "Transfer-Encoding", "TE", "Trailer", "Upgrade"];
        let kept = [
            "Accept",
            "X-Real-Ip",
            "sec-gpc",
            "User-Agent",
            "VIA",
            "X-Forwarded-For",
            "X-Special",
            "X-Content-Type",
            "!~Passenger-Proto",
            "Priority",
        ];
        for name in gone.into_iter().chain(kept) {
            let [written, of_variable] = [true, false].map(|is_written| request(&[], &[(name, "v")], is_written).unwrap().0.headers);
            assert_eq!(written, of_variable, "{name}");
            assert_eq!(written.len(), usize::from(kept.contains(&name)), "{name}");
        }
    }

    #[test]
    fn a_header_with_a_meaning_of_its_own_has_it_as_the_client_wrote_it() {
        let sent: [&[(&str, &str)]; 4] = [
            &[],
            &[("HTTP_AUTHORIZATION", "Basic eDp5"), ("HTTP_COOKIE", "z=1"), ("CONTENT_TYPE", "text/z")],
            &[("REDIRECT_HTTP_AUTHORIZATION", "Basic eDp5"), ("HTTP_HOST", "one.example"), ("CONTENT_LENGTH", "9")],
            &[("HTTP_HOST", "another.example"), ("HTTP_TRANSFER_ENCODING", "chunked")],
        ];
        let said: [&[(&str, &str)]; 11] = [
            &[("Host", "one.example")],
            &[("host", "one.example"), ("HOST", "ONE.example")],
            &[("Host", "one.example"), ("Host", "two.example")],
            &[("Cookie", "a=1")],
            &[("cookie", "a=1"), ("Cookie", "b=2")],
            &[("Authorization", "Basic YTpi"), ("authorization", "")],
            &[("Content-Type", "text/x"), ("content-type", "text/y")],
            &[("Content-Length", "7")],
            &[("Content-Length", "0")],
            &[("Transfer-Encoding", "gzip, chunked")],
            &[("X-Forwarded-Proto", "https"), ("X-Forwarded-For", "192.0.2.1")],
        ];
        for (more, headers) in sent.into_iter().flat_map(|more| said.map(|headers| (more, headers))) {
            let [written, of_variables] = [true, false].map(|is_written| {
                let (parts, meta) = request(more, headers, is_written)?;
                Ok::<_, VarError>((parts.headers, meta.host, meta.content_length, meta.no_body, meta.https, meta.remote_addr))
            });
            assert_eq!(written, of_variables, "{more:?} {headers:?}");
        }
    }
}
