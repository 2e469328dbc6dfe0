//! What visitors get from a copy of `fixtures/www`: files, folders, ranges, conditions, encodings, listings, fallbacks and hints.

use super::{Files, Miss, find, missed};
use crate::{
    body::Body,
    cgi::{CgiVars, request::Meta},
    config::model,
    ext::Exchange,
    gateway::Gateway,
    handler::{Matched, failure::Failure},
    hints::SendFile,
    profile,
    proto::Role,
};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use std::{
    ffi::OsStr,
    fs, io,
    os::unix::{
        ffi::OsStrExt as _,
        fs::{MetadataExt as _, PermissionsExt as _, symlink},
    },
    path::Path,
    time::{Duration, SystemTime},
};
use tempfile::TempDir;
use tower_service::Service as _;

/// A copy of `fixtures/www` in `site`, with `outside.txt` beside it.
pub(super) struct Site {
    pub(super) folder: TempDir,
    pub(super) settings: model::Files,
}

/// An answer that was read.
pub(super) struct Got {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    pub(super) hint: Option<SendFile>,
    pub(super) failure: Option<Failure>,
}

impl Got {
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl Site {
    pub(super) fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let root = folder.path().join("site");
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/www"), &root);
        fs::write(folder.path().join("outside.txt"), "OUTSIDE").unwrap();
        let settings = model::Files {
            root,
            index: vec!["index.html".into()],
            fallback: None,
            listing: false,
            precompressed: false,
            symlinks: false,
            accel_redirect: None,
            x_sendfile: false,
        };
        Self { folder, settings }
    }

    pub(super) fn with(change: impl FnOnce(&mut model::Files)) -> Self {
        let mut site = Self::new();
        change(&mut site.settings);
        site
    }

