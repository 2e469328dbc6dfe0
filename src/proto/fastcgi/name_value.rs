//! Name-value pairs (specification 3.4): each length is one byte, or four with the highest bit set.

use crate::pairs::Encoded;
use bytes::BytesMut;

/// A length over 2^31 - 1, which cannot be encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooLong;

/// Whether `bytes` are pairs to the last byte. Nothing is copied or allocated by a length that a peer claims.
pub(crate) fn are_pairs(bytes: &[u8]) -> bool {
    let mut pairs = Encoded::new(bytes);
    pairs.by_ref().for_each(drop);
    pairs.is_at_end()
}

/// Appends a pair, each length in its shortest form.
///
/// A length over 2^31 - 1 cannot be encoded: such a pair is refused and `out` stays as it was.
pub(crate) fn encode(name: &[u8], value: &[u8], out: &mut BytesMut) -> Result<(), TooLong> {
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

fn encodable(len: usize) -> Result<u32, TooLong> {
    u32::try_from(len).ok().filter(|len| *len < 1 << 31).ok_or(TooLong)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

    fn texts(bytes: &[u8]) -> Option<Pairs> {
        are_pairs(bytes).then(|| Encoded::new(bytes).map(|(name, value)| (name.to_vec(), value.to_vec())).collect())
    }

    #[test]
    fn both_lengths_come_in_both_forms() {
        let pair = vec![(b"A".to_vec(), b"bc".to_vec())];
        for bytes in [&b"\x01\x02Abc"[..], b"\x80\0\0\x01\x02Abc", b"\x01\x80\0\0\x02Abc", b"\x80\0\0\x01\x80\0\0\x02Abc"] {
            assert_eq!(texts(bytes), Some(pair.clone()));
        }
    }

    #[test]
    fn a_length_that_points_behind_the_end_is_malformed() {
        for bytes in [&b"\x01"[..], b"\x01\x02Ab", b"\x80\0\0", b"\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFFab", b"\x05\x80\0"] {
            assert_eq!(texts(bytes), None, "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn pairs_come_out_as_they_went_in(pairs in proptest::collection::vec((proptest::collection::vec(any::<u8>(), 0..200), proptest::collection::vec(any::<u8>(), 0..200)), 0..20)) {
            let mut bytes = BytesMut::new();
            for (name, value) in &pairs {
                encode(name, value, &mut bytes).unwrap();
            }
            prop_assert_eq!(texts(&bytes), Some(pairs));
        }

        #[test]
        fn any_bytes_are_pairs_inside_the_bytes_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let end_of = |piece: &[u8]| piece.as_ptr_range().end as usize - bytes.as_ptr() as usize;
            let walked = Encoded::new(&bytes).last().map_or(0, |(_, value)| end_of(value));
            prop_assert!(walked <= bytes.len());
            prop_assert_eq!(are_pairs(&bytes), walked == bytes.len());
        }
    }
}
