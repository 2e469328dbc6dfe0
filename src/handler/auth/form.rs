//! The form of a session: the page, what it sends, and where visitors go from there.

use super::mac;
use crate::{
    handler::{Answer, failure::OwnPage, full},
    page::escaped,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderValue, Response, StatusCode, Uri, header};
use std::{borrow::Cow, sync::LazyLock};

/// The field with the name.
const USER: &str = "lodger-user";

/// The field with the password.
const PASSWORD: &str = "lodger-password";

/// The field that ends a session; also a parameter of the query.
const LOGOUT: &str = "lodger-logout";

/// How many fields are looked at. A body that holds ours has no others.
const MAX_FIELDS: usize = 16;

/// In the page itself, so that it needs nothing that a guard stands before.
const STYLE: &str = "\
:root{color-scheme:light dark}\
body{font:1rem/1.5 system-ui,sans-serif;margin:0;min-height:100vh;display:grid;place-items:center}\
main{box-sizing:border-box;width:100%;max-width:22rem;padding:1rem}\
h1{font-size:1.25rem;overflow-wrap:anywhere}\
label{display:block;margin-top:1rem}\
input,button{box-sizing:border-box;width:100%;font:inherit;padding:.5rem}\
button{margin-top:1.5rem}";

/// Lets the style of the page through and nothing else; nobody may show the form inside a page of his own.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let style = STANDARD.encode(mac::digest(STYLE.as_bytes()));
    format!("default-src 'none'; style-src 'sha256-{style}'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
});

/// The page with the form, with 401. `wrong`: what was sent was not right.
pub(super) fn page(realm: &str, wrong: bool) -> Answer {
    let realm = escaped(realm);
    let sentence = if wrong { "<p role=\"alert\">The name or the password is not right.</p>\n" } else { "" };
    let html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"robots\" content=\"noindex\">\n<title>{realm}</title>\n<style>{STYLE}</style>\n<main>\n<h1>{realm}</h1>\n{sentence}<form method=\"post\">\n\
         <label for=\"user\">User name</label>\n\
         <input id=\"user\" name=\"{USER}\" autocomplete=\"username\" autocapitalize=\"none\" spellcheck=\"false\" required autofocus>\n\
         <label for=\"password\">Password</label>\n\
         <input id=\"password\" name=\"{PASSWORD}\" type=\"password\" autocomplete=\"current-password\" required>\n\
         <button>Log in</button>\n</form>\n</main>\n</html>\n"
    );
    let mut answer = Response::new(full(html));
    *answer.status_mut() = StatusCode::UNAUTHORIZED;
    let fixed = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // Without any referrer, browsers send `Origin: null` with the form.
        (header::REFERRER_POLICY, "same-origin"),
    ];
    answer.extensions_mut().insert(OwnPage);
    let headers = answer.headers_mut();
    headers.extend(fixed.map(|(name, value)| (name, HeaderValue::from_static(value))));
    if let Ok(policy) = HeaderValue::from_str(&POLICY) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    answer
}

/// What a body asks of the session.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wish {
    Login {
        name: String,
        password: String,
    },
    Logout,
    /// It is the app's.
    Nothing,
}

impl Wish {
    /// Reads `application/x-www-form-urlencoded`. Of a field that comes twice the first holds.
    pub(super) fn of(body: &[u8]) -> Self {
        let (mut name, mut password) = (None, None);
        for (field, value) in form_urlencoded::parse(body).take(MAX_FIELDS) {
            match &*field {
                LOGOUT => return Self::Logout,
                USER => name = name.or(Some(value)),
                PASSWORD => password = password.or(Some(value)),
                _ => {}
            }
        }
        match (name, password) {
            (Some(name), Some(password)) => Self::Login { name: name.into_owned(), password: password.into_owned() },
            _ => Self::Nothing,
        }
    }
}

/// Whether the query asks to end the session.
pub(super) fn asks_to_leave(uri: &Uri) -> bool {
    uri.query().is_some_and(|query| query.split('&').any(is_logout))
}

