//! The target of a request: from `REQUEST_URI`, the only lossless source of the path, or from what else there is.

use bytes::Bytes;
use http::uri::{Authority, PathAndQuery};
use percent_encoding::{AsciiSet, CONTROLS, percent_encode};

use super::{any_byte, request::VarError};

/// The longest target that `http::Uri` can hold.
const URI_MAX: usize = 65_534;

/// What an `http::Uri` does not take as it stands, `%` left alone: a target is encoded already.
const REFUSED: &AsciiSet = &CONTROLS.add(b' ').add(b'#').add(b'<').add(b'>').add(b'`');

/// What must be encoded in a path that is decoded.
const DECODED: &AsciiSet = &REFUSED.add(b'%').add(b'?').add(b'"').add(b'{').add(b'}').add(b'\\').add(b'^').add(b'|').add(b'[').add(b']');

/// Everything that any version of http could refuse in a target.
const STRICT: &AsciiSet = &DECODED.remove(b'%');

/// A target, split into what an `http::Uri` in origin form holds and what it does not.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) path_and_query: PathAndQuery,
    /// The host of a target in absolute form.
    pub(super) authority: Option<Authority>,
    /// Whether the target is `*`, as in `OPTIONS *`.
    pub(super) asterisk: bool,
}

/// Reads `REQUEST_URI`: origin form, absolute form or `*`. `share` makes `Bytes` of a part of `raw`, by a reference to the buffer in which it lies or by a copy.
///
/// RFC 9112, 3.2.2: "a server MUST accept the absolute-form in requests".
pub(super) fn from_request_uri(raw: &[u8], share: impl FnOnce(&[u8]) -> Bytes) -> Result<Target, VarError> {
    if raw == b"*" {
        return Ok(Target { path_and_query: PathAndQuery::from_static("/"), authority: None, asterisk: true });
    }
    let absolute = if raw.first() == Some(&b'/') { None } else { split_absolute(raw) };
    let Some((authority, rest)) = absolute else {
        // What is in neither form is a path without its slash: everything that a web server lets through is served.
        return Ok(Target { path_and_query: path_and_query(raw, share)?, authority: None, asterisk: false });
    };
    let authority = Authority::try_from(authority).map_err(|_| VarError::Host)?;
    Ok(Target { path_and_query: path_and_query(rest, share)?, authority: Some(authority), asterisk: false })
}

/// `http://host/rest` as `(host, /rest)`.
#[cold]
fn split_absolute(raw: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = raw.iter().position(|byte| !byte.is_ascii_alphanumeric())?;
    let after = raw.get(colon..)?.strip_prefix(b"://")?;
    let end = after.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(after.len());
    Some(after.split_at(end))
}

/// Builds a target from decoded variables when there is no `REQUEST_URI`: `SCRIPT_NAME` + `PATH_INFO`, encoded again, `?` `QUERY_STRING`.
#[cold]
pub(super) fn from_parts(script_name: &[u8], path_info: &[u8], query: &[u8]) -> Result<Target, VarError> {
    let path: String = percent_encode(script_name, DECODED).chain(percent_encode(path_info, DECODED)).collect();
    let mut raw = path.into_bytes();
    if !query.is_empty() {
        raw.push(b'?');
        raw.extend_from_slice(query);
    }
    Ok(Target { path_and_query: path_and_query(&raw, Bytes::copy_from_slice)?, authority: None, asterisk: false })
}

