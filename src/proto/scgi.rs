//! SCGI: the variables in a netstring, the body behind it, one request per connection.
//!
//! The protocol is `https://python.ca/scgi/protocol.txt`: `LENGTH:NAME\0VALUE\0…,` and then `CONTENT_LENGTH` bytes.

#[cfg(feature = "cli")]
pub(crate) mod client;

use super::{
    PairSpan, Violation,
    announced::{Announced, Dialect, HeadError},
};

/// A connection with one SCGI request.
pub(crate) type Scgi = Announced<Netstring>;

/// The dialect of SCGI.
#[derive(Debug)]
pub(crate) struct Netstring;

impl Dialect for Netstring {
    fn variables(head: &[u8], max: usize) -> Result<Vec<PairSpan>, HeadError> {
        let head = head.strip_suffix(b",").ok_or(HeadError::Malformed("no comma stands where its head ends"))?;
        let start = memchr::memchr(b':', head).ok_or(HeadError::Malformed("the length of its head does not end"))? + 1;
        if start < head.len() && head.last() != Some(&0) {
            return Err(HeadError::Malformed("its last variable does not end"));
        }
        let mut pairs = Vec::with_capacity(32);
        let mut at = start;
        let mut ends = memchr::memchr_iter(0, head).filter(|end| *end >= start);
        while let Some(name_end) = ends.next() {
            let value_end = ends.next().ok_or(HeadError::Malformed("a variable has no value"))?;
            if pairs.len() == max {
                return Err(HeadError::TooMany);
            }
            if name_end == at {
                return Err(HeadError::Malformed("a variable has no name"));
            }
            // A head is far shorter than 4 GiB: `Limits::params_bytes` was checked before it was read.
            let span = |from: usize, to: usize| u32::try_from(from).unwrap_or(u32::MAX)..u32::try_from(to).unwrap_or(u32::MAX);
            pairs.push((span(at, name_end), span(name_end + 1, value_end)));
            at = value_end + 1;
        }
        Ok(pairs)
    }

    fn violation(sentence: &'static str) -> Violation {
        Violation::Scgi(sentence)
    }
}

#[cfg(test)]
#[path = "announced_tests.rs"]
mod tests;
