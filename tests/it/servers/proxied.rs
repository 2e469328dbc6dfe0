//! `proxy` with a real nginx behind it, and a real Apache or nginx before it.

use std::fs;

use super::client::{self, Answer};
use super::door::Door;
use super::hostile_paths::{over_http, through_web_server};
use super::nginx;
use super::process::Running;
use super::server::{Server, Setup, start_at, wait_until_listening};
use super::site::Site;
use super::websocket;
use crate::ports;

/// Large enough for many reads and writes everywhere on the way.
const BIG: usize = 48 * 1024 * 1024;

/// A real HTTP server that somebody already has: files, a page that is somewhere else, and a folder for uploads.
struct Upstream {
    web: Running,
    site: Site,
    port: u16,
}

impl Upstream {
    fn start() -> Self {
        let site = Site::new();
        site.write("page.txt", "from the server behind\n");
        site.write("uploads/.keep", "");
        fs::write(site.docroot().join("big"), vec![b'x'; BIG]).unwrap();
        let (socket, docroot) = (site.socket(), site.docroot());
        for _ in 0..5 {
            let port = ports::free();
            let servers = format!(
                "server {{
    listen 127.0.0.1:{port};
    listen unix:{socket};
    root {docroot};
    default_type text/plain;
    add_header X-Seen \"$request_method $request_uri $http_host $http_x_forwarded_for $http_x_forwarded_proto\" always;
    location /moved {{ absolute_redirect off; return 302 /app/page.txt?x=1; }}
    location /uploads/ {{ dav_methods PUT DELETE; }}
  }}",
                socket = socket.display(),
                docroot = docroot.display()
            );
            let _ = fs::remove_file(&socket);
            let mut web = Running::start(&nginx::command_with(&site, &servers), &site.logs().join("output.log"));
            if wait_until_listening(&mut web, &site, port) {
                return Self { web, site, port };
            }
        }
        panic!("no port of five was free: {}", site.log_text());
    }
}

/// The same server by its socket below `/app/`, and by its port below `/tcp/`; both at its top.
fn config(upstream: &Upstream) -> String {
    format!(
        "[[site]]
[[site.route]]
path = \"/app/\"
proxy = \"unix:{}:/\"

[[site.route]]
path = \"/tcp/\"
proxy = \"http://127.0.0.1:{}/\"
fail-for = \"0s\"
",
        upstream.site.socket().display(),
        upstream.port
    )
}

fn server_before(upstream: &Upstream, door: Door) -> Server {
    let setup = Setup::new(door).stock(&config(upstream));
    // mod_fcgid takes 128 KiB by default.
    if door == Door::Fcgid { setup.lines("FcgidMaxRequestLen 1073741824") } else { setup }.start()
}

