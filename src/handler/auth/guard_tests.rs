//! Guards as visitors meet them.

use super::*;
use crate::{
    cgi::{CgiVars, request::Meta},
    config::secret::Secret,
    ext::Exchange,
    gateway::Gateway,
    handler::empty,
    profile,
    proto::Role,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http_body_util::BodyExt as _;
use proptest::prelude::*;
use std::{fs, sync::LazyLock, time::Duration};

const HTML: (&str, &str) = ("accept", "text/html,*/*;q=0.8");
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const LOGIN: &str = "lodger-user=alice&lodger-password=correct+horse";
const ALICE: &str = "alice:{SHA}L55TUjtiq8FBorTWAZ0jy6g129A=\n";
/// The same password with another salt: what `htpasswd` makes when it is set anew.
const ALICE_AGAIN: &str = "alice:$apr1$8eUeAGmm$0DDmLiLyJN7/3hXv9bQPt1\n";

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("users"), ALICE).unwrap();
    folder
}

fn guard(auth: &Auth, folder: &Path) -> Guard {
    Guard::new(auth, Some(folder))
}

fn basic(folder: &Path) -> Guard {
    guard(&Auth::Basic { users: folder.join("users"), realm: "Members".to_owned() }, folder)
}

fn session(folder: &Path) -> Guard {
    guard(&Auth::Session { users: folder.join("users"), realm: "Members".to_owned(), secret: None, lifetime: Duration::from_secs(3600) }, folder)
}

fn bearer(tokens: &[&str]) -> Guard {
    let tokens = tokens.iter().copied().map(Secret::new).collect();
    guard(&Auth::Bearer { tokens, realm: "api".to_owned() }, Path::new("/"))
}

fn get(headers: &[(&str, &str)]) -> Request<Body> {
    let mut request = Request::get("/page?x=1");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Body::empty()).unwrap()
}

fn post(target: &str, headers: &[(&str, &str)], body: &str) -> Request<Body> {
    let mut request = Request::post(target).header(FORM.0, FORM.1);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Body::from(body.to_owned())).unwrap()
}

/// Makes it a request that came in by a web server, for a program mounted somewhere.
fn at(mount: &str, https: bool, mut request: Request<Body>) -> Request<Body> {
    let original_uri = format!("{mount}{}", request.uri()).parse().unwrap();
    let meta = Meta { mount: mount.to_owned(), original_uri, https, host: Some("example.org".into()), ..Meta::default() };
    let exchange = Exchange::new(CgiVars::new(), Gateway::FastCgi, &profile::UNKNOWN, meta, Role::Responder, None);
    request.extensions_mut().insert(exchange);
    request
}

fn basic_header(name_and_password: &[u8]) -> String {
    format!("Basic {}", STANDARD.encode(name_and_password))
}

fn user(request: &Request<Body>) -> Option<&str> {
    let user = request.extensions().get::<User>().map(|user| &*user.0);
    assert_eq!(request.headers().get(REMOTE_USER).map(HeaderValue::as_bytes), user.map(str::as_bytes), "extension and header agree");
    user
}

fn text<'a>(answer: &'a Answer, name: &str) -> &'a str {
    answer.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

