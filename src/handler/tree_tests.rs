//! Which site and which route answer, as visitors see it. [`ask`] sends what a web server says through the real mapping, so that host, scheme and mount are real.

use super::Tree;
use crate::{
    app::App,
    body::Body,
    cgi::{
        CgiVars,
        request::{self, parts_from_vars},
    },
    config::Config,
    ext::{Exchange, RequestExt as _},
    gateway::Gateway,
    profile,
    proto::Role,
};
use http::{HeaderMap, Request, Response};
use http_body_util::BodyExt as _;
use proptest::prelude::*;
use std::{fs, path::Path};
use tower_service::Service as _;

/// An answer that was read.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

impl Seen {
    /// The values of a header, with a comma between them; empty where it is not there.
    pub(super) fn header(&self, name: &str) -> String {
        self.headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect::<Vec<_>>().join(", ")
    }
}

/// A tree of a file that lies nowhere, without apps.
pub(super) fn tree(toml: &str) -> Tree {
    tree_in(Path::new("/nowhere"), toml)
}

/// The same, with a folder that its paths are relative to.
pub(super) fn tree_in(folder: &Path, toml: &str) -> Tree {
    Tree::new(&Config::parse(toml, folder.join("lodger.toml")).unwrap()).unwrap()
}

/// Asks for `target` as a web server would that was asked for `a.example` over http. `vars` are variables beside those, or in their place; `BODY` is the body.
pub(super) async fn ask(tree: &Tree, target: &str, vars: &[(&str, &str)]) -> Seen {
    let usual = [
        ("REQUEST_METHOD", "GET"),
        ("REQUEST_URI", target),
        ("SERVER_PROTOCOL", "HTTP/1.1"),
        ("HTTP_HOST", "a.example"),
        ("REMOTE_ADDR", "192.0.2.1"),
    ];
    let usual = usual.into_iter().filter(|(name, _)| !vars.iter().any(|(other, _)| other == name));
    let body = vars.iter().find(|(name, _)| *name == "BODY").map_or("", |(_, body)| body);
    let vars = CgiVars::from_pairs(usual.chain(vars.iter().copied().filter(|(name, _)| *name != "BODY")));
    let context = request::Context { program: None, profile: &profile::UNKNOWN, trusted: None, max_vars: 1024 };
    let (parts, meta) = parts_from_vars(&vars, &context).unwrap();
    let mut request = Request::from_parts(parts, Body::from(body.to_owned()));
    request.extensions_mut().insert(Exchange::new(vars, Gateway::FastCgi, &profile::UNKNOWN, meta, Role::Responder, None));
    let (parts, body) = tree.clone().call(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Seen { status: parts.status.as_u16(), headers: parts.headers, body: String::from_utf8_lossy(&body).into_owned() }
}

/// Asks for a target of `a.example` and tells status and body.
pub(super) async fn get(tree: &Tree, target: &str) -> (u16, String) {
    let seen = ask(tree, target, &[]).await;
    (seen.status, seen.body)
}

/// An app that tells what it sees: its name, method, URI, mount and site, and the body.
pub(super) fn app(name: &'static str) -> impl App {
    tower::service_fn(move |request: Request<Body>| async move {
        let seen = format!(
            "{name} {} {} mount={} site={} original={} ",
            request.method(),
            request.uri(),
            request.mount(),
            request.site().unwrap_or("none"),
            request.original_uri().unwrap()
        );
        let body = request.into_body().collect().await?.to_bytes();
        Ok::<_, crate::BoxError>(Response::new(http_body_util::Full::from(seen + &String::from_utf8_lossy(&body))))
    })
}

/// Sites that say their names.
const SITES: &str = r#"
[[site]]
hosts = ["example.org", "www.example.org"]
[[site.route]]
path = "/"
respond = "exact"

[[site]]
hosts = ["*.example.org"]
[[site.route]]
path = "/"
respond = "below example.org"

[[site]]
hosts = ["*.shop.example.org", "Bücher.example", "[2001:db8::1]"]
[[site.route]]
path = "/"
respond = "below shop"
"#;

#[tokio::test]
async fn a_host_finds_its_own_site_then_the_nearest_wildcard() {
    let tree = tree(SITES);
    for (host, expected) in [
        ("example.org", "exact"),
        ("EXAMPLE.org:8080", "exact"),
        ("example.org.", "exact"),
        ("www.example.org", "exact"),
        ("a.example.org", "below example.org"),
        ("a.b.example.org", "below example.org"),
        ("shop.example.org", "below example.org"),
        ("a.shop.example.org", "below shop"),
        ("a.b.shop.example.org", "below shop"),
        ("xn--bcher-kva.example", "below shop"),
        ("[2001:DB8::1]:443", "below shop"),
    ] {
        let seen = ask(&tree, "/", &[("HTTP_HOST", host)]).await;
        assert_eq!((seen.status, seen.body.as_str()), (200, expected), "{host}");
    }
}

#[tokio::test]
async fn a_host_that_no_site_has_is_misdirected() {
    let tree = tree(SITES);
    for host in ["", "other.example", "org", "notexample.org", "example.org.evil.example", "127.0.0.1"] {
        let seen = ask(&tree, "/", &[("HTTP_HOST", host)]).await;
        assert_eq!(seen.status, 421, "{host}");
        assert!(seen.body.contains("LG0401"), "{host}: {}", seen.body);
    }
}

#[tokio::test]
async fn the_default_site_answers_for_every_host_that_no_site_has() {
    let tree = tree(&format!("{SITES}\n[[site]]\nhosts = [\"d.example\"]\ndefault = true\n[[site.route]]\npath = \"/\"\nrespond = \"default\"\n"));
    for (host, expected) in [("", "default"), ("other.example", "default"), ("d.example", "default"), ("a.example.org", "below example.org")] {
        assert_eq!(ask(&tree, "/", &[("HTTP_HOST", host)]).await.body, expected, "{host}");
    }
}

#[tokio::test]
async fn a_single_site_without_hosts_answers_for_every_host() {
    let tree = tree("[[site]]\n[[site.route]]\npath = \"/\"\nrespond = \"only\"\n");
    for host in ["", "a.example", "127.0.0.1:8080"] {
        assert_eq!(ask(&tree, "/", &[("HTTP_HOST", host)]).await.body, "only", "{host}");
    }
}

#[tokio::test]
async fn the_name_used_for_tls_has_to_lead_to_the_same_site_where_the_file_says_so() {
    let strict = tree(&format!("[server]\nstrict-sni = true\n{SITES}"));
    let lax = tree(SITES);
    for (sni, host, expected) in [
        ("example.org", "example.org", 200),
        ("www.example.org", "EXAMPLE.org:443", 200),
        ("a.example.org", "b.example.org", 200),
        ("a.example.org", "example.org", 421),
        ("other.example", "example.org", 421),
        ("", "example.org", 200),
    ] {
        let vars = [("SSL_TLS_SNI", sni), ("HTTP_HOST", host), ("HTTPS", "on")];
        let seen = ask(&strict, "/", &vars).await;
        assert_eq!((seen.status, seen.body.contains("LG0402")), (expected, expected == 421), "{sni} {host}");
        assert_eq!(ask(&lax, "/", &vars).await.status, 200, "{sni} {host}");
    }
}

/// Routes of every kind beside one another.
const ROUTES: &str = r#"
[[site]]
[[site.route]]
path = "/"
respond = "top"
[[site.route]]
path = "/about"
respond = "about"
[[site.route]]
path = "/user/me"
respond = "me"
[[site.route]]
path = "/user/{id}"
respond = "one"
[[site.route]]
path = "/user/"
respond = "below user"
[[site.route]]
path = "/files/{*rest}"
respond = "rest"
[[site.route]]
path = "/static/"
respond = "static"
[[site.route]]
path = "/{lang}/start"
respond = "start"
"#;

#[tokio::test]
async fn what_is_written_out_goes_before_a_parameter_and_that_before_a_prefix() {
    let tree = tree(ROUTES);
    for (path, expected) in [
        ("/", "top"),
        ("/other", "top"),
        ("/other/deep/", "top"),
        ("/about", "about"),
        ("/about/", "top"),
        ("/user/me", "me"),
        ("/user/7", "one"),
        ("/user/", "below user"),
        ("/user/7/", "below user"),
        ("/user/7/pictures", "below user"),
        ("/user/me/pictures", "below user"),
        ("/files/a/b", "rest"),
        ("/files/", "rest"),
        ("/static/x/y.css", "static"),
        ("/static/start", "static"),
        ("/de/start", "start"),
        ("/de/other", "top"),
    ] {
        assert_eq!(get(&tree, path).await, (200, expected.to_owned()), "{path}");
    }
}

#[tokio::test]
async fn every_way_to_write_a_path_meets_the_same_route() {
    let tree = tree(ROUTES);
    for (path, expected) in [
        ("/%61bout", "about"),
        ("//about", "about"),
        ("/user//me", "me"),
        ("/%75%73er/%6De", "me"),
        ("//static//%78", "static"),
        ("/st%61tic/", "static"),
        ("/user/a%2Fb", "one"),
    ] {
        assert_eq!(get(&tree, path).await, (200, expected.to_owned()), "{path}");
    }
    for path in ["/static/../about", "/static/%2e%2e/about", "/./about", "/about%00"] {
        let (status, body) = get(&tree, path).await;
        assert!(status == 400 && body.contains("LG0403"), "{path}: {status} {body}");
    }
}

#[tokio::test]
async fn a_prefix_without_its_slash_is_sent_there_with_mount_and_query() {
    let tree = tree(ROUTES).with_app("app", app("app"));
    let seen = ask(&tree, "/static?a=1&b", &[]).await;
    assert_eq!((seen.status, seen.header("location")), (308, "/static/?a=1&b".to_owned()));
    let seen = ask(&tree, "/sub/static?q", &[("LODGER_MOUNT", "/sub")]).await;
    assert_eq!((seen.status, seen.header("location")), (308, "/sub/static/?q".to_owned()));
    let seen = ask(&tree, "/static", &[("REQUEST_METHOD", "POST")]).await;
    assert_eq!((seen.status, seen.body.as_str()), (200, "static"), "a form is not sent on");
}

#[tokio::test]
async fn nobody_is_sent_to_another_host_for_want_of_a_slash() {
    let tree = tree("[[site]]\n[[site.route]]\npath = \"/{page}/\"\nrespond = \"page\"\n");
    for path in ["//evil.example", "/\\evil.example", "///evil.example", "/%5Cevil.example", "//\\evil.example"] {
        let location = ask(&tree, path, &[]).await.header("location");
        assert!(location.starts_with('/') && !location.starts_with("//") && !location.contains('\\'), "{path}: {location}");
    }
}

#[tokio::test]
async fn a_prefix_beside_a_parameter_keeps_all_that_is_below_it() {
    let toml = "[[site]]\n[[site.route]]\npath = \"/\"\nrespond = \"top\"\n\
                [[site.route]]\npath = \"/private/\"\nallow = [\"203.0.113.1\"]\nrespond = \"private\"\n\
                [[site.route]]\npath = \"/private/{id}\"\nrespond = \"public\"\n\
                [[site.route]]\npath = \"/private/{id}/x\"\nrespond = \"public\"\n";
    let tree = tree(toml);
    for (path, expected) in [
        ("/private/", 403),
        ("/private/a", 200),
        ("/private/a/", 403),
        ("/private/a/b", 403),
        ("/private/a/x", 200),
        ("/private/a/x/", 403),
        ("/private/a/b/c", 403),
    ] {
        assert_eq!(get(&tree, path).await.0, expected, "{path}");
    }
}

/// Ways to write one byte of a path.
fn spellings(byte: u8) -> Vec<String> {
    let plain = char::from(byte).to_string();
    let mut ways = vec![format!("%{byte:02x}"), format!("%{byte:02X}"), format!("%25{byte:02x}")];
    match byte {
        b'/' => ways.extend(["//", "/./", "/x/../", "/%2e/", "\\", "/;/", "%5c"].map(ToOwned::to_owned)),
        _ => ways.extend([plain.to_uppercase(), format!("{plain}%00"), format!("{plain};")]),
    }
    ways.insert(0, plain);
    ways
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_spelling_leads_around_the_lock_of_a_route(
        ways in proptest::collection::vec(prop_oneof![4 => Just(0_usize), 3 => 0..11_usize], 19),
        before in prop_oneof![3 => Just(""), 1 => Just("/"), 1 => Just("/.")],
        after in prop_oneof![3 => Just(""), 1 => Just("/"), 1 => Just("?"), 1 => Just("%20"), 1 => Just("/.")],
    ) {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("www/private")).unwrap();
        fs::write(folder.path().join("www/private/secret.txt"), "SECRET").unwrap();
        let toml = "[[site]]\n[[site.route]]\npath = \"/\"\nfiles = \"www\"\n\
                    [[site.route]]\npath = \"/private/\"\nallow = [\"203.0.113.1\"]\nfiles = \"www/private\"\n";
        let written: String = b"/private/secret.txt"
            .iter()
            .zip(&ways)
            .map(|(byte, way)| { let all = spellings(*byte); all[way % all.len()].clone() })
            .collect();
        let target = format!("{before}{written}{after}");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let seen = runtime.block_on(async { ask(&tree_in(folder.path(), toml), &target, &[]).await });
        prop_assert!(!seen.body.contains("SECRET"), "{target} shows it");
        prop_assert!(matches!(seen.status, 400 | 403 | 404), "{target}: {}", seen.status);
    }
}

#[tokio::test]
async fn the_file_behind_the_lock_is_shown_to_whom_it_is_for() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("www")).unwrap();
    fs::write(folder.path().join("www/secret.txt"), "SECRET").unwrap();
    let tree = tree_in(folder.path(), "[[site]]\n[[site.route]]\npath = \"/private/\"\nallow = [\"192.0.2.1\"]\nfiles = \"www\"\n");
    for path in ["/private/secret.txt", "//%70rivate//secre%74.txt"] {
        assert_eq!(get(&tree, path).await, (200, "SECRET".to_owned()), "{path}");
    }
    assert_eq!(ask(&tree, "/private/secret.txt", &[("REMOTE_ADDR", "192.0.2.2")]).await.status, 403);
}
