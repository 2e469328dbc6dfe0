//! Name-value pairs (specification 3.4): each length is one byte, or four with the highest bit set.

use crate::proto::PairSpan;
use bytes::BytesMut;

/// Why a sequence of pairs cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PairError {
    /// A length points behind the end, or the bytes stop inside a length.
    Malformed,
    /// More pairs than allowed.
    TooMany,
}

/// Finds the pairs in `bytes`, at most `max` of them. Nothing is copied or allocated by a length that a peer claims.
pub(crate) fn decode(bytes: &[u8], max: usize) -> Result<Vec<PairSpan>, PairError> {
    // Positions are kept as `u32`; those of the pairs below cannot pass the end.
    u32::try_from(bytes.len()).map_err(|_| PairError::Malformed)?;
    // The shortest pair takes two bytes; about 30 is usual, so that one allocation is enough for ordinary requests.
    let mut pairs = Vec::with_capacity(max.min(bytes.len() / 32 + 8));
    let mut at = 0;
    while let Some(&name_len) = bytes.get(at) {
        let (name, name_len, value_len) = match bytes.get(at + 1) {
            // Nearly every pair is of this form.
            Some(&value_len) if (name_len | value_len) < 0x80 => (at + 2, name_len.into(), value_len.into()),
            _ => long_head(bytes, at)?,
        };
        let value = name + name_len;
        let next = value + value_len;
        if next > bytes.len() {
            return Err(PairError::Malformed);
        }
        if pairs.len() == max {
            return Err(PairError::TooMany);
        }
        pairs.push((name as u32..value as u32, value as u32..next as u32));
        at = next;
    }
    Ok(pairs)
}

/// Where the name of the pair at `at` begins, behind its two lengths, and what they are. Neither is longer than all bytes, so that nobody has to fear to add them.
#[cold]
fn long_head(bytes: &[u8], at: usize) -> Result<(usize, usize, usize), PairError> {
    let (name_len, value_at) = length(bytes, at)?;
    let (value_len, name_at) = length(bytes, value_at)?;
    if name_len.max(value_len) > bytes.len() { Err(PairError::Malformed) } else { Ok((name_at, name_len, value_len)) }
}

/// The length at `at`, at most 2^31 - 1, and where it ends.
fn length(bytes: &[u8], at: usize) -> Result<(usize, usize), PairError> {
    match *bytes.get(at..).unwrap_or_default() {
        [short @ 0..0x80, ..] => Ok((short.into(), at + 1)),
        [b3, b2, b1, b0, ..] => Ok((u32::from_be_bytes([b3 & 0x7F, b2, b1, b0]) as usize, at + 4)),
        _ => Err(PairError::Malformed),
    }
}

/// Appends a pair, each length in its shortest form.
///
/// A length over 2^31 - 1 cannot be encoded: such a pair is refused and `out` stays as it was.
pub(crate) fn encode(name: &[u8], value: &[u8], out: &mut BytesMut) -> Result<(), PairError> {
    let (name_len, value_len) = (encodable(name.len())?, encodable(value.len())?);
    for len in [name_len, value_len] {
        match u8::try_from(len) {
            Ok(short) if short < 0x80 => out.extend_from_slice(&[short]),
            _ => out.extend_from_slice(&(len | 1 << 31).to_be_bytes()),
        }
    }
    out.extend_from_slice(name);
    out.extend_from_slice(value);
    Ok(())
}

fn encodable(len: usize) -> Result<u32, PairError> {
    u32::try_from(len).ok().filter(|len| *len < 1 << 31).ok_or(PairError::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

    fn texts(bytes: &[u8]) -> Result<Pairs, PairError> {
        let cut = |range: std::ops::Range<u32>| bytes[range.start as usize..range.end as usize].to_vec();
        Ok(decode(bytes, 100)?.into_iter().map(|(name, value)| (cut(name), cut(value))).collect())
    }

    #[test]
    fn both_lengths_come_in_both_forms() {
        let pair = vec![(b"A".to_vec(), b"bc".to_vec())];
        for bytes in [&b"\x01\x02Abc"[..], b"\x80\0\0\x01\x02Abc", b"\x01\x80\0\0\x02Abc", b"\x80\0\0\x01\x80\0\0\x02Abc"] {
            assert_eq!(texts(bytes), Ok(pair.clone()));
        }
    }

    #[test]
    fn a_length_that_points_behind_the_end_is_malformed() {
        for bytes in [&b"\x01"[..], b"\x01\x02Ab", b"\x80\0\0", b"\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFFab", b"\x05\x80\0"] {
            assert_eq!(texts(bytes), Err(PairError::Malformed), "{bytes:?}");
        }
    }

    #[test]
    fn more_pairs_than_allowed_are_refused() {
        assert_eq!(decode(b"\0\0\0\0\0\0", 2), Err(PairError::TooMany));
        assert_eq!(decode(b"\0\0\0\0\0\0", 3).map(|pairs| pairs.len()), Ok(3));
    }

    proptest! {
        #[test]
        fn pairs_come_out_as_they_went_in(pairs in proptest::collection::vec((proptest::collection::vec(any::<u8>(), 0..200), proptest::collection::vec(any::<u8>(), 0..200)), 0..20)) {
            let mut bytes = BytesMut::new();
            for (name, value) in &pairs {
                encode(name, value, &mut bytes).unwrap();
            }
            prop_assert_eq!(texts(&bytes), Ok(pairs));
        }

        #[test]
        fn any_bytes_are_pairs_inside_the_bytes_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(pairs) = decode(&bytes, 100) {
                prop_assert!(pairs.iter().all(|(name, value)| name.end <= value.start && value.end as usize <= bytes.len()));
            }
        }
    }
}
