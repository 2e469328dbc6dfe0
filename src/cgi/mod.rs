//! What variables mean (RFC 3875): [`CgiVars`] to `http::request::Parts`, and a response to a header block. No IO, no records.

mod cookie;
#[cfg(feature = "http")]
pub(crate) mod http;
mod known;
mod mount;
mod names;
mod origin;
pub(crate) mod outgoing;
pub(crate) mod request;
pub(crate) mod response;
mod slots;
mod uri;

pub(crate) use mount::Executable;

use crate::pairs::{self, PairSpan, Pairs};
use bytes::Bytes;
use std::{borrow::Cow, sync::OnceLock};

/// Everything that the web server said about a request: its variables in the order they came, as bytes, duplicates kept.
///
/// ```
/// use lodger::RequestExt as _;
/// fn user(req: &http::Request<lodger::Body>) -> Option<&[u8]> {
///     req.cgi_vars().get("REMOTE_USER")
/// }
/// ```
#[derive(Clone, Default)]
pub struct CgiVars {
    bytes: Bytes,
    /// The variables that the web server sent as such.
    pairs: Pairs,
    /// The headers as the client wrote them, where the protocol carries them in the place of their variables.
    headers: Option<Vec<PairSpan>>,
    /// Everything as variables, made when somebody asks for one that stands for a header, or for all.
    all: OnceLock<Box<CgiVars>>,
}

/// What stands before the names of most headers in those of their variables.
const HEADER_PREFIX: &[u8] = b"HTTP_";

/// Headers whose variables have no prefix, and those variables.
const WITHOUT_PREFIX: [(&[u8], &[u8]); 2] = [(b"content-type", b"CONTENT_TYPE"), (b"content-length", b"CONTENT_LENGTH")];

impl CgiVars {
    /// No variables at all.
    pub(crate) const fn new() -> Self {
        Self { bytes: Bytes::new(), pairs: Pairs::Spans(Vec::new()), headers: None, all: OnceLock::new() }
    }

    /// Variables, and headers as the client wrote them, whose names and values lie in `bytes`. A range that points elsewhere reads as empty.
    pub(crate) fn from_parts(bytes: Bytes, pairs: Pairs, headers: Option<Vec<PairSpan>>) -> Self {
        Self { bytes, pairs, headers, all: OnceLock::new() }
    }

    /// Copies pairs into one buffer.
    pub(crate) fn from_pairs<N: AsRef<[u8]>, V: AsRef<[u8]>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        let mut bytes = Vec::new();
        let mut append = |piece: &[u8]| {
            let start = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
            bytes.extend_from_slice(piece);
            start..u32::try_from(bytes.len()).unwrap_or(u32::MAX)
        };
        let pairs: Vec<_> = pairs.into_iter().map(|(name, value)| (append(name.as_ref()), append(value.as_ref()))).collect();
        Self::from_parts(bytes.into(), pairs.into(), None)
    }

    /// Pairs that are slices of `bytes`, which are shared. One that lies elsewhere reads as empty.
    pub(crate) fn of_slices<'a>(bytes: &Bytes, pairs: impl IntoIterator<Item = (&'a [u8], &'a [u8])>) -> Self {
        let place = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        let span = |piece: &[u8]| {
            let start = piece.as_ptr().addr().wrapping_sub(bytes.as_ptr().addr());
            place(start)..place(start.saturating_add(piece.len()))
        };
        let pairs: Vec<_> = pairs.into_iter().map(|(name, value)| (span(name), span(value))).collect();
        Self::from_parts(bytes.clone(), pairs.into(), None)
    }

    /// The value of the variable `name`, to the letter; of one that is repeated the last, which is the one that was meant when a web server is configured
    /// to set it twice.
    pub fn get(&self, name: impl AsRef<[u8]>) -> Option<&[u8]> {
        self.value(name.as_ref())
    }

    /// Knows nothing of the kind of the name, so that it is made once and lies beside what a CGI program runs: elsewhere it would be a page fault of its own.
    fn value(&self, name: &[u8]) -> Option<&[u8]> {
        let vars = self.with(name);
        vars.pairs.last_of(&vars.bytes, name)
    }

    /// All values of the variable `name`, in order. Some web servers repeat a variable when a request header is repeated.
    pub fn get_all(&self, name: impl AsRef<[u8]>) -> impl Iterator<Item = &[u8]> {
        self.with(name.as_ref()).pairs().filter(move |(other, _)| *other == name.as_ref()).map(|(_, value)| value)
    }

    /// All variables in the order they came.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.all().pairs()
    }

    /// How many variables there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pairs.count(&self.bytes) + self.headers.as_ref().map_or(0, Vec::len)
    }

    /// Whether there is no variable, as on a request that lodger did not make.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many bytes there are of names and values, with what stands between them.
    pub(crate) fn byte_len(&self) -> usize {
        self.bytes.len()
    }

    /// What [`from_parts`](Self::from_parts) takes.
    pub(crate) fn into_parts(self) -> (Bytes, Pairs, Option<Vec<PairSpan>>) {
        (self.bytes, self.pairs, self.headers)
    }

    /// The variables that the web server sent as such.
    fn pairs(&self) -> pairs::Iter<'_> {
        self.pairs.iter(&self.bytes)
    }

    /// The headers as the client wrote them, where the protocol carries them. They are taken instead of the `HTTP_*` variables, in which `X_Y` and `X-Y` are one.
    fn headers(&self) -> Option<impl Iterator<Item = (&[u8], &[u8])>> {
        self.headers.as_ref().map(|written| pairs::Iter::Spans(&self.bytes, written.iter()))
    }

    /// Everything as variables, those that CGI makes of headers (RFC 3875, 4.1.18) behind the others. Few handlers ask for them, and to make them costs as much as to read the others.
    fn all(&self) -> &Self {
        let Some(headers) = self.headers() else { return self };
        self.all.get_or_init(|| {
            let made = headers.map(|(name, value)| (variable_of(name).into(), value));
            let sent = self.pairs().map(|(name, value)| (Cow::from(name), value));
            Box::new(Self::from_pairs(sent.chain(made)))
        })
    }

    /// Where a variable of that name stands: among all of them, if it may be one that CGI makes of a header.
    fn with(&self, name: &[u8]) -> &Self {
        if name.starts_with(HEADER_PREFIX) || WITHOUT_PREFIX.iter().any(|(_, variable)| *variable == name) { self.all() } else { self }
    }

    /// A name or a value of [`pairs`](Self::pairs) or [`headers`](Self::headers), shared: what is kept of it needs no copy.
    ///
    /// # Panics
    ///
    /// With anything else: what [`iter`](Self::iter) and the like tell may lie in other bytes.
    fn share(&self, piece: &[u8]) -> Bytes {
        self.bytes.slice_ref(piece)
    }
}

