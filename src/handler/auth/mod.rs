//! Who may come in: basic with an htpasswd file, a session with a form, bearer tokens.

mod apr1;
mod basic;
mod bearer;
mod cookie;
mod form;
mod hash;
mod htpasswd;
mod mac;
mod secret;
mod session;
mod users;

use super::{Answer, failure::Failure};
use crate::{body::Body, config::model::Auth};
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, header};
use std::{path::Path, sync::Arc};

/// Tells apps and servers behind a proxy who the visitor is. What a visitor sends under this name never gets through.
pub(crate) const REMOTE_USER: HeaderName = HeaderName::from_static("x-remote-user");

/// How long a user name may be, in bytes. It has to fit into a cookie together with its signature.
const MAX_NAME: usize = 255;

/// How long a password may be, in bytes: longer than any that a person or a password manager makes, and short enough that hashing one costs nothing.
const MAX_PASSWORD: usize = 1024;

/// The name of the user who came in, as an extension of the request. Visitors with a bearer token have none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct User(pub(crate) Arc<str>);

/// What has to happen to the answer of a request that came in by a session, as an extension of the request. Whoever calls [`Guard::pass`] takes it out before the
/// handler gets the request, and applies it to the answer.
#[derive(Debug, Clone)]
pub(crate) struct OnAnswer {
    renewed: Option<HeaderValue>,
}

impl OnAnswer {
    /// Adds the renewed cookie, and keeps the answer out of caches that other visitors share: unlike `Authorization`, a cookie does not do so by itself.
    pub(crate) fn apply(self, answer: &mut Answer) {
        let headers = answer.headers_mut();
        let values = headers.get_all(header::CACHE_CONTROL).iter().map(HeaderValue::as_bytes);
        let said: Vec<&[u8]> = values.flat_map(|value| value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii)).collect();
        let says = |wanted: &[u8]| said.iter().any(|directive| directive.eq_ignore_ascii_case(wanted));
        let (is_private, is_public) = (says(b"private") || says(b"no-store"), says(b"public"));
        let private = HeaderValue::from_static("private");
        if is_public {
            headers.insert(header::CACHE_CONTROL, private);
        } else if !is_private {
            // What the app says beside that stays, such as `no-cache`.
            headers.append(header::CACHE_CONTROL, private);
        }
        if let Some(cookie) = self.renewed {
            headers.append(header::SET_COOKIE, cookie);
        }
    }
}

/// Stands before a handler and lets in who proves to be a user. Cheap to clone; clones share what they have read and remembered.
#[derive(Clone)]
pub(crate) struct Guard(Arc<Kind>);

enum Kind {
    Basic(basic::Basic),
    Session(Box<session::Session>),
    Bearer(bearer::Bearer),
}

impl Guard {
    /// A guard. `secret_folder` is where sessions without a secret of their own keep one, for all processes together. Nothing is read yet.
    pub(crate) fn new(auth: &Auth, secret_folder: Option<&Path>) -> Self {
        Self(Arc::new(match auth {
            Auth::Basic { users, realm } => Kind::Basic(basic::Basic::new(users, realm)),
            Auth::Session { users, realm, secret, lifetime } => {
                Kind::Session(Box::new(session::Session::new(users, realm, secret.clone(), *lifetime, secret_folder)))
            }
            Auth::Bearer { tokens, realm } => Kind::Bearer(bearer::Bearer::new(tokens, realm)),
        }))
    }

    /// Lets the request in or answers it. One that is let in has lost the credential that it came with, whether `Authorization` or the cookie of the session, and has
    /// gained the extension [`User`], the header [`REMOTE_USER`] and, with a session, [`OnAnswer`].
    ///
    /// # Errors
    ///
    /// The answer for a visitor who is not let in: 401, the form, 500 where the users cannot be read, 503 where too many passwords are being checked. So is the
    /// answer to the form itself.
    pub(crate) async fn pass(&self, mut request: Request<Body>) -> Result<Request<Body>, Answer> {
        drop_forged(request.headers_mut());
        match &*self.0 {
            Kind::Basic(basic) => basic.pass(request).await,
            Kind::Session(session) => session.pass(request).await,
            Kind::Bearer(bearer) => match bearer.pass(request.headers_mut()) {
                Ok(()) => Ok(request),
                Err(challenge) => Err(refuse(challenge)),
            },
        }
    }
}

/// Takes away every header that could pass for [`REMOTE_USER`]. Routes without a guard call it too, else their visitors could name themselves.
pub(crate) fn drop_forged(headers: &mut HeaderMap) {
    drop_like(headers, &REMOTE_USER);
}

/// Takes away every header that could pass for `wanted`. As a variable of CGI, `X_Remote.User` has the same name as `X-Remote-User`, so all of these go.
pub(crate) fn drop_like(headers: &mut HeaderMap, wanted: &HeaderName) {
    let passes = |name: &&HeaderName| {
        let plain = |byte: u8| if byte.is_ascii_alphanumeric() { byte } else { b'-' };
        name.as_str().len() == wanted.as_str().len() && name.as_str().bytes().map(plain).eq(wanted.as_str().bytes())
    };
    while let Some(name) = headers.keys().find(passes).cloned() {
        headers.remove(name);
    }
}

/// Writes down who the visitor is.
fn identify(request: &mut Request<Body>, name: Arc<str>) {
    if let Ok(value) = HeaderValue::from_bytes(name.as_bytes()) {
        request.headers_mut().insert(REMOTE_USER, value);
    }
    request.extensions_mut().insert(User(name));
}

/// What stands in `Authorization` for one scheme.
#[derive(Debug, PartialEq, Eq)]
enum Sent<'a> {
    /// No header, one of another scheme, or several, of which nobody can say which one holds.
    Nothing,
    /// What follows the name of the scheme.
    Credential(&'a [u8]),
}

fn credential<'a>(headers: &'a HeaderMap, scheme: &str) -> Sent<'a> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(only), None) = (all.next(), all.next()) else { return Sent::Nothing };
    match only.as_bytes().split_at_checked(scheme.len()) {
        Some((name, rest)) if name.eq_ignore_ascii_case(scheme.as_bytes()) && rest.first().is_none_or(|&byte| byte == b' ') => {
            Sent::Credential(rest.trim_ascii())
        }
        _ => Sent::Nothing,
    }
}

/// Whether a name and a password are worth being looked at. RFC 7617, section 2: neither holds control characters.
fn plausible(name: &str, password: &[u8]) -> bool {
    let fits = (1..=MAX_NAME).contains(&name.len()) && password.len() <= MAX_PASSWORD;
    fits && !name.contains(char::is_control) && !password.iter().any(u8::is_ascii_control)
}

/// The value of `WWW-Authenticate`: the scheme, the realm as a quoted-string, and what follows.
fn challenge(scheme: &str, realm: &str, more: &str) -> HeaderValue {
    let mut text = format!("{scheme} realm=\"");
    for char in realm.chars().filter(|char| !char.is_control()) {
        if matches!(char, '"' | '\\') {
            text.push('\\');
        }
        text.push(char);
    }
    text.push('"');
    text.push_str(more);
    HeaderValue::from_bytes(text.as_bytes()).unwrap_or(HeaderValue::from_static("Basic realm=\"\""))
}

/// 401 with a challenge; the tree makes the page.
fn refuse(challenge: &HeaderValue) -> Answer {
    let mut answer = Failure { status: StatusCode::UNAUTHORIZED, code: None }.answer();
    answer.headers_mut().insert(header::WWW_AUTHENTICATE, challenge.clone());
    answer
}

#[cfg(test)]
mod guard_tests;
