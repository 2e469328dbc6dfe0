//! A form, and a signed cookie for who has filled it in. Nothing is kept here: every process that has the secret knows every session.

use super::{
    OnAnswer, challenge,
    cookie::{self, Place, Signer, Ticket},
    form::{self, Wish},
    identify, plausible, refuse,
    secret::load_or_make,
    users::{Known, Users},
};
use crate::{
    body::Body,
    config::secret::Secret,
    diagnostic::codes as code,
    error::Code,
    ext::RequestExt as _,
    handler::{Answer, empty, failure::Failure},
};
use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, Uri, header};
use http_body::Body as _;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use std::{
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime},
};
use tokio::sync::OnceCell;

/// How many bytes of a body are read to see whether it is the form: the longest name and password, each byte written as three.
const MAX_BODY: usize = 8 * 1024;

pub(super) struct Session {
    users: Users,
    realm: String,
    lifetime: Duration,
    secret: Option<Secret>,
    folder: Option<PathBuf>,
    signer: OnceCell<Signer>,
    /// What the log has been told of the secret, so that it is told once.
    told: Mutex<Option<String>>,
    path: PathBuf,
    challenge: HeaderValue,
}

/// Why there is no signer.
type NoSecret = (Code, String);

impl Session {
    pub(super) fn new(users: &Path, realm: &str, secret: Option<Secret>, lifetime: Duration, folder: Option<&Path>) -> Self {
        Self {
            users: Users::new(users),
            realm: realm.to_owned(),
            lifetime,
            secret,
            folder: folder.map(Path::to_owned),
            signer: OnceCell::new(),
            told: Mutex::default(),
            path: users.to_owned(),
            challenge: challenge("Cookie", realm, ""),
        }
    }

    /// See [`super::Guard::pass`].
    pub(super) async fn pass(&self, mut request: Request<Body>) -> Result<Request<Body>, Answer> {
        let signer = self.signer().await?;
        let known = self.users.known().await.map_err(|trouble| trouble.answer())?;
        let place = Place::new(request.mount(), request.scheme() == "https");
        let now = now();
        let ticket = place.sent(request.headers()).find_map(|value| self.ticket(signer, &known, value, now));
        cookie::strip(request.headers_mut());
        if request.method() == Method::POST {
            request = self.post(signer, &place, request, ticket.is_some()).await?;
        }
        let Some(ticket) = ticket else { return Err(self.refuse(&request)) };
        // Half of the time is left at least to whoever comes back in it.
        let late = now.saturating_sub(ticket.issued) > self.lifetime.as_secs() / 2;
        let renewed = if late { self.cookie(signer, &known, &place, &ticket.user) } else { None };
        request.extensions_mut().insert(OnAnswer { renewed });
        identify(&mut request, ticket.user.into());
        Ok(request)
    }

    /// What a cookie says, if its user is one still and has the password that it was made with.
    fn ticket(&self, signer: &Signer, known: &Known, value: &[u8], now: u64) -> Option<Ticket> {
        let ticket = signer.open(value, now, self.lifetime)?;
        let user = known.table.user(&ticket.user)?;
        (signer.tag(&user.tag) == ticket.tag).then_some(ticket)
    }

    fn cookie(&self, signer: &Signer, known: &Known, place: &Place, user: &str) -> Option<HeaderValue> {
        let now = now();
        let tag = signer.tag(&known.table.user(user)?.tag);
        let ticket = Ticket { issued: now, expires: now.saturating_add(self.lifetime.as_secs()), tag, user: user.to_owned() };
        place.set(&signer.seal(&ticket), self.lifetime)
    }

    /// Answers the form, and gives back what is not the form.
    async fn post(&self, signer: &Signer, place: &Place, request: Request<Body>, inside: bool) -> Result<Request<Body>, Answer> {
        let (request, wish) = if form::asks_to_leave(address(&request)) { (request, Wish::Logout) } else { read(request, inside).await? };
        if wish != Wish::Nothing && form::from_elsewhere(request.headers(), request.host()) {
            return Err(Failure::FORBIDDEN.answer());
        }
        let back = form::back(address(&request));
        match wish {
            Wish::Login { name, password } => Err(self.login(signer, place, back, name, password).await),
            Wish::Logout => Err(see_other(back, place.clear())),
            Wish::Nothing => Ok(request),
        }
    }