    pub(super) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.settings.root.join(name), content).unwrap();
    }

    pub(super) async fn call(&self, request: Request<Body>) -> Got {
        let (parts, body) = Files::new(self.settings.clone()).call(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes().to_vec();
        let (hint, failure) = (parts.extensions.get().cloned(), parts.extensions.get().copied());
        Got { status: parts.status.as_u16(), headers: parts.headers, body, hint, failure }
    }

    pub(super) async fn ask(&self, method: Method, rest: &str, headers: &[(&'static str, &str)]) -> Got {
        let mut request = Request::new(Body::empty());
        *request.method_mut() = method;
        // Hostile paths are none that a URI can have; those that can come as they do from the tree.
        if let Some(uri) = rest.parse().ok().filter(|_| rest.starts_with('/')) {
            *request.uri_mut() = uri;
        }
        for (name, value) in headers {
            request.headers_mut().append(*name, value.parse().unwrap());
        }
        request.extensions_mut().insert(Matched { params: Vec::new(), rest: rest.to_owned() });
        self.call(request).await
    }

    pub(super) async fn get(&self, rest: &str) -> Got {
        self.ask(Method::GET, rest, &[]).await
    }

    async fn get_with(&self, rest: &str, name: &'static str, value: &str) -> Got {
        self.ask(Method::GET, rest, &[(name, value)]).await
    }

    async fn get_uri(&self, uri: &str) -> Got {
        self.call(Request::get(uri).body(Body::empty()).unwrap()).await
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() { copy(&entry.path(), &target) } else { fs::write(target, fs::read(entry.path()).unwrap()).unwrap() }
    }
}

#[tokio::test]
async fn a_file_is_sent_with_its_type_and_length() {
    let site = Site::new();
    let cases = [
        ("/about.html", "text/html; charset=utf-8"),
        ("/assets/style.css", "text/css; charset=utf-8"),
        ("/assets/app.js", "text/javascript; charset=utf-8"),
        ("/feed.xml", "text/xml"),
        ("/LICENSE", "application/octet-stream"),
        ("/with%20a%20space.txt", "text/plain; charset=utf-8"),
        ("/100%25.txt", "text/plain; charset=utf-8"),
        ("/gr%C3%BCn.txt", "text/plain; charset=utf-8"),
        ("/.well-known/security.txt", "text/plain; charset=utf-8"),
        ("/%252e%252e%252foutside.txt", "text/plain; charset=utf-8"),
    ];
    for (path, kind) in cases {
        let got = site.get(path).await;
        assert_eq!((got.status, got.header("content-type")), (200, kind), "{path}");
        assert!(got.text().contains("PUBLIC"), "{path}");
        assert_eq!(got.header("content-length"), got.body.len().to_string(), "{path}");
        assert!(!got.headers.contains_key("vary") && got.headers.contains_key("etag"), "{path}");
    }
}

#[tokio::test]
async fn head_answers_like_get_without_a_body() {
    let site = Site::new();
    let got = site.ask(Method::HEAD, "/alphabet.txt", &[("range", "bytes=0-1")]).await;
    assert_eq!((got.status, got.header("content-length"), got.body.len()), (200, "26", 0));
    assert_eq!(site.ask(Method::HEAD, "/nothing", &[]).await.status, 404);
}

#[tokio::test]
async fn other_methods_are_told_what_is_allowed() {
    let site = Site::new();
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH, Method::TRACE] {
        let got = site.ask(method, "/alphabet.txt", &[]).await;
        assert_eq!((got.status, got.header("allow")), (405, "GET, HEAD, OPTIONS"));
        assert!(got.failure.is_some());
    }
    let got = site.ask(Method::OPTIONS, "/nothing", &[]).await;
    assert_eq!((got.status, got.header("allow")), (204, "GET, HEAD, OPTIONS"));
}

#[tokio::test]
async fn without_a_route_the_path_of_the_target_counts() {
    let site = Site::new();
    assert_eq!(site.get_uri("/alphabet.txt?x=1").await.status, 200);
    assert_eq!(site.get_uri("http://evil.example/alphabet.txt").await.status, 200, "the host of the absolute form names no folder");
}

#[tokio::test]
async fn a_root_that_is_a_file_answers_for_the_top_alone() {
    let site = Site::with(|settings| settings.root.push("about.html"));
    assert!(site.get("/").await.text().contains("PUBLIC about"));
    for path in ["/about.html", "/x", "/x/", "//"] {
        assert_eq!(site.get(path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn a_root_that_is_missing_is_not_found() {
    let site = Site::with(|settings| settings.root.push("nowhere"));
    assert_eq!(site.get("/").await.status, 404);
}

#[tokio::test]
async fn ranges_are_cut_out_or_refused_or_ignored() {
    let site = Site::new();
    let cases = [
        ("bytes=0-4", 206, "abcde"),
        ("BYTES=5-5", 206, "f"),
        ("bytes=20-", 206, "uvwxyz"),
        ("bytes=-3", 206, "xyz"),
        ("bytes=20-99999", 206, "uvwxyz"),
        ("bytes=-99999", 200, "abcdefghijklmnopqrstuvwxyz"),
        ("bytes=0-1,5-6", 200, "abcdefghijklmnopqrstuvwxyz"),
        ("lines=0-1", 200, "abcdefghijklmnopqrstuvwxyz"),
        ("bytes", 200, "abcdefghijklmnopqrstuvwxyz"),
        ("bytes=26-", 416, ""),
        ("bytes=99999999999999999999-", 416, ""),
        ("bytes=5-1", 416, ""),
        ("bytes=x", 416, ""),
    ];
    for (range, status, body) in cases {
        let got = site.get_with("/alphabet.txt", "range", range).await;
        assert_eq!((got.status, got.text().as_str()), (status, body), "{range}");
        match status {
            206 => assert!(got.header("content-range").ends_with("/26") && got.header("content-length") == body.len().to_string(), "{range}"),
            416 => assert!(got.header("content-range") == "bytes */26" && got.failure.is_some(), "{range}"),
            _ => assert!(!got.headers.contains_key("content-range"), "{range}"),
        }
    }
}

#[tokio::test]
async fn an_empty_file_has_no_ranges() {
    let site = Site::new();
    for range in ["bytes=0-", "bytes=0-0", "bytes=-5"] {
        let got = site.get_with("/empty.txt", "range", range).await;
        assert_eq!((got.status, got.header("content-length"), got.body.len()), (200, "0", 0), "{range}");
    }
}

#[tokio::test]
async fn a_range_holds_only_for_the_version_that_if_range_names() {
    let site = Site::new();
    let whole = site.get("/alphabet.txt").await;
    let (tag, date) = (whole.header("etag").to_owned(), whole.header("last-modified").to_owned());
    let weak = format!("W/{tag}");
    for (if_range, status) in [(tag.as_str(), 206), (&weak, 200), ("\"other\"", 200), (&date, 200), ("", 200)] {
        let got = site.ask(Method::GET, "/alphabet.txt", &[("range", "bytes=0-1"), ("if-range", if_range)]).await;
        assert_eq!(got.status, status, "{if_range}");
    }
    let got = site.ask(Method::GET, "/alphabet.txt", &[("range", "bytes=99-"), ("if-range", "\"other\"")]).await;
    assert_eq!(got.status, 200, "nothing is wrong with a range that does not count");
}

#[tokio::test]
async fn conditions_are_weighed_in_the_order_of_the_rfc() {
    let site = Site::new();
    let whole = site.get("/alphabet.txt").await;
    let (tag, date) = (whole.header("etag").to_owned(), whole.header("last-modified").to_owned());
    let (list, weak) = (format!("\"a,b\", {tag}"), format!("W/{tag}"));
    let old = "Mon, 01 Jan 2001 00:00:00 GMT";
    let cases: [(&[(&'static str, &str)], u16); 13] = [
        (&[("if-none-match", &tag)], 304),
        (&[("if-none-match", &weak)], 304),
        (&[("if-none-match", &list)], 304),
        (&[("if-none-match", "*")], 304),
        (&[("if-none-match", "\"other\"")], 200),
        (&[("if-none-match", "\"other\""), ("if-none-match", &tag)], 304),
        (&[("if-modified-since", &date)], 304),
        (&[("if-modified-since", old)], 200),
        (&[("if-none-match", "\"other\""), ("if-modified-since", &date)], 200),
        (&[("if-match", "\"other\"")], 412),
        (&[("if-match", &weak)], 412),
        (&[("if-unmodified-since", old)], 412),
        (&[("if-match", &tag), ("if-unmodified-since", old)], 200),
    ];
    for (headers, status) in cases {
        for method in [Method::GET, Method::HEAD] {
            let got = site.ask(method, "/alphabet.txt", headers).await;
            assert_eq!(got.status, status, "{headers:?}");
            if status == 304 {
                assert_eq!((got.header("etag"), got.body.len()), (tag.as_str(), 0));
            }
        }
    }
}

#[tokio::test]
async fn a_date_that_http_cannot_say_is_left_out() {
    let site = Site::new();
    let file = fs::File::options().write(true).open(site.settings.root.join("alphabet.txt")).unwrap();
    file.set_modified(SystemTime::UNIX_EPOCH - Duration::from_secs(86_400)).unwrap();
    let got = site.get("/alphabet.txt").await;
    assert_eq!((got.status, got.headers.contains_key("last-modified")), (200, false));
    let listed = Site { settings: model::Files { listing: true, index: Vec::new(), ..site.settings.clone() }, folder: site.folder };
    assert!(listed.get("/").await.text().contains("alphabet.txt"));
}

#[tokio::test]
async fn a_precompressed_file_is_sent_to_who_takes_it() {
    let site = Site::with(|settings| settings.precompressed = true);
    let cases = [
        ("br", "br", "brotli"),
        ("gzip", "gzip", "gzip"),
        ("gzip, br;q=0.1, zstd", "zstd", "zstandard"),
        ("gzip, br, zstd;q=0", "br", "brotli"),
        ("identity", "", "color"),
        ("deflate", "", "color"),
        ("", "", "color"),
    ];
    for (accepted, encoding, content) in cases {
        let got = site.get_with("/assets/style.css", "accept-encoding", accepted).await;
        assert_eq!((got.status, got.header("content-encoding"), got.header("vary")), (200, encoding, "accept-encoding"), "{accepted}");
        assert_eq!(got.header("content-type"), "text/css; charset=utf-8");
        assert!(got.text().contains(content), "{accepted}");
        let again = site.ask(Method::GET, "/assets/style.css", &[("accept-encoding", accepted), ("if-none-match", got.header("etag"))]).await;
        assert_eq!((again.status, again.header("vary")), (304, "accept-encoding"), "{accepted}");
    }
    assert!(!site.get_with("/alphabet.txt", "accept-encoding", "br").await.headers.contains_key("vary"));
    let off = Site::new();
    assert_eq!(off.get_with("/assets/style.css", "accept-encoding", "br").await.header("content-encoding"), "");
}

#[tokio::test]
async fn a_precompressed_file_alone_is_not_its_original() {
    let site = Site::with(|settings| settings.precompressed = true);
    fs::remove_file(site.settings.root.join("assets/style.css")).unwrap();
    assert_eq!(site.get_with("/assets/style.css", "accept-encoding", "br").await.status, 404);
}

#[tokio::test]
async fn a_folder_is_asked_for_with_a_slash() {
    let site = Site::new();
    let cases = [("/docs", "/docs/"), ("/docs?a=1&b=%2f", "/docs/?a=1&b=%2f"), ("http://evil.example/docs", "/docs/"), ("/d%6fcs", "/d%6fcs/")];
    for (uri, location) in cases {
        let got = site.get_uri(uri).await;
        assert_eq!((got.status, got.header("location")), (308, location), "{uri}");
    }
    assert!(site.get("/docs/").await.text().contains("PUBLIC docs"));
    assert_eq!(site.get("/about.html/").await.status, 404);
}

#[tokio::test]
async fn below_a_mount_the_way_to_the_slash_keeps_the_mount() {
    let meta = Meta { mount: "/app".into(), original_uri: "/app/static/docs?x=1".parse().unwrap(), ..Meta::default() };
    let exchange = Exchange::new(CgiVars::new(), Gateway::FastCgi, &profile::UNKNOWN, meta, Role::Responder, None);
    let mut request = Request::get("/static/docs?x=1").body(Body::empty()).unwrap();
    request.extensions_mut().insert(exchange);
    request.extensions_mut().insert(Matched { params: Vec::new(), rest: "/docs".into() });
    let got = Site::new().call(request).await;
    assert_eq!((got.status, got.header("location")), (308, "/app/static/docs/?x=1"));
}

#[tokio::test]
async fn the_way_to_the_slash_never_leads_to_another_host_or_in_a_circle() {
    let site = Site::new();
    for (uri, location) in [("//evil.example/docs", "/evil.example/docs/"), ("/\\evil.example/docs", "/evil.example/docs/")] {
        let mut request = Request::get("/").body(Body::empty()).unwrap();
        *request.uri_mut() = http::Uri::builder().path_and_query(uri).build().unwrap();
        request.extensions_mut().insert(Matched { params: Vec::new(), rest: "/docs".into() });
        let got = site.call(request).await;
        assert_eq!((got.status, got.header("location")), (308, location), "{uri}");
    }
    let mut request = Request::get("/manual/").body(Body::empty()).unwrap();
    request.extensions_mut().insert(Matched { params: Vec::new(), rest: "/docs".into() });
    assert!(site.call(request).await.text().contains("PUBLIC docs"), "a rewrite took the slash away");
}

#[tokio::test]
async fn the_first_index_that_is_there_is_sent() {
    let site = Site::with(|settings| {
        settings.index = vec!["../outside.txt".into(), ".htaccess".into(), "none.html".into(), "files".into(), "about.html".into()];
    });
    assert!(site.get("/").await.text().contains("PUBLIC about"));
}

#[tokio::test]
async fn a_folder_that_shows_nothing_is_not_found_with_and_without_a_slash() {
    let site = Site::new();
    for path in ["/bare", "/bare/", "/files", "/files/"] {
        assert_eq!(site.get(path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn a_listing_shows_folders_first_and_no_secrets() {
    let site = Site::with(|settings| settings.listing = true);
    let got = site.get("/files/").await;
    assert_eq!((got.status, got.header("content-type"), got.header("cache-control")), (200, "text/html; charset=utf-8", "no-cache"));
    let page = got.text();
    let at = |text: &str| page.find(text).unwrap_or_else(|| panic!("no {text} in {page}"));
    assert!(at("href=\"../\"") < at("href=\"sub/\"") && at("href=\"sub/\"") < at("href=\"a.txt\"") && at("href=\"a.txt\"") < at("href=\"b.txt\""));
    assert!(page.contains("9 B") && page.contains("GMT") && !page.contains("draft"), "{page}");
    let head = site.ask(Method::HEAD, "/files/", &[]).await;
    assert_eq!((head.header("content-length"), head.body.len()), (got.header("content-length"), 0));
    assert_eq!(site.get("/files").await.status, 308);
    assert!(site.get("/").await.text().contains("PUBLIC start page"), "an index comes first");
}

#[tokio::test]
async fn names_in_a_listing_are_escaped_and_lead_to_their_files() {
    let site = Site::with(|settings| settings.listing = true);
    let names: [&[u8]; 9] = [
        b"<b>&amp;.txt",
        b"\"quotes\" 'x'.txt",
        b"two words.txt",
        b"50%.txt",
        b"javascript:alert(1)",
        b"a?b#c.txt",
        b"\xe4.txt",
        b"line\nbreak.txt",
        b"back\\slash.txt",
    ];
    fs::create_dir(site.settings.root.join("odd")).unwrap();
    for name in names {
        fs::write(site.settings.root.join("odd").join(OsStr::from_bytes(name)), "PUBLIC").unwrap();
    }
    let page = site.get("/odd/").await.text();
    for raw in ["<b>", "\"quotes\"", "javascript:alert(1)\"", "line", "slash"] {
        assert!(!page.contains(raw), "{raw} in {page}");
    }
    for shown in ["&lt;b&gt;&amp;amp;.txt", "&quot;quotes&quot; &#39;x&#39;.txt", "\u{fffd}.txt"] {
        assert!(page.contains(shown), "no {shown} in {page}");
    }
    let links: Vec<&str> = page.split("href=\"").skip(2).map(|rest| rest.split('"').next().unwrap()).collect();
    assert_eq!(links.len(), 7, "{links:?}");
    for link in links {
        assert_eq!(site.get(&format!("/odd/{link}")).await.text(), "PUBLIC", "{link}");
    }
}

#[tokio::test]
async fn a_listing_says_where_it_ends() {
    let site = Site::with(|settings| settings.listing = true);
    for at in 0..=find::LISTED {
        site.write(&format!("bare/{at}"), "");
    }
    let page = site.get("/bare/").await.text();
    assert_eq!(page.matches("<tr><td>").count(), find::LISTED + 1, "the rows and the way up");
    assert!(page.contains("There is more here"));
}

#[tokio::test]
async fn a_page_of_an_app_is_drawn_by_the_fallback_and_a_missing_asset_is_not() {
    let site = Site::with(|settings| settings.fallback = Some("about.html".into()));
    let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    let cases = [
        ("/users/7", Some(browser), 200),
        ("/users/7", Some("*/*"), 200),
        ("/users/7", None, 200),
        ("/files/", None, 200),
        ("/users/7", Some("application/json"), 404),
        ("/users/7", Some("application/json, text/plain, */*"), 404),
        ("/users/7", Some("image/avif, image/webp"), 404),
        ("/users/7", Some("text/html;q=0, image/png"), 404),
        ("/app.3f2a.js", Some(browser), 404),
        ("/users/7.png", None, 404),
        ("/.git/config", Some(browser), 404),
        ("/a%00", Some(browser), 404),
    ];
    for (path, accept, status) in cases {
        let headers: Vec<_> = accept.into_iter().map(|accept| ("accept", accept)).collect();
        let got = site.ask(Method::GET, path, &headers).await;
        assert_eq!(got.status, status, "{path} {accept:?}");
        if status == 200 {
            assert_eq!((got.header("cache-control"), got.text().contains("PUBLIC about")), ("no-cache", true), "{path}");
        }
    }
    assert_eq!(site.get("/about.html").await.header("cache-control"), "", "asked for by its own name it is a file");
    let post = site.ask(Method::POST, "/users/7", &[]).await;
    assert_eq!(post.status, 405);
}

#[tokio::test]
async fn a_fallback_that_is_hidden_or_outside_or_gone_is_none() {
    for fallback in [".env", "../outside.txt", "gone.html", "docs", ""] {
        let site = Site::with(|settings| settings.fallback = Some(fallback.into()));
        assert_eq!(site.get("/users/7").await.status, 404, "{fallback}");
    }
}

#[tokio::test]
async fn a_large_file_may_be_sent_by_the_web_server() {
    let site = Site::with(|settings| {
        (settings.accel_redirect, settings.x_sendfile, settings.precompressed) = (Some("/internal/".into()), true, true);
    });
    let large = "x".repeat(64 * 1024);
    site.write("files/a & ü.bin", &large);
    site.write("files/short.bin", &large[1..]);
    let path = "/files/a%20%26%20%C3%BC.bin";
    let got = site.get(path).await;
    let expected =
        SendFile::new(site.settings.root.join("files/a & ü.bin")).with_accel_redirect("/internal/files/a%20%26%20%C3%BC.bin").with_x_sendfile();
    assert_eq!((got.hint, got.body.len()), (Some(expected), large.len()), "the body is there for servers that cannot");
    assert_eq!(site.get("/files/short.bin").await.hint, None);
    assert_eq!(site.get_with(path, "range", "bytes=0-65535").await.hint, None);
    assert_eq!(site.ask(Method::HEAD, path, &[]).await.hint, None);
    site.write("files/a & ü.bin.br", &large);
    assert_eq!(site.get_with(path, "accept-encoding", "br").await.hint, None);
    let plain = Site::new();
    plain.write("large.bin", &large);
    assert_eq!(
        plain.get("/large.bin").await.hint,
        Some(SendFile::new(plain.settings.root.join("large.bin"))),
        "LiteSpeed needs no more than the path"
    );
}

#[tokio::test]
async fn a_link_is_offloaded_as_what_it_names() {
    let site = Site::with(|settings| (settings.symlinks, settings.accel_redirect) = (true, Some("/internal/".into())));
    site.write("files/large.bin", "x".repeat(64 * 1024));
    symlink("files/large.bin", site.settings.root.join("link.bin")).unwrap();
    let expected = SendFile::new(site.settings.root.join("files/large.bin")).with_accel_redirect("/internal/files/large.bin");
    assert_eq!(site.get("/link.bin").await.hint, Some(expected));
}

#[tokio::test]
async fn a_file_that_may_not_be_read_is_forbidden_and_its_path_is_not_told() {
    let path = Path::new("/home/user/www/page.html");
    let answer = missed(&Miss::of(path, io::Error::from_raw_os_error(libc::EACCES)));
    let failure = answer.extensions().get::<Failure>().copied();
    assert_eq!(failure.map(|failure| (failure.status, failure.code.map(|code| code.as_str()))), Some((StatusCode::FORBIDDEN, Some("LG0404"))));
    assert!(answer.headers().is_empty() && answer.into_body().collect().await.unwrap().to_bytes().is_empty());
    for (number, status) in [(libc::EIO, 500), (libc::ENOENT, 404), (libc::ENOTDIR, 404), (libc::ENAMETOOLONG, 404), (libc::ELOOP, 404)] {
        assert_eq!(missed(&Miss::of(path, io::Error::from_raw_os_error(number))).status().as_u16(), status);
    }
}

#[tokio::test]
async fn what_the_system_does_not_let_be_read_is_forbidden_to_get_and_head() {
    let site = Site::with(|settings| settings.precompressed = true);
    let root = &site.settings.root;
    if fs::metadata(root).unwrap().uid() == 0 {
        // Root may read everything; the test above stands in for this one then.
        return;
    }
    for name in ["alphabet.txt", "docs", "assets/style.css.br"] {
        fs::set_permissions(root.join(name), fs::Permissions::from_mode(0o000)).unwrap();
    }
    for path in ["/alphabet.txt", "/docs/", "/docs/index.html"] {
        for method in [Method::GET, Method::HEAD] {
            let got = site.ask(method, path, &[]).await;
            assert_eq!((got.status, got.failure.and_then(|failure| failure.code).map(|code| code.as_str())), (403, Some("LG0404")), "{path}");
        }
    }
    let got = site.get_with("/assets/style.css", "accept-encoding", "br").await;
    assert_eq!((got.status, got.header("content-encoding")), (200, ""));
    fs::set_permissions(root.join("docs"), fs::Permissions::from_mode(0o700)).unwrap();
}

#[tokio::test]
async fn a_file_that_grows_keeps_to_its_announced_length() {
    let site = Site::new();
    let mut service = Files::new(site.settings.clone());
    let request = Request::get("/alphabet.txt").body(Body::empty()).unwrap();
    let answer = service.call(request).await.unwrap();
    site.write("alphabet.txt", "abcdefghijklmnopqrstuvwxyz and more");
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes().len(), 26);
}