async fn html(answer: Answer) -> String {
    String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

/// Logs in and returns `name=value` of the cookie.
async fn log_in(guard: &Guard) -> String {
    let answer = guard.pass(post("/page", &[], LOGIN)).await.unwrap_err();
    assert_eq!(answer.status(), 303);
    text(&answer, "set-cookie").split(';').next().unwrap().to_owned()
}

#[test]
fn a_guard_is_cheap_to_clone_and_may_be_used_by_all_threads() {
    fn is<T: Clone + Send + Sync + 'static>(_: &T) {}
    fn is_send<T: Send>(_: T) {}
    let guard = bearer(&["x"]);
    is(&guard);
    is_send(guard.pass(get(&[])));
}

#[tokio::test]
async fn who_has_the_password_comes_in_under_his_name_and_without_it() {
    let folder = folder();
    let guard = basic(folder.path());
    let header = basic_header(b"alice:correct horse");
    for header in [header.clone(), header.replace("Basic", "bAsIc"), header.replace("Basic ", "Basic   "), header.trim_end_matches('=').to_owned()] {
        let request = guard.pass(get(&[("authorization", &header), ("x-own", "1")])).await.unwrap();
        assert_eq!(user(&request), Some("alice"), "{header}");
        assert!(!request.headers().contains_key("authorization") && request.headers().contains_key("x-own"));
    }
}

#[tokio::test]
async fn whatever_is_no_right_password_gets_the_challenge() {
    let folder = folder();
    let guard = basic(folder.path());
    let mut cases: Vec<Vec<u8>> =
        [&b""[..], b"Basic", b"Basic ", b"Basic !!!", b"Basic YWxpY2U", b"Basicx", b"Bearer x", b"Basic \xff\xfe", b"Digest username=\"alice\""]
            .map(<[u8]>::to_vec)
            .into();
    let long = [&b"alice:"[..], &[b'x'; MAX_PASSWORD + 1]].concat();
    for sent in [
        &b"alice:wrong"[..],
        b"alice:",
        b"alice",
        b":",
        b":correct horse",
        b"bob:correct horse",
        b"Alice:correct horse",
        b"alice:correct horse\n",
        b"alice:correct horse\0",
        b"al\xffice:x",
        &long,
    ] {
        cases.push(basic_header(sent).into_bytes());
    }
    cases.push(vec![b'x'; 100_000]);
    cases.push([b"Basic ".to_vec(), vec![b'A'; 100_000]].concat());
    for case in cases {
        let mut request = get(&[]);
        request.headers_mut().insert("authorization", HeaderValue::from_bytes(&case).unwrap());
        let answer = guard.pass(request).await.unwrap_err();
        assert_eq!((answer.status().as_u16(), text(&answer, "www-authenticate")), (401, "Basic realm=\"Members\", charset=\"UTF-8\""));
        assert_eq!(answer.extensions().get::<Failure>(), Some(&Failure { status: StatusCode::UNAUTHORIZED, code: None }));
    }
    let right = basic_header(b"alice:correct horse");
    let twice = guard.pass(get(&[("authorization", &right), ("authorization", &right)])).await;
    assert_eq!(twice.unwrap_err().status(), 401);
}

#[tokio::test]
async fn every_user_of_the_fixture_comes_in() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("users"), include_bytes!("../../../fixtures/auth/htpasswd")).unwrap();
    let guard = basic(folder.path());
    for (name, password) in [("bcrypt", "correct horse"), ("argon2id", "correct horse"), ("jürgen", "pässwörd: mit Doppelpunkt"), ("empty", "")] {
        let header = basic_header(format!("{name}:{password}").as_bytes());
        let request = guard.pass(get(&[("authorization", &header)])).await.unwrap();
        assert_eq!(user(&request), Some(name));
    }
}

#[tokio::test]
async fn a_missing_file_is_500_for_everybody() {
    let folder = tempfile::tempdir().unwrap();
    let failure = Failure::new(StatusCode::INTERNAL_SERVER_ERROR, crate::diagnostic::codes::USERS_UNREADABLE);
    let header = basic_header(b"alice:correct horse");
    for (guard, request) in [
        (basic(folder.path()), get(&[])),
        (basic(folder.path()), get(&[("authorization", &header)])),
        (session(folder.path()), get(&[HTML])),
        (session(folder.path()), post("/", &[], LOGIN)),
    ] {
        let answer = guard.pass(request).await.unwrap_err();
        assert_eq!(answer.extensions().get(), Some(&failure));
    }
}

#[tokio::test]
async fn nobody_names_himself() {
    let folder = folder();
    let forged = [("x-remote-user", "root"), ("X_Remote_User", "root"), ("x-remote.user", "root"), ("x-remote-user", "admin")];
    let header = basic_header(b"alice:correct horse");
    let mut headers = vec![("authorization", &*header), ("x-remote-users", "kept")];
    headers.extend(forged);
    let request = basic(folder.path()).pass(get(&headers)).await.unwrap();
    assert_eq!(user(&request), Some("alice"));
    assert_eq!(request.headers().len(), 2, "{:?}", request.headers());

    let mut headers = vec![("authorization", "Bearer token")];
    headers.extend(forged);
    let request = bearer(&["token"]).pass(get(&headers)).await.unwrap();
    assert_eq!((user(&request), request.headers().len()), (None, 0));
}