/// Puts a slash before bytes that do not start with one. What an `http::Uri` refuses is percent-encoded, not refused. `share` makes `Bytes` of them, as for [`from_request_uri`].
pub(super) fn path_and_query(raw: &[u8], share: impl FnOnce(&[u8]) -> Bytes) -> Result<PathAndQuery, VarError> {
    if raw.len() > URI_MAX {
        return Err(VarError::UriTooLong);
    }
    if raw.first() != Some(&b'/') {
        return path_and_query(&[b"/", raw].concat(), Bytes::copy_from_slice);
    }
    let odd = |byte| !matches!(byte, 0x21..=0x7E) || matches!(byte, b'#' | b'<' | b'>' | b'`');
    if !any_byte(raw, odd)
        && let Ok(path_and_query) = PathAndQuery::from_maybe_shared(share(raw))
    {
        return Ok(path_and_query);
    }
    let encoded: String = percent_encode(raw, REFUSED).collect();
    if encoded.len() > URI_MAX {
        return Err(VarError::UriTooLong);
    }
    if let Ok(path_and_query) = PathAndQuery::from_maybe_shared(Bytes::from(encoded)) {
        return Ok(path_and_query);
    }
    // Should a version of http refuse more than we know of, the strictest form is taken.
    let (path, query) = match raw.iter().position(|byte| *byte == b'?') {
        Some(mark) => raw.split_at(mark),
        None => (raw, &b""[..]),
    };
    let mut encoded: String = percent_encode(path, STRICT).collect();
    if let Some(query) = query.strip_prefix(b"?") {
        encoded.push('?');
        encoded.extend(percent_encode(query, STRICT));
    }
    PathAndQuery::from_maybe_shared(Bytes::from(encoded)).map_err(|_| VarError::Uri)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(raw: &[u8]) -> Result<Target, VarError> {
        from_request_uri(raw, Bytes::copy_from_slice)
    }

    fn read(raw: &[u8]) -> String {
        target(raw).unwrap().path_and_query.to_string()
    }

    #[test]
    fn what_a_uri_takes_stays_as_it_is() {
        for raw in ["/a%20b//c%2Fd/../e;x?q=%C3%A9", "//host/x", "/?", "/{a}|\"b\"[c]^\\d", "/~u/!$&'()*+,;=:@", "/%zz"] {
            assert_eq!(read(raw.as_bytes()), raw);
        }
    }

    #[test]
    fn what_a_uri_refuses_is_encoded() {
        assert_eq!(read(b"/a b<c>`d\x01\x7F"), "/a%20b%3Cc%3E%60d%01%7F");
        assert_eq!(read("/é?ü#x".as_bytes()), "/%C3%A9?%C3%BC%23x");
        assert_eq!(read(b"/\xFF"), "/%FF");
    }

    #[test]
    fn the_absolute_form_gives_its_host() {
        for (raw, host, path) in [("http://example.org:81/x?y", "example.org:81", "/x?y"), ("https://example.org?y", "example.org", "/?y")] {
            let target = target(raw.as_bytes()).unwrap();
            assert_eq!((target.authority.unwrap().as_str(), target.path_and_query.as_str()), (host, path));
        }
    }

    #[test]
    fn a_path_without_its_slash_gets_one() {
        assert_eq!((read(b"x/y?q"), read(b"?q"), read(b"")), ("/x/y?q".into(), "/?q".into(), "/".into()));
        assert_eq!(from_parts(b"", b"a", b"q").unwrap().path_and_query, "/a?q");
    }

    #[test]
    fn a_target_too_long_for_a_uri_is_said_to_be_so() {
        assert!(target("/".repeat(URI_MAX).as_bytes()).is_ok());
        assert_eq!(target("/".repeat(URI_MAX + 1).as_bytes()).unwrap_err(), VarError::UriTooLong);
        assert_eq!(target("x".repeat(URI_MAX).as_bytes()).unwrap_err(), VarError::UriTooLong, "with its slash");
        let grows = format!("/{}", " ".repeat(30_000));
        assert_eq!(target(grows.as_bytes()).unwrap_err(), VarError::UriTooLong);
    }

    #[test]
    fn decoded_parts_are_encoded_again() {
        let target = from_parts(b"/a b", "/50%?é".as_bytes(), b"q=1").unwrap();
        assert_eq!(target.path_and_query.as_str(), "/a%20b/50%25%3F%C3%A9?q=1");
    }
}
