//! RFC 7617: a name and a password with every request.

use super::{Sent, challenge, credential, identify, plausible, refuse, users::Users};
use crate::{body::Body, handler::Answer};
use base64::{
    Engine as _,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use http::{HeaderValue, Request, header};
use std::path::Path;

/// How long the credential may be in base64. The longest name and password that [`plausible`] lets through fit.
const MAX_SENT: usize = 2048;

/// Not every client pads.
const BASE64: GeneralPurpose = GeneralPurpose::new(&STANDARD, GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent));

pub(super) struct Basic {
    users: Users,
    challenge: HeaderValue,
}

impl Basic {
    pub(super) fn new(users: &Path, realm: &str) -> Self {
        Self { users: Users::new(users), challenge: challenge("Basic", realm, ", charset=\"UTF-8\"") }
    }

    /// See [`super::Guard::pass`].
    pub(super) async fn pass(&self, mut request: Request<Body>) -> Result<Request<Body>, Answer> {
        let sent = match credential(request.headers(), "Basic") {
            Sent::Credential(sent) => decode(sent),
            Sent::Nothing => None,
        };
        let Some((name, password)) = sent else {
            // An unreadable file is the same trouble for everybody, and is better seen before somebody types a password.
            return Err(self.users.known().await.map_or_else(|trouble| trouble.answer(), |_| refuse(&self.challenge)));
        };
        match self.users.check(name, password, true).await {
            Ok(Some(user)) => {
                request.headers_mut().remove(header::AUTHORIZATION);
                identify(&mut request, user);
                Ok(request)
            }
            Ok(None) => Err(refuse(&self.challenge)),
            Err(trouble) => Err(trouble.answer()),
        }
    }
}

/// The name and the password. None for what cannot be right: no base64, no colon, a name that is not UTF-8, control characters.
pub(super) fn decode(sent: &[u8]) -> Option<(String, Vec<u8>)> {
    let sent = Some(sent).filter(|sent| sent.len() <= MAX_SENT)?;
    let mut name = BASE64.decode(sent).ok()?;
    let colon = memchr::memchr(b':', &name)?;
    let password = name.split_off(colon + 1);
    name.pop();
    let name = String::from_utf8(name).ok()?;
    plausible(&name, &password).then_some((name, password))
}