/// Whether `is_such` holds for any byte. All are looked at whatever the first say, which the compiler does several at a time.
fn any_byte(bytes: &[u8], is_such: impl Fn(u8) -> bool) -> bool {
    bytes.iter().fold(false, |any, byte| any | is_such(*byte))
}

/// The name of the variable that a header becomes.
fn variable_of(header: &[u8]) -> Vec<u8> {
    if let Some((_, variable)) = WITHOUT_PREFIX.iter().find(|(name, _)| header.eq_ignore_ascii_case(name)) {
        return variable.to_vec();
    }
    let name = header.iter().map(|byte| if *byte == b'-' { b'_' } else { byte.to_ascii_uppercase() });
    HEADER_PREFIX.iter().copied().chain(name).collect()
}

/// The names, and values only of those that tell no secret.
impl std::fmt::Debug for CgiVars {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter().map(|(name, _)| String::from_utf8_lossy(name))).finish()
    }
}

#[cfg(test)]
#[path = "fixture_tests.rs"]
mod fixtures;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_of_a_buffer_are_variables_and_others_read_as_empty() {
        let bytes = Bytes::from_static(b"A=1\0B=two\0");
        let vars = CgiVars::of_slices(&bytes, [(&bytes[..1], &bytes[2..3]), (&bytes[4..5], &bytes[6..9]), (&b"C"[..], &b"3"[..])]);
        assert!(vars.iter().eq([(&b"A"[..], &b"1"[..]), (b"B", b"two"), (b"", b"")]), "{vars:?}");
        assert_eq!((vars.get("B"), vars.get("C")), (Some(&b"two"[..]), None));
    }

    #[test]
    fn headers_that_a_client_wrote_are_variables_too() {
        let sent = [("REMOTE_USER", "ann"), ("PATH", "/bin")];
        let headers =
            [("Content-Type", "text/x"), ("content-length", "5"), ("X-Y", "1"), ("X_Y", "2"), ("x-y", "3"), ("Content_Length", "9"), ("E", "")];
        let (bytes, Pairs::Spans(mut pairs), _) = CgiVars::from_pairs(sent.into_iter().chain(headers)).into_parts() else { panic!() };
        let written = pairs.split_off(sent.len());
        let vars = CgiVars::from_parts(bytes, pairs.into(), Some(written));
        let made = ["CONTENT_TYPE", "CONTENT_LENGTH", "HTTP_X_Y", "HTTP_X_Y", "HTTP_X_Y", "HTTP_CONTENT_LENGTH", "HTTP_E"];
        let all = CgiVars::from_pairs(sent.into_iter().chain(made.into_iter().zip(headers.map(|(_, value)| value))));
        for name in ["REMOTE_USER", "CONTENT_TYPE", "CONTENT_LENGTH", "HTTP_X_Y", "HTTP_E", "X-Y", "HTTP_NONE", ""] {
            assert_eq!(vars.get(name), all.get(name), "{name}");
        }
        assert_eq!((vars.len(), vars.is_empty()), (all.len(), false));
        assert!(vars.iter().eq(all.iter()) && vars.get_all("HTTP_X_Y").eq([b"1", b"2", b"3"]));
    }
}