#[test]
fn a_realm_cannot_end_its_quotes() {
    let cases: [(&str, &[u8]); 5] = [
        ("Members", b"Basic realm=\"Members\""),
        ("a \"b\" \\ c", b"Basic realm=\"a \\\"b\\\" \\\\ c\""),
        ("a\r\nSet-Cookie: x", b"Basic realm=\"aSet-Cookie: x\""),
        ("Büro", b"Basic realm=\"B\xc3\xbcro\""),
        ("", b"Basic realm=\"\""),
    ];
    for (realm, expected) in cases {
        assert_eq!(challenge("Basic", realm, "").as_bytes(), expected);
    }
}

#[tokio::test]
async fn a_token_is_one_of_those_or_none() {
    let guard = bearer(&["first-token", "second", ""]);
    for sent in ["Bearer first-token", "bearer second", "Bearer  second"] {
        let request = guard.pass(get(&[("authorization", sent)])).await.unwrap();
        assert!(!request.headers().contains_key("authorization") && user(&request).is_none());
    }
    let wrong = "Bearer realm=\"api\", error=\"invalid_token\"";
    let none = "Bearer realm=\"api\"";
    let cases = [
        ("Bearer first", wrong),
        ("Bearer second second", wrong),
        ("Bearer SECOND", wrong),
        ("Bearer", none),
        ("Bearer ", none),
        ("Basic c2Vjb25k", none),
        ("second", none),
    ];
    for (sent, expected) in cases {
        let answer = guard.pass(get(&[("authorization", sent)])).await.unwrap_err();
        assert_eq!((answer.status().as_u16(), text(&answer, "www-authenticate")), (401, expected), "{sent}");
    }
    assert_eq!(text(&guard.pass(get(&[])).await.unwrap_err(), "www-authenticate"), none);
    assert!(bearer(&[]).pass(get(&[("authorization", "Bearer ")])).await.is_err());
}

#[tokio::test]
async fn browsers_get_the_form_and_programs_a_status() {
    let folder = folder();
    let guard = session(folder.path());
    let answer = guard.pass(get(&[HTML])).await.unwrap_err();
    assert_eq!((answer.status().as_u16(), text(&answer, "www-authenticate")), (401, "Cookie realm=\"Members\""));
    assert_eq!((text(&answer, "cache-control"), answer.extensions().get::<Failure>()), ("no-store", None));
    assert!(html(answer).await.contains("<form method=\"post\">"));
    for request in [get(&[]), get(&[("accept", "image/png")]), post("/", &[HTML], "x=1"), post("/", &[HTML], &"x".repeat(100_000))] {
        let answer = guard.pass(request).await.unwrap_err();
        assert_eq!((answer.status().as_u16(), text(&answer, "cache-control")), (401, "no-store"));
        assert!(answer.extensions().get::<Failure>().is_some());
    }
}

#[tokio::test]
async fn who_fills_in_the_form_comes_in_until_he_leaves() {
    let folder = folder();
    let guard = session(folder.path());
    let answer = guard.pass(post("/page?x=1", &[("origin", "http://example.org"), ("host", "example.org")], LOGIN)).await.unwrap_err();
    assert_eq!((answer.status().as_u16(), text(&answer, "location"), text(&answer, "cache-control")), (303, "/page?x=1", "no-store"));
    let cookie = log_in(&guard).await;
    let request = guard.pass(get(&[("cookie", &format!("a=1; {cookie}")), ("authorization", "Bearer app")])).await.unwrap();
    assert_eq!((user(&request), request.headers()["cookie"].as_bytes()), (Some("alice"), &b"a=1"[..]));
    assert!(request.headers().contains_key("authorization"), "that of the app stays");
    for leave in [post("/page?lodger-logout", &[("cookie", &cookie)], ""), post("/page", &[("cookie", &cookie)], "lodger-logout=1")] {
        let answer = guard.pass(leave).await.unwrap_err();
        assert_eq!((answer.status().as_u16(), text(&answer, "location")), (303, "/page"));
        assert_eq!(text(&answer, "set-cookie"), "lodger-session=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0");
    }
    let asked = guard.pass(get(&[("cookie", &cookie)])).await;
    assert!(asked.is_ok(), "GET never ends a session");
}

