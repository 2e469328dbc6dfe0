//! The cookie of a session: who, until when, and a signature.

use super::{MAX_NAME, mac};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderValue, header};
use std::time::Duration;

/// The name of the cookie.
const NAME: &str = "lodger-session";

/// The same for a whole host over https: browsers take a cookie of this name only from that host, not from one beside it.
const HOST_NAME: &str = "__Host-lodger-session";

/// The first byte of what is signed.
const VERSION: u8 = 1;

/// Everything but the name: version, two times, the tag of the password, the signature.
const FIXED: usize = 1 + 8 + 8 + TAG + 32;

/// How many bytes of the tag of a password are kept.
const TAG: usize = 16;

/// The longest value, in base64.
const MAX_VALUE: usize = (FIXED + MAX_NAME).div_ceil(3) * 4;

/// How many cookies of our name are looked at. Browsers send several when other paths or hosts have set one too.
const MAX_TRIED: usize = 4;

/// How far the clocks of two machines that share a secret may differ.
const SKEW: u64 = 60;

/// What a cookie says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ticket {
    /// In seconds since 1970.
    pub(super) issued: u64,
    pub(super) expires: u64,
    /// Of the user's password, see [`Signer::tag`].
    pub(super) tag: [u8; TAG],
    pub(super) user: String,
}

/// Signs cookies and reads signed ones.
pub(super) struct Signer {
    key: mac::Key,
}

impl Signer {
    /// `scope` is what a session is good for: another scope with the same secret does not take its cookies.
    pub(super) fn new(secret: &[u8], scope: &[&[u8]]) -> Self {
        let secret = mac::mac(&mac::digest(secret), &[b"lodger session", &[VERSION]]);
        Self { key: mac::mac(&secret, scope) }
    }

    /// Stands for a password without telling anything about its hash.
    pub(super) fn tag(&self, hash: &[u8; 32]) -> [u8; TAG] {
        let mut tag = [0; TAG];
        tag.copy_from_slice(&mac::mac(&self.key, &[b"password", hash])[..TAG]);
        tag
    }

    /// The value of a cookie.
    pub(super) fn seal(&self, ticket: &Ticket) -> String {
        let mut bytes = vec![VERSION];
        bytes.extend(ticket.issued.to_be_bytes());
        bytes.extend(ticket.expires.to_be_bytes());
        bytes.extend(ticket.tag);
        bytes.extend(ticket.user.as_bytes());
        bytes.extend(mac::mac(&self.key, &[b"cookie", &bytes]));
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// What a value says, if it was signed here and its time is not over. It ends after `lifetime` even if it was made for longer.
    pub(super) fn open(&self, value: &[u8], now: u64, lifetime: Duration) -> Option<Ticket> {
        let value = Some(value).filter(|value| value.len() <= MAX_VALUE)?;
        let bytes = URL_SAFE_NO_PAD.decode(value).ok()?;
        let (signed, signature) = bytes.split_last_chunk::<32>()?;
        if !mac::same(&mac::mac(&self.key, &[b"cookie", signed]), signature) {
            return None;
        }
        let (&[version], rest) = signed.split_first_chunk()?;
        let (&issued, rest) = rest.split_first_chunk()?;
        let (&expires, rest) = rest.split_first_chunk()?;
        let (&tag, user) = rest.split_first_chunk()?;
        let ticket =
            Ticket { issued: u64::from_be_bytes(issued), expires: u64::from_be_bytes(expires), tag, user: str::from_utf8(user).ok()?.to_owned() };
        let end = ticket.expires.min(ticket.issued.saturating_add(lifetime.as_secs()));
        (version == VERSION && ticket.issued <= now.saturating_add(SKEW) && now < end).then_some(ticket)
    }
}

/// Where a cookie belongs, which also says its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    path: String,
    https: bool,
}

impl Place {
    /// The cookie is for everything below `mount`, which the visitor may have had a hand in: what could end the attribute makes it the whole host.
    pub(super) fn new(mount: &str, https: bool) -> Self {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~%".contains(&byte);
        let path = if mount.starts_with('/') && mount.bytes().all(plain) { mount } else { "/" };
        Self { path: path.to_owned(), https }
    }