fn is_logout(pair: &str) -> bool {
    pair.split('=').next() == Some(LOGOUT)
}

/// Where a visitor goes after the form: the same address on the same host. A path that begins with two slashes, or with one and a backslash, would be another
/// host for a browser.
pub(super) fn back(uri: &Uri) -> HeaderValue {
    let mut target = format!("/{}", uri.path().trim_start_matches(['/', '\\']));
    let query: Vec<&str> = uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty() && !is_logout(pair)).collect();
    if !query.is_empty() {
        target.push('?');
        target.push_str(&query.join("&"));
    }
    HeaderValue::from_bytes(target.as_bytes()).unwrap_or(HeaderValue::from_static("/"))
}

/// Whether the visitor would rather have a page than a status: browsers name HTML when they open an address, and not when they load what belongs to a page.
pub(super) fn wants_html(headers: &HeaderMap) -> bool {
    let all = headers.get_all(header::ACCEPT).iter().flat_map(|value| value.as_bytes().split(|&byte| byte == b','));
    all.map(essence).any(|kind| kind.eq_ignore_ascii_case(b"text/html"))
}

/// Whether the body is that of a form.
pub(super) fn is_form(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|value| essence(value.as_bytes()).eq_ignore_ascii_case(b"application/x-www-form-urlencoded"))
}

fn essence(kind: &[u8]) -> &[u8] {
    kind.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii()
}

/// Whether a page of another site sent the form. Browsers say so, in the one way or the other; programs say nothing, and have no cookies that somebody could use.
pub(super) fn from_elsewhere(headers: &HeaderMap, host: Option<&str>) -> bool {
    if let Some(site) = headers.get("sec-fetch-site") {
        return site != "same-origin" && site != "none";
    }
    let Some(origin) = headers.get(header::ORIGIN) else { return false };
    let host = host.or_else(|| headers.get(header::HOST)?.to_str().ok()).map(|host| bare(host, &[":80", ":443"]));
    let origin = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(scheme, authority)| match scheme {
        "https" => bare(authority, &[":443"]),
        _ => bare(authority, &[":80"]),
    });
    origin.is_none() || origin != host
}

