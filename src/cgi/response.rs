//! A response to a CGI header block, and back again (RFC 3875, 6.2 and 6.3).

use super::{any_byte, request::plain_number};
use crate::{
    page::{self, Form},
    profile::Profile,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, response::Parts};

/// FastCGI specification 6.3: "headers whose names are prefixed with `Variable-`".
const VARIABLE: &str = "Variable-";

/// Why a response of an app cannot be sent.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum ResponseError {
    #[error("the app answered with status {0}; 1xx is no final status, and web servers take it for one")]
    Informational(StatusCode),
    #[error("the value of the response header `{0}` holds a line break or a NUL byte, which would split the response")]
    Splitting(HeaderName),
    #[error("the app set Content-Length to something that is no number, or to two different ones")]
    ContentLength,
}

/// The head of a response, checked.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) status: StatusCode,
    /// What goes out. In the place of a `Content-Length` among it, [`length`](Self::length) does.
    pub(crate) headers: HeaderMap,
    /// The length that the app declared, and once the response is committed the one that is told to the web server.
    pub(crate) declared: Option<u64>,
    /// RFC 9110, 6.4.1: whether a body may follow at all.
    pub(crate) body_allowed: bool,
    length_allowed: bool,
    /// What an Authorizer has the web server make variables of, by their names without `Variable-`.
    variables: Vec<(String, Bytes)>,
}

/// What the way back allows.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Allowed {
    /// The request was a HEAD.
    pub(crate) head_request: bool,
    /// The connection may become something else with a 101.
    pub(crate) upgrade: bool,
}

