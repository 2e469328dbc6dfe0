//! HMAC-SHA256 over several texts, and comparing in constant time.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// A key of HMAC-SHA256.
pub(super) type Key = [u8; 32];

/// The block of SHA-256; HMAC fills a shorter key up with zeros.
const BLOCK: usize = 64;

/// The code of `parts` under `key`. Each part counts with its length, so that no two lists of parts are one text.
pub(super) fn mac(key: &Key, parts: &[&[u8]]) -> [u8; 32] {
    let mut block = [0; BLOCK];
    block[..key.len()].copy_from_slice(key);
    let mut mac = Hmac::<Sha256>::new(&block.into());
    for part in parts {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// SHA-256.
pub(super) fn digest(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Whether both are the same, in a time that does not tell where they differ. Different lengths are told.
pub(super) fn same(one: &[u8], other: &[u8]) -> bool {
    one.ct_eq(other).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_is_hmac_sha256() {
        // printf '\0\0\0\0\0\0\0\002hi' | openssl dgst -sha256 -mac HMAC -macopt hexkey:0101…01
        let expected = "10aaa684f79fe6f465a5d0f063ff2013f3dde1fcfa73b59db908d5dac191ee7d";
        let hex: String = mac(&[1; 32], &[b"hi"]).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, expected);
    }

    #[test]
    fn where_one_part_ends_counts() {
        assert_ne!(mac(&[1; 32], &[b"ab", b"c"]), mac(&[1; 32], &[b"a", b"bc"]));
        assert_ne!(mac(&[1; 32], &[b"abc"]), mac(&[1; 32], &[b"abc", b""]));
    }

    #[test]
    fn only_the_same_is_the_same() {
        assert!(same(b"abc", b"abc") && same(b"", b""));
        assert!(!same(b"abc", b"abd") && !same(b"abc", b"ab"));
    }
}
