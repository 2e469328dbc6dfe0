//! The hashes of passwords that an htpasswd file may hold.

use super::{apr1, mac};
use argon2::{
    Argon2, Params,
    password_hash::{PasswordVerifier as _, phc::PasswordHash},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha1::{Digest as _, Sha1};

/// The dearest bcrypt that is computed: about a second. Each step more doubles it, and anybody may ask for it without a password.
const MAX_BCRYPT_COST: u32 = 14;

/// The most memory that argon2 may take, in KiB: what PHP takes where nobody says otherwise. Accounts on shared hosting often have no more than some hundred MiB.
const MAX_ARGON2_MEMORY: u32 = 64 * 1024;

/// How often argon2 may go over its memory; together with the memory about a second.
const MAX_ARGON2_PASSES: u32 = 16;

/// The hash of a password, checked as far as it can be without the password.
#[derive(Debug)]
pub(super) enum Hash {
    Bcrypt(Box<str>),
    Argon2(Box<PasswordHash>),
    Apr1 { salt: Box<[u8]>, hash: [u8; apr1::LEN] },
    Sha1([u8; 20]),
}

impl Hash {
    /// Reads what stands behind the name. None: of no kind that is accepted, or too dear to compute.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if let Some(base64) = text.strip_prefix("{SHA}") {
            let bytes = STANDARD.decode(base64).ok()?;
            return bytes.try_into().ok().map(Self::Sha1);
        }
        if let Some(rest) = text.strip_prefix("$apr1$") {
            let (salt, hash) = rest.split_once('$')?;
            let sound = salt.len() <= apr1::MAX_SALT && hash.bytes().all(apr1::is_digit);
            let hash = hash.as_bytes().try_into().ok().filter(|_| sound)?;
            return Some(Self::Apr1 { salt: salt.as_bytes().into(), hash });
        }
        if text.starts_with("$argon2") {
            return argon2(text).map(|hash| Self::Argon2(Box::new(hash)));
        }
        let known = ["$2a$", "$2b$", "$2y$"].iter().any(|kind| text.starts_with(kind));
        let parts: bcrypt::HashParts = text.parse().ok().filter(|_| known)?;
        (4..=MAX_BCRYPT_COST).contains(&parts.get_cost()).then(|| Self::Bcrypt(text.into()))
    }

    /// Whether it is the hash of `password`. Takes up to a second of a processor and 64 MiB.
    pub(super) fn matches(&self, password: &[u8]) -> bool {
        match self {
            Self::Bcrypt(hash) => bcrypt::verify(password, hash).unwrap_or(false),
            Self::Argon2(hash) => Argon2::default().verify_password(password, &**hash).is_ok(),
            Self::Apr1 { salt, hash } => mac::same(&apr1::hash(password, salt), hash),
            Self::Sha1(hash) => mac::same(&Sha1::digest(password), hash),
        }
    }
}

fn argon2(text: &str) -> Option<PasswordHash> {
    let hash = PasswordHash::new(text).ok()?;
    let whole = hash.salt.is_some() && hash.hash.is_some() && argon2::Algorithm::try_from(hash.algorithm.as_str()).is_ok();
    let params = Params::try_from(&hash).ok()?;
    (whole && params.m_cost() <= MAX_ARGON2_MEMORY && params.t_cost() <= MAX_ARGON2_PASSES).then_some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The lines of a file in `fixtures/auth`.
    fn lines(text: &'static str) -> impl Iterator<Item = (&'static str, &'static str)> {
        text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(':'))
    }

    #[test]
    fn hashes_of_htpasswd_php_and_perl_match_their_password_and_no_other() {
        let passwords = [
            ("bcrypt72", "y".repeat(72)),
            ("jürgen", "pässwörd: mit Doppelpunkt".to_owned()),
            ("ünïcode", "пароль".to_owned()),
            ("empty", String::new()),
            ("long", "x".repeat(100)),
        ];
        let mut seen = 0;
        for (name, hash) in lines(include_str!("../../../fixtures/auth/htpasswd")) {
            let password = passwords.iter().find(|(user, _)| *user == name).map_or("correct horse", |(_, password)| password);
            let hash = Hash::parse(hash).unwrap_or_else(|| panic!("{name}"));
            assert!(hash.matches(password.as_bytes()), "{name}");
            for wrong in ["wrong horse", "correct horsf", "Correct horse", "x"] {
                assert!(!hash.matches(wrong.as_bytes()), "{name} {wrong}");
            }
            seen += 1;
        }
        assert_eq!(seen, 13);
    }

    #[test]
    fn crypt_plain_text_and_what_costs_too_much_is_refused() {
        for (name, hash) in lines(include_str!("../../../fixtures/auth/htpasswd-refused")).filter(|(name, _)| !name.is_empty()) {
            assert!(Hash::parse(hash).is_none(), "{name}");
        }
    }

    #[test]
    fn a_hash_that_is_cut_off_is_none() {
        for (name, hash) in lines(include_str!("../../../fixtures/auth/htpasswd")) {
            let cut = &hash[..hash.rfind('$').or(hash.find('}')).unwrap() + 1];
            assert!(Hash::parse(cut).is_none(), "{name} {cut}");
        }
        for strange in
            ["$2x$04$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e", "$2y$03$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e"]
        {
            assert!(Hash::parse(strange).is_none(), "{strange}");
        }
    }

    #[test]
    fn what_php_makes_where_nobody_says_otherwise_is_not_too_much() {
        let usual = "$argon2id$v=19$m=65536,t=4,p=1$OXU3dDVFaXFYeERKbEhvag$HyTqg3VCLiOsA6WTzbFnTLbdS74AdaqGDFo8A0klK8c";
        assert!(Hash::parse(usual).is_some());
        assert!(Hash::parse(&usual.replace("65536", "4294967295")).is_none());
        assert!(Hash::parse(&usual.replace("t=4", "t=4294967295")).is_none());
    }

    proptest! {
        #[test]
        fn no_text_is_a_panic(kind in "(|\\{SHA\\}|\\$apr1\\$|\\$2y\\$04\\$|\\$argon2id\\$v=19\\$m=8,t=1,p=1\\$)", text in "\\PC{0,70}") {
            let _ = Hash::parse(&format!("{kind}{text}"));
        }
    }
}