impl Head {
    /// Checks the head of a response.
    ///
    /// Headers that speak of a connection are left out: the web server owns the connection (RFC 3875, 6.3.4).
    pub(crate) fn new(parts: Parts, allowed: Allowed) -> Result<Self, ResponseError> {
        let Parts { status, mut headers, .. } = parts;
        let upgrades = status == StatusCode::SWITCHING_PROTOCOLS && allowed.upgrade;
        if status.is_informational() && !upgrades {
            return Err(ResponseError::Informational(status));
        }
        let no_content = upgrades || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED | StatusCode::RESET_CONTENT);
        let (mut length, mut names_connection) = (None, false);
        for (name, value) in &headers {
            // The types of http do not allow these bytes; a response is not split even if one day they do.
            // Not by `memchr`, whose first search asks the processor what it can do: on a virtual machine that takes longer than all else of a CGI start.
            if any_byte(value.as_bytes(), |byte| matches!(byte, b'\r' | b'\n' | 0)) {
                return Err(ResponseError::Splitting(name.clone()));
            }
            if *name == header::CONTENT_LENGTH && length.replace(value).is_some_and(|other| other != value) {
                return Err(ResponseError::ContentLength);
            }
            names_connection |= speaks_of_connection(name);
        }
        // The length that the app declared, which is told anew once the response is committed.
        let declared = length.map(|length| plain_number(length.as_bytes()).ok_or(ResponseError::ContentLength)).transpose()?;
        if names_connection && !upgrades {
            leave_out_connection(&mut headers);
        }
        Ok(Self { status, headers, declared, body_allowed: !no_content && !allowed.head_request, length_allowed: !no_content, variables: Vec::new() })
    }

    /// The answer of an Authorizer that lets a request pass. Variables are all that counts of it (FastCGI specification 6.3); names and values were checked.
    pub(crate) fn of_grant(variables: Vec<(String, Bytes)>) -> Self {
        Self { status: StatusCode::OK, headers: HeaderMap::new(), declared: None, body_allowed: false, length_allowed: false, variables }
    }

    /// A page for a request that lodger answers itself, in the form that its `Accept` likes, and its head.
    pub(crate) fn of_error(status: StatusCode, code: &str, accept: Option<&[u8]>, head_request: bool) -> (Self, Bytes) {
        let form = Form::of(accept);
        let page = page::of(status, Some(code), form);
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, form.content_type());
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
        }
        let head =
            Self { status, headers, declared: Some(page.len() as u64), body_allowed: !head_request, length_allowed: true, variables: Vec::new() };
        (head, if head_request { Bytes::new() } else { page.into() })
    }

    /// The length to tell, where one is known and allowed.
    pub(crate) fn length(&self) -> Option<u64> {
        self.declared.filter(|_| self.length_allowed)
    }

    /// Whether this web server would refuse the head; then, what to tell the developer.
    pub(crate) fn over_budget(&self, profile: &Profile) -> Option<String> {
        let sizes = || self.lines().map(|(prefix, name, value)| prefix.len() + name.len() + value + 4);
        let (block, fattest, count) = sizes().fold((0, 0, 0), |(block, fattest, count), size| (block + size, size.max(fattest), count + 1));
        let over = block > profile.header_block || fattest > profile.header_line || count > profile.header_count;
        over.then(|| self.tell_over_budget(profile, block, fattest, count))
    }

    /// All headers and variables: what stands before the name, the name, and how long the value is.
    fn lines(&self) -> impl Iterator<Item = (&'static str, &str, usize)> {
        let headers = self.headers.iter().map(|(name, value)| ("", name.as_str(), value.len()));
        headers.chain(self.variables.iter().map(|(name, value)| (VARIABLE, name.as_str(), value.len())))
    }

    #[cold]
    fn tell_over_budget(&self, profile: &Profile, block: usize, fattest: usize, count: usize) -> String {
        let what = if block > profile.header_block {
            format!("its headers take {block} bytes, more than the {} it takes in all", profile.header_block)
        } else if fattest > profile.header_line {
            format!("a header line takes {fattest} bytes, more than the {} it takes", profile.header_line)
        } else {
            format!("it has {count} headers, more than the {} it takes", profile.header_count)
        };
        let (prefix, name, _) = self.lines().max_by_key(|(prefix, name, value)| prefix.len() + name.len() + value).unwrap_or_default();
        format!("{} may refuse this response: {what}; the largest header is `{prefix}{name}` with {fattest} bytes", profile.name())
    }

    /// Appends the header block in one piece with the first bytes of the body behind it to `block`, and tells where those begin. `Status:` comes first, and always: a `Location` without it is an
    /// internal redirect for Apache, Caddy and h2o. HAProxy alone wants it behind `Location`.
    pub(crate) fn write(&self, start: &[u8], profile: &Profile, block: &mut Vec<u8>) -> usize {
        let mut digits = itoa::Buffer::new();
        let mut put = |pieces: &[&[u8]]| pieces.iter().for_each(|piece| block.extend_from_slice(piece));
        let before_status = |name: &HeaderName| profile.status_behind_location && name == header::LOCATION;
        if profile.status_behind_location {
            for value in self.headers.get_all(header::LOCATION) {
                put(&[header::LOCATION.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"]);
            }
        }
        put(&[b"Status: ", self.status.as_str().as_bytes(), b" ", self.status.canonical_reason().unwrap_or("").as_bytes(), b"\r\n"]);
        for (name, value) in self.headers.iter().filter(|(name, _)| *name != header::CONTENT_LENGTH && !before_status(name)) {
            put(&[name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"]);
        }
        for (name, value) in &self.variables {
            put(&[VARIABLE.as_bytes(), name.as_bytes(), b": ", value, b"\r\n"]);
        }
        if let Some(length) = self.length() {
            put(&[b"content-length: ", digits.format(length).as_bytes(), b"\r\n"]);
        }
        put(&[b"\r\n"]);
        let head_len = block.len();
        block.extend_from_slice(start);
        head_len
    }
}

fn leave_out_connection(headers: &mut HeaderMap) {
    let named = headers.get_all(header::CONNECTION).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    let named: Vec<HeaderName> = named.filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok()).collect();
    let own: Vec<HeaderName> = headers.keys().filter(|name| speaks_of_connection(name)).cloned().collect();
    for name in named.into_iter().chain(own) {
        headers.remove(name);
    }
}

/// Whether a header is about the connection to the web server and not about the response. `Status` is how CGI says the status.
fn speaks_of_connection(name: &HeaderName) -> bool {
    matches!(*name, header::CONNECTION | header::TRANSFER_ENCODING | header::UPGRADE | header::TRAILER | header::TE)
        || matches!(name.as_str(), "keep-alive" | "proxy-connection" | "status")
}

/// How a header block begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Opening {
    /// With headers, `Status` among them (RFC 3875, 6.3.3).
    #[default]
    Headers,
    /// With `HTTP/1.1 200 OK`, as uWSGI does.
    StatusLine,
}

/// What a web server reads of a header block: the status, the headers and where the body starts. `None` while the block is not whole.
///
/// # Errors
///
/// A sentence that says what is wrong with the block.
pub(crate) fn parse(bytes: &[u8], opening: Opening) -> Result<Option<(StatusCode, HeaderMap, usize)>, String> {
    let Some(end) = memchr::memmem::find(bytes, b"\r\n\r\n") else { return Ok(None) };
    let mut block = bytes.get(..end).unwrap_or_default();
    let mut first = None;
    if opening == Opening::StatusLine {
        let (line, rest) = block.split_at(memchr::memchr(b'\n', block).map_or(block.len(), |at| at + 1));
        let told = line.strip_prefix(b"HTTP/1.1 ").and_then(|line| StatusCode::from_bytes(line.get(..3)?).ok());
        first = Some(told.ok_or("it does not begin with a status line")?);
        block = rest;
    }
    let (status, headers) = fields(block)?;
    Ok(Some((status.or(first).unwrap_or(StatusCode::OK), headers, end + 4)))
}

/// The header fields of a block without the empty line at its end, and what it says of the status. Lines end in CRLF or in LF alone (RFC 3875, 6.2: `NL`).
///
/// # Errors
///
/// A sentence that says what is wrong with the block.
pub(crate) fn fields(block: &[u8]) -> Result<(Option<StatusCode>, HeaderMap), String> {
    let (mut status, mut headers) = (None, HeaderMap::new());
    let lines = block.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    // Behind the line break of the last line comes an empty piece that is no line.
    for line in lines.filter(|line| !line.is_empty()) {
        let colon = memchr::memchr(b':', line).ok_or_else(|| format!("a header line without a colon: {}", String::from_utf8_lossy(line)))?;
        let (name, value) = line.split_at(colon);
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        if name.eq_ignore_ascii_case(b"status") {
            status = Some(value.get(..3).and_then(|code| StatusCode::from_bytes(code).ok()).ok_or("a Status that is no status")?);
            continue;
        }
        let name = HeaderName::from_bytes(name).map_err(|_| format!("a header name that is none: {}", String::from_utf8_lossy(name)))?;
        let value = HeaderValue::from_bytes(value).map_err(|error| error.to_string())?;
        headers.try_append(name, value).map_err(|error| error.to_string())?;
    }
    Ok((status, headers))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(response: http::Response<()>, length: Option<u64>) -> String {
        let mut head = Head::new(response.into_parts().0, Allowed::default()).unwrap();
        head.declared = length;
        let mut block = Vec::new();
        let head_len = head.write(b"body", &crate::profile::UNKNOWN, &mut block);
        assert_eq!(&block[head_len..], b"body");
        String::from_utf8(block[..head_len].to_vec()).unwrap()
    }

    fn written(head: &Head, profile: &Profile) -> String {
        let mut block = Vec::new();
        head.write(b"", profile, &mut block);
        String::from_utf8(block).unwrap()
    }

    #[test]
    fn status_comes_first_and_connection_headers_stay_behind() {
        let response = http::Response::builder()
            .status(302)
            .header("location", "/x")
            .header("connection", "close, x-hop")
            .header("x-hop", "1")
            .header("transfer-encoding", "chunked")
            .header("keep-alive", "timeout=5")
            .header("set-cookie", "a=1")
            .header("set-cookie", "b=2")
            .body(())
            .unwrap();
        assert_eq!(block(response, None), "Status: 302 Found\r\nlocation: /x\r\nset-cookie: a=1\r\nset-cookie: b=2\r\n\r\n");
    }

    #[test]
    fn a_status_without_a_name_is_sent_all_the_same() {
        assert_eq!(block(http::Response::builder().status(599).body(()).unwrap(), Some(3)), "Status: 599 \r\ncontent-length: 3\r\n\r\n");
    }

    #[test]
    fn no_body_and_no_length_where_http_forbids_them() {
        for status in [204, 304, 205] {
            let parts = http::Response::builder().status(status).body(()).unwrap().into_parts().0;
            let head = Head { declared: Some(0), ..Head::new(parts, Allowed::default()).unwrap() };
            assert!(!head.body_allowed);
            assert!(!written(&head, &crate::profile::UNKNOWN).contains("content-length"));
        }
    }

    #[test]
    fn what_no_server_would_understand_is_refused() {
        let informational = http::Response::builder().status(103).body(()).unwrap().into_parts().0;
        assert_eq!(Head::new(informational, Allowed::default()).unwrap_err(), ResponseError::Informational(StatusCode::EARLY_HINTS));
        for lengths in [&["1", "2"][..], &["x"], &["-1"]] {
            let mut response = http::Response::new(());
            for length in lengths {
                response.headers_mut().append("content-length", length.parse().unwrap());
            }
            assert_eq!(Head::new(response.into_parts().0, Allowed::default()).unwrap_err(), ResponseError::ContentLength);
        }
    }

    #[test]
    fn a_connection_becomes_something_else_only_where_it_may() {
        let parts =
            || http::Response::builder().status(101).header("connection", "upgrade").header("upgrade", "websocket").body(()).unwrap().into_parts().0;
        assert!(Head::new(parts(), Allowed::default()).is_err());
        let head = Head::new(parts(), Allowed { upgrade: true, ..Allowed::default() }).unwrap();
        assert_eq!((head.body_allowed, head.headers.len(), head.length()), (false, 2, None));
    }

    #[test]
    fn the_fat_header_is_named() {
        let response = http::Response::builder().header("x-small", "1").header("x-fat", "f".repeat(4200)).body(()).unwrap();
        let head = Head::new(response.into_parts().0, Allowed::default()).unwrap();
        let warning = head.over_budget(&crate::profile::NGINX).unwrap();
        assert!(warning.contains("`x-fat` with 4209 bytes"), "{warning}");
        assert_eq!(head.over_budget(&crate::profile::MOD_FCGID), None);
    }

    #[test]
    fn haproxy_is_told_the_status_last() {
        // It makes 302 of every status that stands before a `Location`, of 201 and 307 too.
        let response = http::Response::builder().status(307).header("x-a", "b").header("location", "/x").body(()).unwrap();
        let head = Head::new(response.into_parts().0, Allowed::default()).unwrap();
        let block = |profile| written(&head, profile);
        assert_eq!(block(&crate::profile::HAPROXY), "location: /x\r\nStatus: 307 Temporary Redirect\r\nx-a: b\r\n\r\n");
        assert_eq!(block(&crate::profile::UNKNOWN), "Status: 307 Temporary Redirect\r\nx-a: b\r\nlocation: /x\r\n\r\n");
    }

    #[test]
    fn a_block_is_read_back() {
        let (status, headers, body) = parse(b"Status: 404 Not Found\r\na: b\r\n\r\nrest", Opening::Headers).unwrap().unwrap();
        assert_eq!((status.as_u16(), headers["a"].as_bytes(), body), (404, &b"b"[..], 31));
        let (status, headers, body) = parse(b"HTTP/1.1 404 Not Found\r\na: b\r\n\r\nrest", Opening::StatusLine).unwrap().unwrap();
        assert_eq!((status.as_u16(), headers["a"].as_bytes(), body), (404, &b"b"[..], 32));
        assert_eq!(parse(b"Status: 200 OK\r\n", Opening::Headers), Ok(None));
        assert!(parse(b"nonsense\r\n\r\n", Opening::Headers).is_err());
        assert!(parse(b"Status: 200 OK\r\n\r\n", Opening::StatusLine).is_err());
    }

    #[test]
    fn the_fields_of_a_shell_script_end_in_a_line_feed() {
        let (status, headers) = fields(b"Content-Type: text/plain\nX-A: b").unwrap();
        assert_eq!((status, headers["content-type"].as_bytes(), headers["x-a"].as_bytes()), (None, &b"text/plain"[..], &b"b"[..]));
        assert_eq!(fields(b"Status: 418").unwrap().0, Some(StatusCode::IM_A_TEAPOT));
    }
}