#[tokio::test]
async fn a_wrong_password_gets_the_form_again() {
    let folder = folder();
    let guard = session(folder.path());
    for body in [
        "lodger-user=alice&lodger-password=wrong",
        "lodger-user=bob&lodger-password=correct+horse",
        "lodger-user=&lodger-password=",
        "lodger-user=alice&lodger-password=correct%00horse",
    ] {
        let answer = guard.pass(post("/", &[], body)).await.unwrap_err();
        assert_eq!((answer.status().as_u16(), text(&answer, "set-cookie")), (401, ""), "{body}");
        assert!(html(answer).await.contains("not right"));
    }
}

#[tokio::test]
async fn a_form_from_another_site_is_forbidden() {
    let folder = folder();
    let guard = session(folder.path());
    let cookie = log_in(&guard).await;
    for from in [("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")] {
        for request in [post("/", &[from, ("host", "example.org")], LOGIN), post("/?lodger-logout", &[from, ("cookie", &cookie)], "")] {
            assert_eq!(guard.pass(request).await.unwrap_err().status(), 403, "{from:?}");
        }
        // What the app makes of such requests is its own affair.
        assert!(guard.pass(post("/", &[from, ("cookie", &cookie)], "x=1")).await.is_ok());
    }
}

#[tokio::test]
async fn forms_of_the_app_reach_it_whole() {
    let folder = folder();
    let guard = session(folder.path());
    let cookie = log_in(&guard).await;
    for body in ["", "x=1&y=2", &"x".repeat(8 * 1024), &"x".repeat(100_000)] {
        let request = guard.pass(post("/", &[("cookie", &cookie)], body)).await.unwrap();
        assert_eq!(request.into_body().collect().await.unwrap().to_bytes(), body.as_bytes());
    }
    let again = guard.pass(post("/", &[("cookie", &cookie)], LOGIN)).await.unwrap_err();
    assert_eq!(again.status(), 303, "logging in once more is no form of the app");
}

#[tokio::test]
async fn the_cookie_is_for_the_place_of_the_program() {
    let folder = folder();
    let guard = session(folder.path());
    let cases = [
        ("", true, "__Host-lodger-session=", "Path=/; HttpOnly; SameSite=Lax; Max-Age=3600; Secure", "/p"),
        ("/sub", false, "lodger-session=", "Path=/sub; HttpOnly; SameSite=Lax; Max-Age=3600", "/sub/p"),
    ];
    for (mount, https, name, attributes, location) in cases {
        let answer = guard.pass(at(mount, https, post("/p", &[("origin", "https://example.org")], LOGIN))).await.unwrap_err();
        let set = text(&answer, "set-cookie");
        assert!(set.starts_with(name) && set.ends_with(attributes), "{set}");
        assert_eq!(text(&answer, "location"), location);
        let cookie = set.split(';').next().unwrap();
        assert!(guard.pass(at(mount, https, get(&[("cookie", cookie)]))).await.is_ok());
    }
    let plain = log_in(&guard).await;
    assert!(guard.pass(at("", true, get(&[("cookie", &plain)]))).await.is_err(), "over https only the name counts that other hosts cannot set");
}

#[tokio::test]
async fn two_processes_know_each_others_sessions_and_other_users_files_do_not() {
    let folder = folder();
    let cookie = log_in(&session(folder.path())).await;
    assert!(session(folder.path()).pass(get(&[("cookie", &cookie)])).await.is_ok());
    fs::write(folder.path().join("admins"), ALICE).unwrap();
    for (users, realm) in [("admins", "Members"), ("users", "Admins")] {
        let auth = Auth::Session { users: folder.path().join(users), realm: realm.to_owned(), secret: None, lifetime: Duration::from_secs(3600) };
        assert!(guard(&auth, folder.path()).pass(get(&[("cookie", &cookie)])).await.is_err(), "{users} {realm}");
    }
}

#[tokio::test]
async fn a_new_password_or_no_user_any_more_ends_the_session() {
    let folder = folder();
    let cookie = log_in(&session(folder.path())).await;
    for (users, inside) in [(ALICE, true), (ALICE_AGAIN, false), ("", false), (ALICE, true)] {
        fs::write(folder.path().join("users"), users).unwrap();
        let answer = session(folder.path()).pass(get(&[("cookie", &cookie)])).await;
        assert_eq!(answer.is_ok(), inside, "{users}");
    }
}

