//! `$apr1$`: the MD5 of Apache's htpasswd, a thousand times over. Old, and still what `htpasswd` makes when nobody says otherwise.

use md5::{Digest as _, Md5};

/// How many characters of a salt count.
pub(super) const MAX_SALT: usize = 8;

/// How many characters the hash has behind the salt.
pub(super) const LEN: usize = 22;

/// The digits of crypt(3), for six bits each.
const DIGITS: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Which bytes of the digest are written together, as four digits.
const GROUPS: [[usize; 3]; 5] = [[0, 6, 12], [1, 7, 13], [2, 8, 14], [3, 9, 15], [4, 10, 5]];

/// The hash of a password, as it stands behind the salt in a file. `salt` has at most [`MAX_SALT`] bytes.
pub(super) fn hash(password: &[u8], salt: &[u8]) -> [u8; LEN] {
    let mut digest = first(password, salt);
    for round in 0..1000 {
        let mut md5 = Md5::new();
        md5.update(if round % 2 == 1 { password } else { &digest[..] });
        if round % 3 != 0 {
            md5.update(salt);
        }
        if round % 7 != 0 {
            md5.update(password);
        }
        md5.update(if round % 2 == 1 { &digest[..] } else { password });
        digest = md5.finalize().into();
    }
    encode(&digest)
}

/// Whether a byte may stand in a salt or a hash.
pub(super) fn is_digit(byte: u8) -> bool {
    DIGITS.contains(&byte)
}

fn first(password: &[u8], salt: &[u8]) -> [u8; 16] {
    let inner = Md5::new().chain_update(password).chain_update(salt).chain_update(password).finalize();
    let mut md5 = Md5::new().chain_update(password).chain_update(b"$apr1$").chain_update(salt);
    for chunk in password.chunks(inner.len()) {
        md5.update(&inner[..chunk.len()]);
    }
    // For each bit of the length a zero byte or the first of the password: a slip of the first MD5 crypt that everybody has kept.
    let mut left = password.len();
    while left > 0 {
        md5.update(if left % 2 == 1 { &[0] } else { &password[..1] });
        left /= 2;
    }
    md5.finalize().into()
}

fn encode(digest: &[u8; 16]) -> [u8; LEN] {
    let mut text = [0; LEN];
    let groups = GROUPS.map(|group| group.map(|at| u32::from(digest[at]))).into_iter().chain([[0, 0, u32::from(digest[11])]]);
    for (digits, [high, middle, low]) in text.chunks_mut(4).zip(groups) {
        let mut bits = high << 16 | middle << 8 | low;
        for digit in digits {
            *digit = DIGITS[(bits & 63) as usize];
            bits >>= 6;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_openssl() {
        // openssl passwd -apr1 -salt SALT PASSWORD
        let cases = [
            ("abcdefgh", "correct horse", "sIQmFnT1CuEXAsyjuXjUX/"),
            ("x", "a", "16j9.5e7KiXmuYFAYpPJM/"),
            ("saltsalt", "0123456789abcdef", "noZiBycUL1t9WTQEO7/nr1"),
            ("saltsalt", "0123456789abcdef0", "P1pmVujRVrzjQyn1aY1oX1"),
            ("./", "pässwörd", "pKs.9lgAnEMjxYCaXo.NP/"),
            ("12345678", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "QFErggv1wkcXD.9NBrnHe0"),
        ];
        for (salt, password, expected) in cases {
            assert_eq!(str::from_utf8(&hash(password.as_bytes(), salt.as_bytes())), Ok(expected), "{password:?}");
        }
    }
}
