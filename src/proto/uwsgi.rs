//! The uwsgi protocol with modifier1 0: a head of four bytes, variables with their lengths, the body behind them, one request per connection.
//!
//! The protocol is the page "The uwsgi Protocol" of the uWSGI documentation. The head is `modifier1`, the size of the variables (16 bits, little-endian) and `modifier2`, which
//! has no meaning for a request of variables.

#[cfg(feature = "cli")]
pub(crate) mod client;

use super::{
    Outbox, PairSpan, Violation,
    announced::{Announced, Dialect, HeadError},
};

/// A connection with one uwsgi request.
pub(crate) type Uwsgi = Announced<Packet>;

/// The bytes in front of the variables.
pub(crate) const HEAD: usize = 4;

/// The dialect of uwsgi.
#[derive(Debug)]
pub(crate) struct Packet;

impl Dialect for Packet {
    fn variables(head: &[u8], max: usize) -> Result<Vec<PairSpan>, HeadError> {
        const CUT: HeadError = HeadError::Malformed("a variable reaches beyond the end of its head");
        let mut pairs = Vec::with_capacity(32);
        let mut at = HEAD;
        while at < head.len() {
            if pairs.len() == max {
                return Err(HeadError::TooMany);
            }
            let mut text = || {
                let [low, high] = *head.get(at..).and_then(<[u8]>::first_chunk::<2>)?;
                let (start, end) = (at + 2, at + 2 + usize::from(u16::from_le_bytes([low, high])));
                at = end;
                (end <= head.len()).then_some(u32::try_from(start).ok()?..u32::try_from(end).ok()?)
            };
            let (name, value) = (text().ok_or(CUT)?, text().ok_or(CUT)?);
            if name.is_empty() {
                return Err(HeadError::Malformed("a variable has no name"));
            }
            pairs.push((name, value));
        }
        Ok(pairs)
    }

    /// uWSGI itself answers with a status line, and older mod_proxy_uwsgi takes nothing else.
    fn put_head(block: &[u8], out: &mut Outbox) {
        const STATUS: &[u8] = b"Status:";
        out.put_slice(b"HTTP/1.1");
        out.put_slice(block.strip_prefix(STATUS).unwrap_or(block));
    }

    fn violation(sentence: &'static str) -> Violation {
        Violation::Uwsgi(sentence)
    }
}
