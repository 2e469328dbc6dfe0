//! What variables mean (RFC 3875): [`CgiVars`] to `http::request::Parts`, and a response to a header block. No IO, no records.

mod cookie;
#[cfg(feature = "http")]
pub(crate) mod http;
mod known;
mod mount;
mod names;
pub(crate) mod outgoing;
pub(crate) mod request;
pub(crate) mod response;
mod slots;
mod uri;

pub(crate) use mount::Executable;

use bytes::Bytes;
use std::ops::Range;

/// A name and a value, as ranges of one buffer.
type PairSpan = (Range<u32>, Range<u32>);

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
    pairs: Vec<PairSpan>,
}

impl CgiVars {
    /// No variables at all.
    pub(crate) const fn new() -> Self {
        Self { bytes: Bytes::new(), pairs: Vec::new() }
    }

    /// Variables whose names and values are ranges of `bytes`. A range that points elsewhere reads as empty.
    pub(crate) fn from_spans(bytes: Bytes, pairs: Vec<PairSpan>) -> Self {
        Self { bytes, pairs }
    }

    /// Copies pairs into one buffer.
    pub(crate) fn from_pairs<N: AsRef<[u8]>, V: AsRef<[u8]>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        let mut bytes = Vec::new();
        let mut append = |piece: &[u8]| {
            let start = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
            bytes.extend_from_slice(piece);
            start..u32::try_from(bytes.len()).unwrap_or(u32::MAX)
        };
        let pairs = pairs.into_iter().map(|(name, value)| (append(name.as_ref()), append(value.as_ref()))).collect();
        Self { bytes: bytes.into(), pairs }
    }

    /// The value of the variable `name`, to the letter; of one that is repeated the last, which is the one that was meant when a web server is configured
    /// to set it twice.
    pub fn get(&self, name: impl AsRef<[u8]>) -> Option<&[u8]> {
        let name = name.as_ref();
        // The lengths tell most names apart without a look at them.
        let named = |(other, _): &&PairSpan| other.len() == name.len() && self.cut(other) == name;
        self.pairs.iter().rev().find(named).map(|(_, value)| self.cut(value))
    }

    /// All values of the variable `name`, in order. Some web servers repeat a variable when a request header is repeated.
    pub fn get_all(&self, name: impl AsRef<[u8]>) -> impl Iterator<Item = &[u8]> {
        self.iter().filter(move |(other, _)| *other == name.as_ref()).map(|(_, value)| value)
    }

    /// All variables in the order they came.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.at(&self.pairs)
    }

    /// How many variables there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Whether there is no variable, as on a request that lodger did not make.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// How many bytes all names and values take.
    pub(crate) fn byte_len(&self) -> usize {
        self.bytes.len()
    }

    /// What [`from_spans`](Self::from_spans) takes.
    pub(crate) fn into_spans(self) -> (Bytes, Vec<PairSpan>) {
        (self.bytes, self.pairs)
    }

    /// The pairs at other ranges of the same bytes.
    pub(crate) fn at<'a>(&'a self, pairs: &'a [PairSpan]) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        pairs.iter().map(|(name, value)| (self.cut(name), self.cut(value)))
    }

    /// A name or a value, shared: what is kept of it needs no copy.
    pub(crate) fn share(&self, piece: &[u8]) -> Bytes {
        self.bytes.slice_ref(piece)
    }

    fn cut(&self, range: &Range<u32>) -> &[u8] {
        self.bytes.get(range.start as usize..range.end as usize).unwrap_or_default()
    }
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