#[tokio::test]
async fn a_session_is_renewed_when_half_of_it_is_over() {
    let folder = folder();
    let users = folder.path().join("users");
    let auth =
        Auth::Session { users: users.clone(), realm: "Members".to_owned(), secret: Some(Secret::new("secret")), lifetime: Duration::from_secs(3600) };
    let guard = guard(&auth, folder.path());
    let signer = cookie::Signer::new(b"secret", &[b"Members", users.as_os_str().as_encoded_bytes()]);
    let tag = signer.tag(&mac::digest(b"{SHA}L55TUjtiq8FBorTWAZ0jy6g129A="));
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
    for (age, inside, renewed) in [(10, true, false), (1700, true, false), (1900, true, true), (3500, true, true), (3601, false, false)] {
        let ticket = cookie::Ticket { issued: now - age, expires: now - age + 3600, tag, user: "alice".to_owned() };
        let cookie = format!("lodger-session={}", signer.seal(&ticket));
        let passed = guard.pass(get(&[("cookie", &cookie)])).await;
        assert_eq!(passed.is_ok(), inside, "{age}");
        let Ok(mut request) = passed else { continue };
        let mut answer = empty(StatusCode::OK);
        request.extensions_mut().remove::<OnAnswer>().unwrap().apply(&mut answer);
        assert_eq!((answer.headers().contains_key("set-cookie"), text(&answer, "cache-control")), (renewed, "private"), "{age}");
    }
}

#[test]
fn answers_of_a_session_stay_out_of_shared_caches() {
    for (said, expected) in
        [("", "private"), ("public, max-age=60", "private"), ("no-store", "no-store"), ("max-age=60, Private", "max-age=60, Private")]
    {
        let mut answer = empty(StatusCode::OK);
        if !said.is_empty() {
            answer.headers_mut().insert("cache-control", HeaderValue::from_static(said));
        }
        OnAnswer { renewed: None }.apply(&mut answer);
        assert_eq!(text(&answer, "cache-control"), expected);
    }
}

#[tokio::test]
async fn without_a_secret_nobody_comes_in() {
    let folder = folder();
    let auth = |secret| Auth::Session { users: folder.path().join("users"), realm: String::new(), secret, lifetime: Duration::from_secs(60) };
    let failure = Failure::new(StatusCode::INTERNAL_SERVER_ERROR, crate::diagnostic::codes::NO_STATE);
    for guard in [
        Guard::new(&auth(None), None),
        Guard::new(&auth(None), Some(&folder.path().join("missing"))),
        Guard::new(&auth(Some(Secret::new(""))), Some(folder.path())),
    ] {
        for request in [get(&[HTML]), post("/", &[], LOGIN)] {
            assert_eq!(guard.pass(request).await.unwrap_err().extensions().get(), Some(&failure));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_header_is_a_panic_or_a_way_in(scheme in "(|Basic |Bearer |basic)", value in prop::collection::vec(any::<u8>(), 0..200), encoded: bool) {
        static RUNTIME: LazyLock<tokio::runtime::Runtime> = LazyLock::new(|| tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap());
        static FOLDER: LazyLock<tempfile::TempDir> = LazyLock::new(folder);
        static GUARDS: LazyLock<[Guard; 3]> = LazyLock::new(|| [basic(FOLDER.path()), session(FOLDER.path()), bearer(&["a-token-of-some-length"])]);
        let value = if encoded { STANDARD.encode(&value).into_bytes() } else { value };
        let header = |prefix: &str| HeaderValue::from_bytes(&[prefix.as_bytes(), &value].concat());
        if let (Ok(authorization), Ok(cookie)) = (header(&scheme), header("lodger-session=")) {
            for guard in &*GUARDS {
                let mut request = get(&[HTML]);
                request.headers_mut().insert("authorization", authorization.clone());
                request.headers_mut().insert("cookie", cookie.clone());
                prop_assert_eq!(RUNTIME.block_on(guard.pass(request)).unwrap_err().status(), 401);
            }
        }
    }
}