/// A host without a port that goes without saying.
fn bare<'a>(host: &'a str, usual: &[&str]) -> Cow<'a, str> {
    let host = usual.iter().find_map(|port| host.strip_suffix(port)).unwrap_or(host);
    if host.bytes().any(|byte| byte.is_ascii_uppercase()) { host.to_ascii_lowercase().into() } else { host.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt as _;
    use proptest::prelude::*;

    #[tokio::test]
    async fn the_page_holds_no_script_and_escapes_the_realm() {
        let answer = page("<script>alert(\"1\")</script> & Co", true);
        assert_eq!((answer.status(), &answer.headers()["cache-control"]), (StatusCode::UNAUTHORIZED, &HeaderValue::from_static("no-store")));
        let policy = answer.headers()["content-security-policy"].to_str().unwrap().to_owned();
        let html = answer.into_body().collect().await.unwrap().to_bytes();
        let html = str::from_utf8(&html).unwrap();
        assert!(html.contains("&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt; &amp; Co") && !html.contains("<script"), "{html}");
        assert!(html.contains("role=\"alert\"") && html.contains("autocomplete=\"current-password\""));
        assert!(policy.contains("style-src 'sha256-") && !policy.contains("unsafe"), "{policy}");
    }

    #[tokio::test]
    async fn nothing_is_said_to_be_wrong_before_something_was_sent() {
        let html = page("Members", false).into_body().collect().await.unwrap().to_bytes();
        assert!(!str::from_utf8(&html).unwrap().contains("alert"));
    }

    #[test]
    fn a_body_says_what_it_wants() {
        let login = |name: &str, password: &str| Wish::Login { name: name.to_owned(), password: password.to_owned() };
        let cases = [
            ("lodger-user=alice&lodger-password=correct+horse", login("alice", "correct horse")),
            ("lodger-password=p%26%3D&lodger-user=j%C3%BCrgen", login("jürgen", "p&=")),
            ("lodger-user=alice&lodger-user=bob&lodger-password=x", login("alice", "x")),
            ("lodger-user=alice", Wish::Nothing),
            ("lodger-user=alice&password=x", Wish::Nothing),
            ("lodger-logout", Wish::Logout),
            ("x=1&lodger-logout=yes", Wish::Logout),
            ("", Wish::Nothing),
        ];
        for (body, wish) in cases {
            assert_eq!(Wish::of(body.as_bytes()), wish, "{body}");
        }
        assert_eq!(Wish::of(format!("{}lodger-logout", "x&".repeat(MAX_FIELDS)).as_bytes()), Wish::Nothing);
    }

    #[test]
    fn the_way_back_stays_on_the_host() {
        let cases = [
            ("/a?b=c", "/a?b=c"),
            ("https://example.org/a", "/a"),
            ("//evil.example/a", "/evil.example/a"),
            ("/\\evil.example", "/evil.example"),
            ("/\\/\\/evil.example", "/evil.example"),
            ("/a?lodger-logout", "/a"),
            ("/a?x=1&lodger-logout=1&y=//z", "/a?x=1&y=//z"),
            ("/a%0d%0ab", "/a%0d%0ab"),
            ("*", "/*"),
        ];
        for (uri, expected) in cases {
            assert_eq!(back(&uri.parse().unwrap()), expected, "{uri}");
        }
    }

    #[test]
    fn a_form_from_elsewhere_is_told_by_what_browsers_say() {
        let cases = [
            (None, None, false),
            (Some("same-origin"), None, false),
            (Some("none"), None, false),
            (Some("same-origin"), Some("null"), false),
            (Some("same-site"), None, true),
            (Some("cross-site"), Some("https://example.org"), true),
            (None, Some("https://example.org"), false),
            (None, Some("https://EXAMPLE.org:443"), false),
            (None, Some("http://example.org:443"), true),
            (None, Some("https://example.org.evil.example"), true),
            (None, Some("https://example.org:8443"), true),
            (None, Some("null"), true),
            (None, Some(""), true),
        ];
        for (site, origin, elsewhere) in cases {
            let sent = [(http::HeaderName::from_static("sec-fetch-site"), site), (header::ORIGIN, origin)];
            let headers: HeaderMap = sent.into_iter().filter_map(|(name, value)| Some((name, HeaderValue::from_static(value?)))).collect();
            assert_eq!(from_elsewhere(&headers, Some("Example.org")), elsewhere, "{site:?} {origin:?}");
        }
        let headers = HeaderMap::from_iter([(header::ORIGIN, HeaderValue::from_static("https://example.org"))]);
        assert!(from_elsewhere(&headers, None), "a host that nobody knows is no match");
        assert!(!from_elsewhere(&headers, Some("example.org:443")));
    }

    #[test]
    fn a_page_is_for_who_names_html() {
        let wants = |accept: &'static str| wants_html(&HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(accept))]));
        assert!(wants("text/html,application/xhtml+xml;q=0.9,*/*;q=0.8") && wants("application/json, Text/HTML;level=1"));
        assert!(!wants("*/*") && !wants("image/png,image/*") && !wants("") && !wants_html(&HeaderMap::new()));
    }

    proptest! {
        #[test]
        fn no_body_is_a_panic(body in prop::collection::vec(any::<u8>(), 0..300)) {
            Wish::of(&body);
        }

        #[test]
        fn no_way_back_is_another_host(path in "/[!-~]{0,20}") {
            if let Ok(uri) = path.parse::<Uri>() {
                let back = back(&uri);
                prop_assert!(back.as_bytes().starts_with(b"/") && !matches!(back.as_bytes().get(1), Some(b'/' | b'\\')));
            }
        }
    }
}
