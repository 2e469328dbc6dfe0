//! Names and values that lie in one buffer, as a protocol sent them.

use std::{ops::Range, slice};

/// A name and a value, as ranges of one buffer.
pub(crate) type PairSpan = (Range<u32>, Range<u32>);

/// Where the pairs of a buffer lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Pairs {
    /// Each where it was found.
    Spans(Vec<PairSpan>),
    /// From the first byte to the last one behind another, as [`Encoded`] reads them. Whether they are pairs to the last byte, whoever sorts them finds out: until then a walk
    /// tells those that stand in front of what is none.
    Encoded,
}

impl Default for Pairs {
    fn default() -> Self {
        Self::Spans(Vec::new())
    }
}

impl From<Vec<PairSpan>> for Pairs {
    fn from(spans: Vec<PairSpan>) -> Self {
        Self::Spans(spans)
    }
}

impl Pairs {
    /// How many there are in `bytes`.
    pub(crate) fn count(&self, bytes: &[u8]) -> usize {
        match self {
            Self::Spans(spans) => spans.len(),
            Self::Encoded => Encoded(bytes).count(),
        }
    }

    /// The names and values in `bytes`, in order. A range that points elsewhere reads as empty.
    #[inline]
    pub(crate) fn iter<'a>(&'a self, bytes: &'a [u8]) -> Iter<'a> {
        match self {
            Self::Spans(spans) => Iter::Spans(bytes, spans.iter()),
            Self::Encoded => Iter::Encoded(Encoded(bytes)),
        }
    }

    /// The value of the last pair in `bytes` that has this name.
    #[inline]
    pub(crate) fn last_of<'a>(&'a self, bytes: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
        match self {
            // From behind, and the lengths tell most names apart without a look at them.
            Self::Spans(spans) => {
                let named = |(other, _): &&PairSpan| other.len() == name.len() && cut(bytes, other) == name;
                spans.iter().rev().find(named).map(|(_, value)| cut(bytes, value))
            }
            Self::Encoded => Encoded(bytes).filter(|(other, _)| *other == name).last().map(|(_, value)| value),
        }
    }
}

/// See [`Pairs::iter`].
#[derive(Debug)]
pub(crate) enum Iter<'a> {
    Spans(&'a [u8], slice::Iter<'a, PairSpan>),
    Encoded(Encoded<'a>),
}

impl Iter<'_> {
    /// Whether nothing is left that is no pair.
    pub(crate) fn is_at_end(&self) -> bool {
        match self {
            Self::Spans(_, spans) => spans.as_slice().is_empty(),
            Self::Encoded(pairs) => pairs.is_at_end(),
        }
    }
}

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a [u8], &'a [u8]);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Encoded(pairs) => pairs.next(),
            Self::Spans(bytes, spans) => spans.next().map(|(name, value)| (cut(bytes, name), cut(bytes, value))),
        }
    }
}

/// The bytes of a range; none of one that points elsewhere.
pub(crate) fn cut<'a>(bytes: &'a [u8], range: &Range<u32>) -> &'a [u8] {
    bytes.get(range.start as usize..range.end as usize).unwrap_or_default()
}

/// Pairs one behind another, each behind its two lengths: one byte, or four with the highest bit set (FastCGI specification 3.4).
///
/// It ends where the bytes do, or before what is no pair; [`is_at_end`](Self::is_at_end) tells which.
#[derive(Debug)]
pub(crate) struct Encoded<'a>(&'a [u8]);

impl<'a> Encoded<'a> {
    /// Those of `bytes`, from the first on.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Whether no bytes are left.
    pub(crate) fn is_at_end(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'a> Iterator for Encoded<'a> {
    type Item = (&'a [u8], &'a [u8]);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let (name_len, value_len, content) = match self.0 {
            // Nearly every pair is of this form.
            [name, value, content @ ..] if (name | value) < 0x80 => (usize::from(*name), usize::from(*value), content),
            bytes => long_head(bytes)?,
        };
        let (name, behind) = content.split_at_checked(name_len)?;
        let (value, rest) = behind.split_at_checked(value_len)?;
        self.0 = rest;
        Some((name, value))
    }
}

/// The two lengths, and what stands behind them.
#[cold]
fn long_head(bytes: &[u8]) -> Option<(usize, usize, &[u8])> {
    let (name_len, rest) = length(bytes)?;
    let (value_len, content) = length(rest)?;
    Some((name_len, value_len, content))
}

/// The length at the start of `bytes`, at most 2^31 - 1, and what stands behind it.
fn length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    match bytes {
        [short @ 0..0x80, rest @ ..] => Some((usize::from(*short), rest)),
        [b3, b2, b1, b0, rest @ ..] => Some((u32::from_be_bytes([b3 & 0x7F, *b2, *b1, *b0]) as usize, rest)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_read_the_same_whichever_way_they_lie() {
        let bytes = b"\x01\x02Abc\x80\0\0\x01\x00B\x01\x01Ad";
        let spans = Pairs::from(vec![(2..3, 3..5), (10..11, 11..11), (13..14, 14..15)]);
        let expected: [(&[u8], &[u8]); 3] = [(b"A", b"bc"), (b"B", b""), (b"A", b"d")];
        for pairs in [spans, Pairs::Encoded] {
            assert!(pairs.iter(bytes).eq(expected) && pairs.count(bytes) == 3, "{pairs:?}");
            let last = [&b"A"[..], b"B", b"C"].map(|name| pairs.last_of(bytes, name));
            assert_eq!(last, [Some(&b"d"[..]), Some(b""), None], "{pairs:?}");
        }
    }

    #[test]
    fn a_range_that_points_elsewhere_reads_as_empty() {
        let spans = Pairs::from(vec![(0..1, 1..9), (3..4, 0..2)]);
        let expected: [(&[u8], &[u8]); 2] = [(b"a", b""), (b"", b"ab")];
        assert!(spans.iter(b"ab").eq(expected));
    }
}
