//! RFC 6750: a token with every request.

use super::{Sent, challenge, credential, mac};
use crate::config::secret::Secret;
use http::{HeaderMap, HeaderValue, header};

pub(super) struct Bearer {
    /// Digests have one length, so comparing does not tell that of a token.
    tokens: Vec<[u8; 32]>,
    none: HeaderValue,
    wrong: HeaderValue,
}

impl Bearer {
    pub(super) fn new(tokens: &[Secret], realm: &str) -> Self {
        // An empty token would let everybody in who sends none.
        let tokens = tokens.iter().map(Secret::reveal).filter(|token| !token.is_empty()).map(|token| mac::digest(token.as_bytes())).collect();
        Self { tokens, none: challenge("Bearer", realm, ""), wrong: challenge("Bearer", realm, ", error=\"invalid_token\"") }
    }

    /// Takes a token that is right out of the headers. Else the challenge for the visitor.
    pub(super) fn pass<'a>(&'a self, headers: &mut HeaderMap) -> Result<(), &'a HeaderValue> {
        match credential(headers, "Bearer") {
            Sent::Credential(token) if self.holds(token) => {
                headers.remove(header::AUTHORIZATION);
                Ok(())
            }
            // RFC 6750, section 3: a request without a token is not told about errors.
            Sent::Credential(b"") | Sent::Nothing => Err(&self.none),
            Sent::Credential(_) => Err(&self.wrong),
        }
    }

    /// Compares with all of them, whichever fits.
    fn holds(&self, token: &[u8]) -> bool {
        let digest = mac::digest(token);
        self.tokens.iter().fold(false, |found, one| found | mac::same(one, &digest))
    }
}
