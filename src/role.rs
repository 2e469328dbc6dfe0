//! What belongs to the FastCGI roles beside the Responder: the variables of an Authorizer and the file of a Filter.

use crate::body::Body;
use bytes::Bytes;
use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

/// Variables that an [Authorizer](crate::Role::Authorizer) hands to whatever answers the request: a response extension.
///
/// The web server makes variables of its own of them when the response has status 200 (FastCGI specification 6.3), so that a CGI program, a PHP page or another
/// lodger app finds `AUTH_METHOD` among its variables. On every other response they mean nothing and go nowhere.
///
/// Put no secret here: Apache's mod_fcgid shows the visitor the header `Variable-AUTH_METHOD` too.
///
/// ```
/// fn grant() -> Result<http::Response<String>, lodger::VariableError> {
///     let mut response = http::Response::new(String::new());
///     response.extensions_mut().insert(lodger::Variables::new().with("AUTH_METHOD", "cookie")?);
///     Ok(response)
/// }
/// # assert!(grant().is_ok());
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Variables(Vec<(String, Bytes)>);

impl Variables {
    /// No variables.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a variable. Its name is sent as it is written here; custom wants capital letters, digits and `_`.
    ///
    /// # Errors
    ///
    /// When the name is empty or holds a colon, white space, a control character or something beyond ASCII, and when the value holds a line break or a NUL byte: it would be
    /// a header of its own.
    pub fn with(mut self, name: impl Into<String>, value: impl AsRef<[u8]>) -> Result<Self, VariableError> {
        let (name, value) = (name.into(), value.as_ref());
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':') {
            return Err(VariableError::Name(name));
        }
        if value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
            return Err(VariableError::Value(name));
        }
        self.0.push((name, Bytes::copy_from_slice(value)));
        Ok(self)
    }

    /// Names and values in the order they were added.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.iter().map(|(name, value)| (name.as_str(), &value[..]))
    }
}

/// Why something cannot be a variable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VariableError {
    /// The name is empty, or a header cannot have it.
    #[error("`{}` cannot be the name of a variable: it is empty or holds a colon, white space or a byte that is no visible ASCII", .0.escape_debug())]
    Name(String),
    /// The value of this variable holds a line break or a NUL byte.
    #[error("the value of the variable `{0}` holds a line break or a NUL byte")]
    Value(String),
}

/// The file that a [Filter](crate::Role::Filter) is to change: a request extension, there on requests of this role only.
///
/// It comes after the request body, and can be read before it: what is not read waits in memory up to [`Limits::body_window`](crate::Limits::body_window), and
/// then in a file without a name. [`Limits::body_bytes`](crate::Limits::body_bytes) holds for each of the two. Its errors are those of a [`Body`]; one that ends before
/// `FCGI_DATA_LENGTH` bytes is an error too (specification 6.4).
#[derive(Clone)]
pub struct FilterData(Arc<Mutex<Option<Body>>>);

impl FilterData {
    pub(crate) fn new(body: Body) -> Self {
        Self(Arc::new(Mutex::new(Some(body))))
    }

    /// The file, for the first who asks.
    #[must_use]
    pub fn take(&self) -> Option<Body> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl fmt::Debug for FilterData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FilterData")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_split_the_response_is_no_variable() {
        for name in ["", "A:B", "A B", "A\r\nB", "A\0", "\u{e4}"] {
            assert_eq!(Variables::new().with(name, "x"), Err(VariableError::Name(name.to_owned())));
        }
        for value in ["a\r\nSet-Cookie: b", "a\nb", "a\rb", "a\0b"] {
            assert_eq!(Variables::new().with("A", value), Err(VariableError::Value("A".to_owned())));
        }
        let variables = Variables::new().with("Auth_Method", "cookie: \u{e4}").unwrap().with("A", "").unwrap();
        assert_eq!(variables.iter().collect::<Vec<_>>(), [("Auth_Method", "cookie: \u{e4}".as_bytes()), ("A", b"")]);
    }

    #[test]
    fn the_file_of_a_filter_is_given_once() {
        let data = FilterData::new(Body::empty());
        let other = data.clone();
        assert!(data.take().is_some());
        assert!(other.take().is_none());
    }
}
