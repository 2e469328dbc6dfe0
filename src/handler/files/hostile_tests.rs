//! Hostile paths, links and special files: whatever is asked for, nothing outside the root and no dot-file comes back.

use super::answer_tests::{Got, Site};
use http::Method;
use proptest::prelude::*;
use std::{
    fs,
    os::unix::{
        fs::{MetadataExt as _, lchown, symlink},
        net::UnixListener,
    },
    path::Path,
    process::Command,
    time::Duration,
};

/// Some user who is not the one that runs the tests.
const SOMEBODY: u32 = 4242;

/// Paths that name nothing to be shown, by whatever trick.
const HOSTILE: &[&str] = &[
    // Ways up, plain and encoded in every manner.
    "/../outside.txt",
    "/docs/../../outside.txt",
    "/..",
    "/../",
    "/.",
    "/./about.html",
    "/docs/./index.html",
    "/docs/../about.html",
    "/%2e%2e/outside.txt",
    "/%2E%2E/outside.txt",
    "/.%2e/outside.txt",
    "/%2e./outside.txt",
    "/%2e%2e%2foutside.txt",
    "/..%2foutside.txt",
    "/..%2Foutside.txt",
    "/docs%2f..%2f..%2foutside.txt",
    "/docs%2findex.html",
    "/%252e%252e/outside.txt",
    "/%252e%252e%255coutside.txt",
    "/%25252e%25252e%25252foutside.txt",
    "/..%252foutside.txt",
    "/..%00/outside.txt",
    "/...//outside.txt",
    "/..;/outside.txt",
    // Overlong UTF-8, and others that decoders have taken for a dot or a slash.
    "/%c0%ae%c0%ae/outside.txt",
    "/%e0%80%ae%e0%80%ae/outside.txt",
    "/%f0%80%80%ae%f0%80%80%ae/outside.txt",
    "/..%c0%afoutside.txt",
    "/%c0%ae%c0%ae%c0%afoutside.txt",
    "/..%c1%9coutside.txt",
    "/..%ef%bc%8foutside.txt",
    "/\u{ff0e}\u{ff0e}/outside.txt",
    "/%u002e%u002e/outside.txt",
    // Backslashes and drives.
    "/..\\outside.txt",
    "/..%5coutside.txt",
    "/docs\\index.html",
    "/docs%5Cindex.html",
    "\\..\\outside.txt",
    "/C:/outside.txt",
    // Absolute and foreign paths.
    "//etc/passwd",
    "/%2fetc/passwd",
    "///about.html",
    "//about.html",
    "/docs//index.html",
    "/docs///",
    "//",
    "http://evil.example/about.html",
    "file:///etc/passwd",
    "about.html",
    "",
    "*",
    "?",
    // Zeros and control characters.
    "/about.html%00",
    "/about.html%00.txt",
    "/%00",
    "/about.html\0",
    "/about.html%0a",
    "/about.html%0d%0aX-Evil:%201",
    "/about.html\n",
    "/about.html%7f",
    "/%1b[2J",
    // Broken encoding.
    "/about%",
    "/about%2",
    "/about%2ehtml%",
    "/%zz",
    "/100%.txt",
    // Dot-files in many spellings.
    "/.htaccess",
    "/%2ehtaccess",
    "/%2Ehtaccess",
    "/%252ehtaccess",
    "/.HTACCESS",
    "/.HtAccess",
    "/.htaccess/",
    "/.htaccess%20",
    "/.htaccess%00.html",
    "/.env",
    "/%2e%65%6e%76",
    "/.svn/entries",
    "/.git/config",
    "/docs/.htpasswd",
    "/docs/%2ehtpasswd",
    "/files/.draft",
    "/bare/.keep",
    "/.well-known/.hidden",
    "/.WELL-KNOWN/security.txt",
    "/docs/.well-known/security.txt",
    "/.well-known/../.htaccess",
    "/.well-known",
    // Case, endings and streams that other systems would forgive.
    "/ABOUT.HTML",
    "/about.html.",
    "/about.html::$DATA",
    "/about.html/",
    "/about.html/x",
    "/about.html/../.htaccess",
    "/about.html~",
];

fn assert_harmless(got: &Got, path: &str) {
    let text = got.text();
    assert!(!text.contains("OUTSIDE") && !text.contains("SECRET"), "{path:?} got {text}");
    assert!(matches!(got.status, 200 | 308 | 404), "{path:?} got {}", got.status);
    let location = got.headers.get("location").map(|location| location.to_str().unwrap());
    assert!(
        location.is_none_or(|location| location.starts_with('/') && !location.starts_with("//") && !location.contains('\\')),
        "{path:?} leads to {location:?}"
    );
    for hidden in [".htaccess", ".env", ".svn", ".keep", ".draft", "outside"] {
        assert!(!text.contains(&format!("href=\"{hidden}")), "{path:?} lists {hidden}");
    }
}