    fn name(&self) -> &'static str {
        if self.https && self.path == "/" { HOST_NAME } else { NAME }
    }

    /// `Set-Cookie` with a value for a time.
    pub(super) fn set(&self, value: &str, lifetime: Duration) -> Option<HeaderValue> {
        let (name, path, seconds) = (self.name(), &self.path, lifetime.as_secs());
        let secure = if self.https { "; Secure" } else { "" };
        HeaderValue::try_from(format!("{name}={value}; Path={path}; HttpOnly; SameSite=Lax; Max-Age={seconds}{secure}")).ok()
    }

    /// `Set-Cookie` that takes the cookie away.
    pub(super) fn clear(&self) -> Option<HeaderValue> {
        self.set("", Duration::ZERO)
    }

    /// The values that were sent for this place.
    pub(super) fn sent<'a>(&self, headers: &'a HeaderMap) -> impl Iterator<Item = &'a [u8]> {
        let name = self.name().as_bytes();
        let all = headers.get_all(header::COOKIE).iter().flat_map(|value| pairs(value.as_bytes()));
        all.map(split).filter(move |(sent, _)| *sent == name).map(|(_, value)| value).take(MAX_TRIED)
    }
}

/// Takes our cookies out of `Cookie`, so that the app cannot leak what it does not see. Others stay as they were.
pub(super) fn strip(headers: &mut HeaderMap) {
    let ours = |pair: &&[u8]| [NAME, HOST_NAME].iter().any(|name| split(pair).0 == name.as_bytes());
    if !headers.get_all(header::COOKIE).iter().flat_map(|value| pairs(value.as_bytes())).any(|pair| ours(&pair)) {
        return;
    }
    let rest: Vec<Vec<u8>> = headers
        .get_all(header::COOKIE)
        .iter()
        .map(|value| pairs(value.as_bytes()).filter(|pair| !ours(pair)).collect::<Vec<_>>().join(&b"; "[..]))
        .collect();
    headers.remove(header::COOKIE);
    for value in rest.into_iter().filter(|value| !value.is_empty()).filter_map(|value| HeaderValue::try_from(value).ok()) {
        headers.append(header::COOKIE, value);
    }
}

fn pairs(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b';').map(<[u8]>::trim_ascii).filter(|pair| !pair.is_empty())
}