    async fn login(&self, signer: &Signer, place: &Place, back: HeaderValue, name: String, password: String) -> Answer {
        if !plausible(&name, password.as_bytes()) {
            return self.page(true);
        }
        let user = match self.users.check(name, password.into_bytes(), false).await {
            Ok(Some(user)) => user,
            Ok(None) => return self.page(true),
            Err(trouble) => return trouble.answer(),
        };
        match self.users.known().await {
            // The file may have changed since: then there is no cookie, and the form comes again.
            Ok(known) => see_other(back, self.cookie(signer, &known, place, &user)),
            Err(trouble) => trouble.answer(),
        }
    }

    fn refuse(&self, request: &Request<Body>) -> Answer {
        if [Method::GET, Method::HEAD].contains(request.method()) && form::wants_html(request.headers()) {
            return self.page(false);
        }
        let mut answer = refuse(&self.challenge);
        answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        answer
    }

    fn page(&self, wrong: bool) -> Answer {
        let mut answer = form::page(&self.realm, wrong);
        answer.headers_mut().insert(header::WWW_AUTHENTICATE, self.challenge.clone());
        answer
    }

    async fn signer(&self) -> Result<&Signer, Answer> {
        let result = self.signer.get_or_try_init(|| self.make_signer()).await;
        result.map_err(|(code, sentence)| {
            let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            if told.as_ref() != Some(&sentence) {
                tracing::warn!(target: "lodger", "{code}: {sentence}");
                *told = Some(sentence);
            }
            Failure::new(StatusCode::INTERNAL_SERVER_ERROR, code).answer()
        })
    }

    /// A session is good for the users of one file under one realm.
    async fn make_signer(&self) -> Result<Signer, NoSecret> {
        let scope: [&[u8]; 2] = [self.realm.as_bytes(), self.path.as_os_str().as_encoded_bytes()];
        match (&self.secret, &self.folder) {
            (Some(secret), _) if !secret.reveal().is_empty() => Ok(Signer::new(secret.reveal().as_bytes(), &scope)),
            (Some(_), _) => Err((code::NO_STATE, "the secret of a session is empty, so nobody is let in".to_owned())),
            (None, None) => Err((
                code::NO_STATE,
                "there is no folder to keep the secret of sessions in, and the settings have none, so nobody is let in".to_owned(),
            )),
            (None, Some(folder)) => {
                let (place, path) = (folder.display().to_string(), folder.clone());
                let made = tokio::task::spawn_blocking(move || load_or_make(&path)).await.unwrap_or_else(|error| Err(std::io::Error::other(error)));
                made.map(|secret| Signer::new(&secret, &scope))
                    .map_err(|error| (code::NO_STATE, format!("the secret of sessions cannot be kept in {place}, so nobody is let in: {error}")))
            }
        }
    }
}

/// The address as the visitor wrote it.
fn address(request: &Request<Body>) -> &Uri {
    request.original_uri().unwrap_or(request.uri())
}

/// Reads the body of a form to see what it wants. Of who is inside already, only what is short for sure is read, and the app gets it all the same.
async fn read(request: Request<Body>, inside: bool) -> Result<(Request<Body>, Wish), Answer> {
    let length = request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let length = request.body().size_hint().exact().or(length);
    let short = length.map_or(!inside, |length| length <= MAX_BODY as u64);
    if !short || !form::is_form(request.headers()) {
        return Ok((request, Wish::Nothing));
    }
    let (parts, body) = request.into_parts();
    let bytes = match Limited::new(body, MAX_BODY).collect().await {
        Ok(body) => body.to_bytes(),
        // A visitor who is not inside is refused for what the body is not; one who is has announced less than came.
        Err(error) if error.is::<LengthLimitError>() && !inside => Bytes::new(),
        Err(_) => return Err(Failure { status: StatusCode::BAD_REQUEST, code: None }.answer()),
    };
    let wish = Wish::of(&bytes);
    Ok((Request::from_parts(parts, Body::from(bytes)), wish))
}

/// To the same address, with GET.
fn see_other(back: HeaderValue, cookie: Option<HeaderValue>) -> Answer {
    let mut answer = empty(StatusCode::SEE_OTHER);
    let headers = answer.headers_mut();
    headers.insert(header::LOCATION, back);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.extend(cookie.map(|cookie| (header::SET_COOKIE, cookie)));
    answer
}

/// In seconds since 1970.
fn now() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs())
}