const DOORS: [Door; 4] = [Door::Fcgid, Door::ProxyFcgi, Door::ProxyHttp, Door::NginxHttp];

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn pages_of_a_real_http_server_come_through_with_all_that_it_says() {
    let upstream = Upstream::start();
    for door in DOORS {
        let server = server_before(&upstream, door);
        // Apache does not believe a length that comes from its own modules.
        let length = (door != Door::ProxyFcgi).then_some("23");
        for prefix in ["/app", "/tcp"] {
            let ask = |path: &str| server.ask(&format!("{prefix}{path}")).header("Host: a.example");
            let page = ask("/page.txt?x=%2F").send();
            page.expect(200, "from the server behind\n");
            assert_eq!(page.header("x-seen"), Some("GET /page.txt?x=%2F a.example 127.0.0.1 http"), "{door:?}");
            assert_eq!((page.header("content-length"), page.header("content-type")), (length, Some("text/plain")), "{door:?}");
            let etag = page.header("etag").unwrap();
            let same = ask("/page.txt").header(&format!("If-None-Match: {etag}")).send();
            assert_eq!((same.exit, same.status, same.body.len()), (0, 304, 0), "{door:?}");
            let part = ask("/page.txt").header("Range: bytes=5-7").send();
            part.expect(206, "the");
            assert_eq!(part.header("content-range"), Some("bytes 5-7/23"), "{door:?}");
            let head = ask("/page.txt").arg("--head").send();
            assert_eq!((head.exit, head.status, head.header("content-length")), (0, 200, length), "{door:?}");
            let missing = ask("/nothing").send();
            assert_eq!(missing.status, 404, "{door:?}");
            assert!(missing.text().contains("<center>nginx"), "{door:?}: its own page: {}", missing.text());
            assert_eq!(ask("/moved").send().header("location"), Some("/app/page.txt?x=1"), "{door:?}");
        }
    }
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn large_bodies_go_both_ways_whole() {
    let upstream = Upstream::start();
    for door in DOORS {
        let server = server_before(&upstream, door);
        assert_eq!(client::download(server.port, "/app/big"), (200, BIG as u64, true), "{door:?}");
        let middle = server.ask("/tcp/big").header(&format!("Range: bytes={}-", BIG - 1000)).send();
        assert!(middle.status == 206 && middle.is_filler(1000), "{door:?}: {}", middle.status);
        let body: Vec<u8> = (0..3_000_001_u32).flat_map(u32::to_le_bytes).collect();
        for (name, chunked) in [("length", false), ("chunked", true)] {
            let ask = server.ask(&format!("/app/uploads/{name}")).method("PUT").body(body.clone());
            let answer = if chunked { ask.header("Transfer-Encoding: chunked") } else { ask }.send();
            assert!(matches!(answer.status, 201 | 204) && answer.exit == 0, "{door:?} {name}: {} {}", answer.status, answer.text());
            let there = fs::read(upstream.site.docroot().join("uploads").join(name)).unwrap();
            assert!(there == body, "{door:?} {name}: {} bytes arrived of {}", there.len(), body.len());
        }
        let gone = server.ask("/app/uploads/length").method("DELETE").send();
        assert_eq!(gone.status, 204, "{door:?}");
        assert!(!upstream.site.docroot().join("uploads/length").exists(), "{door:?}");
    }
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn a_server_that_has_left_is_a_page_with_a_code() {
    let mut upstream = Upstream::start();
    let server = server_before(&upstream, Door::Fcgid);
    let ask = || -> Answer { server.get("/tcp/page.txt") };
    ask().expect(200, "from the server behind\n");
    upstream.web.stop();
    let answer = ask();
    assert_eq!((answer.exit, answer.status), (0, 502), "{}", answer.text());
    assert!(answer.text().contains("LG04"), "{}", answer.text());
    assert!(!answer.text().contains(&upstream.port.to_string()), "where it is, is nobody's business: {}", answer.text());
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn a_websocket_goes_through_nginx_and_lodger_to_an_app() {
    let site = Site::new();
    let program = site.install("upstream/testapp");
    let socket = site.run().join("upstream.sock");
    let _app = start_at(&socket, &program, &site, false);
    let config = format!("[[site]]\n[[site.route]]\npath = \"/\"\nproxy = \"unix:{}\"\n", socket.display());
    websocket::check(&Setup::new(Door::NginxHttp).stock(&config).lines(websocket::NGINX).start_in(site));
}

/// One file behind a lock, in spellings of which nginx, as the server behind, understands many.
const LOCKED: [&str; 24] = [
    "/private/secret.txt",
    "/%70rivate/secret.txt",
    "//private//secret.txt",
    "///private/secret.txt",
    "/./private/secret.txt",
    "/x/../private/secret.txt",
    "/x/%2e%2e/private/secret.txt",
    "/private%2fsecret.txt",
    "/private%2Fsecret.txt",
    "/private/%2fsecret.txt",
    "/private%2f/secret.txt",
    "/private%2f%2fsecret.txt",
    "/%2fprivate/secret.txt",
    "/%2fprivate%2fsecret.txt",
    "/.%2fprivate/secret.txt",
    "/%2e%2fprivate%2fsecret.txt",
    "/x%2f..%2fprivate/secret.txt",
    "/x/..%2fprivate%2fsecret.txt",
    "/x%2f%2e%2e%2fprivate%2fsecret.txt",
    "/private/x%2f..%2fsecret.txt",
    "/x%2fy%2f..%2f..%2fprivate%2fsecret.txt",
    "/private%5csecret.txt",
    "/private%252fsecret.txt",
    "http://a.example/private%2fsecret.txt",
];

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn what_is_locked_stays_locked_however_the_server_behind_reads_a_path() {
    let upstream = Upstream::start();
    upstream.site.write("private/secret.txt", "SECRET");
    upstream.site.write("group/one", "a slash that belongs to a name\n");
    // With the path as the visitor wrote it, and with one that lodger put together.
    for base in ["", ":/"] {
        let socket = upstream.site.socket();
        let socket = socket.display();
        let config = format!(
            "[[site]]
[[site.route]]
path = \"/\"
proxy = \"unix:{socket}{base}\"

[[site.route]]
path = \"/private/\"
proxy = \"unix:{socket}{slash}\"
allow = [\"192.0.2.1\"]
",
            slash = if base.is_empty() { "" } else { ":/private/" }
        );
        let fcgid = Setup::new(Door::Fcgid).stock(&config).lines("AllowEncodedSlashes NoDecode").start();
        let http = Setup::new(Door::NginxHttp).stock(&config).start();
        for target in LOCKED {
            for answer in
                [through_web_server(&fcgid, target.as_bytes()), through_web_server(&http, target.as_bytes()), over_http(&http, target.as_bytes())]
            {
                let text = String::from_utf8_lossy(&answer);
                assert!(!text.contains("SECRET"), "{target} with the base {base:?}: {text}");
                assert!(text.starts_with("HTTP/1.1 4"), "{target} with the base {base:?}: {text}");
            }
        }
        // An encoded slash is no mistake where it changes nothing.
        for server in [&fcgid, &http] {
            server.get("/group%2Fone").expect(200, "a slash that belongs to a name\n");
        }
    }
}