fn split(pair: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memchr(b'=', pair) {
        Some(at) => (&pair[..at], &pair[at + 1..]),
        None => (pair, b""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn ticket(user: &str) -> Ticket {
        Ticket { issued: 1000, expires: 4600, tag: [9; TAG], user: user.to_owned() }
    }

    #[test]
    fn a_cookie_says_what_was_signed() {
        let signer = Signer::new(b"secret", &[]);
        for user in ["alice", "jürgen", &"x".repeat(MAX_NAME)] {
            let value = signer.seal(&ticket(user));
            assert_eq!(signer.open(value.as_bytes(), 1001, HOUR), Some(ticket(user)));
        }
    }

    #[test]
    fn a_cookie_with_any_byte_changed_is_none() {
        let signer = Signer::new(b"secret", &[]);
        let value = signer.seal(&ticket("alice")).into_bytes();
        for at in 0..value.len() {
            for bit in 0..8 {
                let mut other = value.clone();
                other[at] ^= 1 << bit;
                assert_eq!(signer.open(&other, 1001, HOUR), None, "byte {at}, bit {bit}");
            }
            assert_eq!(signer.open(&value[..at], 1001, HOUR), None, "cut at {at}");
        }
        assert_eq!(signer.open(&[&value[..], b"A"].concat(), 1001, HOUR), None);
        assert_eq!(signer.open(&[&value[..], b"="].concat(), 1001, HOUR), None);
    }

    #[test]
    fn another_secret_or_another_scope_does_not_take_it() {
        let value = Signer::new(b"secret", &[b"members"]).seal(&ticket("alice"));
        for other in [Signer::new(b"Secret", &[b"members"]), Signer::new(b"secret", &[b"admins"]), Signer::new(b"secret", &[])] {
            assert_eq!(other.open(value.as_bytes(), 1001, HOUR), None);
        }
    }

    #[test]
    fn a_cookie_ends_with_its_time_or_with_a_shorter_one_of_the_settings() {
        let signer = Signer::new(b"secret", &[]);
        let value = signer.seal(&ticket("alice"));
        let cases = [
            (999, 3600, true),
            (4599, 3600, true),
            (4600, 3600, false),
            (4599, 9999, true),
            (4600, 9999, false),
            (1059, 60, true),
            (1060, 60, false),
            (939, 3600, false),
            (0, 3600, false),
        ];
        for (now, lifetime, good) in cases {
            assert_eq!(signer.open(value.as_bytes(), now, Duration::from_secs(lifetime)).is_some(), good, "{now} {lifetime}");
        }
    }

    #[test]
    fn the_attributes_depend_on_the_place() {
        let cases = [
            ("", true, "__Host-lodger-session=v; Path=/; HttpOnly; SameSite=Lax; Max-Age=3600; Secure"),
            ("", false, "lodger-session=v; Path=/; HttpOnly; SameSite=Lax; Max-Age=3600"),
            ("/sub", true, "lodger-session=v; Path=/sub; HttpOnly; SameSite=Lax; Max-Age=3600; Secure"),
            ("/a%20b", false, "lodger-session=v; Path=/a%20b; HttpOnly; SameSite=Lax; Max-Age=3600"),
            ("/a;Domain=example.org", false, "lodger-session=v; Path=/; HttpOnly; SameSite=Lax; Max-Age=3600"),
        ];
        for (mount, https, expected) in cases {
            assert_eq!(Place::new(mount, https).set("v", HOUR).unwrap(), expected);
        }
        assert_eq!(Place::new("", false).clear().unwrap(), "lodger-session=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0");
    }

    #[test]
    fn the_app_sees_all_cookies_but_ours() {
        let cases: [(&[&str], &[&str]); 5] = [
            (&["a=1; lodger-session=x; b=\"2\""], &["a=1; b=\"2\""]),
            (&["lodger-session=x"], &[]),
            (&["a=1;lodger-session=x", "__Host-lodger-session=y;b=2"], &["a=1", "b=2"]),
            (&["a=1;b=2"], &["a=1;b=2"]),
            (&["lodger-session; my-lodger-session=3"], &["my-lodger-session=3"]),
        ];
        for (sent, seen) in cases {
            let mut headers: HeaderMap = sent.iter().map(|value| (header::COOKIE, HeaderValue::from_static(value))).collect();
            strip(&mut headers);
            assert_eq!(headers.get_all(header::COOKIE).iter().collect::<Vec<_>>(), seen);
        }
    }

    #[test]
    fn only_the_name_of_the_place_counts_and_only_a_few_of_it() {
        let headers = HeaderMap::from_iter([(
            header::COOKIE,
            HeaderValue::from_static("lodger-session=1; __Host-lodger-session=2; lodger-session=3; Lodger-Session=4"),
        )]);
        let sent = |place: Place| place.sent(&headers).collect::<Vec<_>>();
        assert_eq!(sent(Place::new("", false)), [b"1", b"3"]);
        assert_eq!(sent(Place::new("", true)), [b"2"]);
        let many = HeaderMap::from_iter([(header::COOKIE, HeaderValue::try_from("lodger-session=1;".repeat(1000)).unwrap())]);
        assert_eq!(Place::new("", false).sent(&many).count(), MAX_TRIED);
    }

    proptest! {
        #[test]
        fn no_cookie_is_a_panic(value in prop::collection::vec(any::<u8>(), 0..600), text in "[A-Za-z0-9_-]{0,500}") {
            let signer = Signer::new(b"secret", &[]);
            prop_assert_eq!(signer.open(&value, 1001, HOUR), None);
            prop_assert_eq!(signer.open(text.as_bytes(), 1001, HOUR), None);
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                let mut headers = HeaderMap::from_iter([(header::COOKIE, value)]);
                strip(&mut headers);
                prop_assert!(Place::new("", false).sent(&headers).next().is_none());
            }
        }
    }
}