/// Everything that a site can be set to do, and links of every kind.
fn tempting_site() -> Site {
    let site = Site::with(|settings| {
        (settings.symlinks, settings.precompressed, settings.listing) = (true, true, true);
        settings.index = vec!["none.html".into()];
    });
    let root = &site.settings.root;
    symlink("../outside.txt", root.join("out")).unwrap();
    symlink("..", root.join("up")).unwrap();
    symlink("/", root.join("system")).unwrap();
    symlink(".htaccess", root.join("hidden")).unwrap();
    symlink(".svn", root.join("svn")).unwrap();
    symlink(".", root.join("docs/here")).unwrap();
    symlink("../../../outside.txt", root.join("files/sub/out.txt")).unwrap();
    site
}

#[tokio::test]
async fn no_hostile_path_finds_anything() {
    let site = Site::new();
    assert!(HOSTILE.len() >= 40);
    for path in HOSTILE {
        let got = site.get(path).await;
        assert_harmless(&got, path);
        assert_eq!(got.status, 404, "{path:?} got {}", got.text());
    }
}

#[tokio::test]
async fn no_hostile_path_finds_anything_where_everything_is_switched_on() {
    let site = tempting_site();
    for path in HOSTILE {
        for encoding in ["", "br, gzip, zstd"] {
            assert_harmless(&site.ask(Method::GET, path, &[("accept-encoding", encoding)]).await, path);
        }
    }
    for path in ["/out", "/up/outside.txt", "/up/", "/system/etc/passwd", "/hidden", "/svn/entries", "/svn/", "/files/sub/out.txt"] {
        assert_eq!(site.get(path).await.status, 404, "{path}");
    }
    let names = ["out", "up", "system", "hidden", "svn"];
    let page = site.get("/").await.text();
    assert!(page.contains("href=\"docs/\""));
    for name in names {
        assert!(!page.contains(&format!("href=\"{name}")), "{name} is listed");
    }
}

#[tokio::test]
async fn a_link_within_the_root_is_followed_only_where_that_is_set() {
    let mut site = Site::new();
    let root = site.settings.root.clone();
    symlink("about.html", root.join("same.html")).unwrap();
    symlink("docs", root.join("manual")).unwrap();
    symlink(&root, root.join("docs/top")).unwrap();
    symlink("loop", root.join("loop")).unwrap();
    symlink("gone", root.join("dangling")).unwrap();
    let paths = [
        ("/same.html", "PUBLIC about"),
        ("/manual/", "PUBLIC docs"),
        ("/docs/top/", "PUBLIC start"),
        ("/docs/top/manual/top/about.html", "PUBLIC about"),
    ];
    for (path, _) in paths {
        assert_eq!(site.get(path).await.status, 404, "{path}");
    }
    site.settings.symlinks = true;
    for (path, content) in paths {
        assert!(site.get(path).await.text().contains(content), "{path}");
    }
    for path in ["/loop", "/dangling"] {
        assert_eq!(site.get(path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn a_root_that_is_itself_a_link_is_the_choice_of_its_owner() {
    let mut site = Site::with(|settings| settings.symlinks = true);
    let current = site.folder.path().join("current");
    symlink(&site.settings.root, &current).unwrap();
    symlink("about.html", site.settings.root.join("same.html")).unwrap();
    symlink("../outside.txt", site.settings.root.join("out")).unwrap();
    site.settings.root = current;
    assert_eq!(site.get("/about.html").await.status, 200);
    assert_eq!(site.get("/same.html").await.status, 200);
    assert_eq!(site.get("/out").await.status, 404);
}

#[tokio::test]
async fn a_link_to_a_file_of_somebody_else_is_not_found() {
    let site = Site::with(|settings| settings.symlinks = true);
    let root = &site.settings.root;
    if fs::metadata(root).unwrap().uid() != 0 {
        // Only root can give files away.
        return;
    }
    for name in ["theirs.html", "link-of-theirs.html", "both.html"] {
        symlink("about.html", root.join(name)).unwrap();
    }
    fs::copy(root.join("about.html"), root.join("given.html")).unwrap();
    lchown(root.join("given.html"), Some(SOMEBODY), None).unwrap();
    symlink("given.html", root.join("to-given.html")).unwrap();
    symlink("given.html", root.join("both-given.html")).unwrap();
    lchown(root.join("link-of-theirs.html"), Some(SOMEBODY), None).unwrap();
    lchown(root.join("both-given.html"), Some(SOMEBODY), None).unwrap();
    for (name, status) in [("theirs.html", 200), ("link-of-theirs.html", 404), ("to-given.html", 404), ("both-given.html", 200), ("given.html", 200)]
    {
        assert_eq!(site.get(&format!("/{name}")).await.status, status, "{name}");
    }
}

#[tokio::test]
async fn a_precompressed_link_or_index_or_fallback_keeps_to_the_rule_too() {
    for symlinks in [false, true] {
        let site = Site::with(|settings| {
            (settings.symlinks, settings.precompressed, settings.fallback) = (symlinks, true, Some("spa.html".into()));
        });
        let root = &site.settings.root;
        for (target, link) in [
            ("../outside.txt", "about.html.br"),
            ("../outside.txt", "about.html.gz"),
            (".htaccess", "about.html.zst"),
            ("../outside.txt", "spa.html"),
        ] {
            symlink(target, root.join(link)).unwrap();
        }
        symlink("../../outside.txt", root.join("files/index.html")).unwrap();
        for encoding in ["br", "gzip", "zstd", "br, gzip, zstd"] {
            let got = site.ask(Method::GET, "/about.html", &[("accept-encoding", encoding)]).await;
            assert!(got.status == 200 && got.text().contains("PUBLIC about"), "{encoding}");
        }
        assert_eq!(site.get("/files/").await.status, 404);
        assert_eq!(site.get("/users/7").await.status, 404);
    }
}

#[tokio::test]
async fn a_precompressed_link_beside_a_root_that_is_a_file_is_not_followed() {
    let site = Site::with(|settings| (settings.symlinks, settings.precompressed) = (true, true));
    symlink("../outside.txt", site.settings.root.join("about.html.br")).unwrap();
    let mut alone = site.settings.clone();
    alone.root.push("about.html");
    let alone = Site { folder: site.folder, settings: alone };
    let got = alone.ask(Method::GET, "/", &[("accept-encoding", "br")]).await;
    assert!(got.text().contains("PUBLIC about") && !got.headers.contains_key("vary"), "what is not followed is no choice either");
}

#[tokio::test]
async fn a_pipe_or_a_socket_is_not_found_and_not_waited_for() {
    let site = Site::with(|settings| (settings.precompressed, settings.listing) = (true, true));
    let root = &site.settings.root;
    let pipe = |name: &str| assert!(Command::new("mkfifo").arg(root.join(name)).status().unwrap().success());
    pipe("files/pipe");
    pipe("about.html.br");
    let _socket = UnixListener::bind(root.join("files/socket")).unwrap();
    for (path, status) in [("/files/pipe", 404), ("/files/pipe/", 404), ("/files/socket", 404), ("/about.html", 200), ("/files/", 200)] {
        let asked = site.ask(Method::GET, path, &[("accept-encoding", "br")]);
        let got = tokio::time::timeout(Duration::from_secs(20), asked).await;
        if got.is_err() {
            release(&root.join("files/pipe"));
            release(&root.join("about.html.br"));
        }
        let got = got.expect(path);
        assert_eq!(got.status, status, "{path}");
        assert!(!got.headers.contains_key("vary"), "a pipe is no precompressed file");
        assert!(!got.text().contains("pipe") && !got.text().contains("socket"), "{path}");
    }
}

/// Lets go whoever waits for a writer of the pipe, so that a test that failed can end.
fn release(pipe: &Path) {
    drop(fs::File::options().read(true).write(true).open(pipe));
}

#[tokio::test]
async fn names_that_are_too_long_or_too_many_are_not_found() {
    let site = tempting_site();
    for path in
        [format!("/{}", "a".repeat(300)), "/docs".repeat(30), "/docs/here".repeat(3), "/a".repeat(30_000), format!("/docs{}", "/here".repeat(5000))]
    {
        let got = site.get(&path).await;
        assert_harmless(&got, &path);
    }
    assert_eq!(site.get(&format!("/docs{}/index.html", "/here".repeat(50))).await.status, 200);
    assert_eq!(site.get(&format!("/docs{}/index.html", "/here".repeat(500))).await.status, 404);
}

/// Pieces that paths of attacks are made of.
fn piece() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "/",
        "//",
        "..",
        ".",
        "%2e",
        "%2E%2e",
        "%2f",
        "%5c",
        "\\",
        "%00",
        "%",
        "%25",
        "%c0%ae",
        "outside.txt",
        ".htaccess",
        ".svn",
        "entries",
        "docs",
        "files",
        "index.html",
        "about.html",
        "out",
        "up",
        "system",
        "hidden",
        "here",
        "svn",
        ".well-known",
        ".hidden",
        "assets",
        "style.css",
        "bare",
        "sub",
        "c.txt",
    ]);
    prop_oneof![4 => known.prop_map(str::to_owned), 1 => "\\PC{0,3}", 1 => prop::collection::vec(any::<u8>(), 0..4).prop_map(|bytes| encode(&bytes))]
}

fn encode(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("%{byte:02x}")).collect()
}

fn any_path() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => prop::collection::vec(piece(), 0..12).prop_map(|pieces| format!("/{}", pieces.join("/"))),
        3 => prop::collection::vec(piece(), 0..12).prop_map(|pieces| pieces.concat()),
        1 => any::<String>(),
        1 => prop::collection::vec(any::<u8>(), 0..40).prop_map(|bytes| format!("/{}", encode(&bytes))),
    ]
}

#[test]
fn no_bytes_as_a_path_ever_get_out_or_at_a_dot_file() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let site = tempting_site();
    proptest!(ProptestConfig::with_cases(2000), |(path in any_path())| {
        let got = runtime.block_on(site.ask(Method::GET, &path, &[("accept-encoding", "br, gzip, zstd")]));
        assert_harmless(&got, &path);
    });
}
