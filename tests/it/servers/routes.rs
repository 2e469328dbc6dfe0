//! Every route of the test application, asked through any door. What the door cannot do is asserted as well.

use std::panic::{self, AssertUnwindSafe};
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};

use super::client::{Answer, CUT_SHORT, watch_events};
use super::nginx;
use super::process::wait_for;
use super::server::Server;

/// The name of a case, and what it asks and expects.
type Case = (&'static str, fn(&Server));

const CASES: &[Case] = &[
    ("/hello", hello),
    ("/hello, HEAD", head),
    ("/env", env),
    ("/env, headers", env_headers),
    ("/env, a login", login),
    ("a path of escapes", escaped_path),
    ("an escaped slash", escaped_slash),
    ("/echo", echo),
    ("/count", count),
    ("/count, chunked", count_chunked),
    ("/count, the longest body", longest_body),
    ("/big", big),
    ("/sse", sse),
    ("/slow", slow),
    ("/slow, given up", given_up),
    ("/spin", spin),
    ("/panic", panics),
    ("/panic-late and /fail-late, early", fails_early),
    ("/panic-late", panics_late),
    ("/fail-late", fails_late),
    ("/fail-late, declared", fails_late_declared),
    ("/noread", noread),
    ("/early", early),
    ("/status", status),
    ("/status, without a body", status_without_body),
    ("/headers", headers),
    ("/headers, fat", fat_headers),
    ("/cookies", cookies),
    ("/redirect", redirect),
    ("/stderr", stderr),
    ("/pid", pid),
    ("/background", background),
    ("no route", no_route),
];

/// Asks every case and names all that failed, so that one look shows what a server does differently.
pub(crate) fn ask_every_route(server: &Server) {
    let failed: Vec<_> =
        CASES.iter().filter(|(_, ask)| panic::catch_unwind(AssertUnwindSafe(|| ask(server))).is_err()).map(|(name, _)| *name).collect();
    assert!(failed.is_empty(), "through {:?} {} of {} cases failed: {failed:#?}\n{}", server.door, failed.len(), CASES.len(), server.site.log_text());
}

fn hello(server: &Server) {
    let answer = server.get("/hello");
    answer.expect(200, "hello, world\n");
    assert_eq!(answer.header("content-type"), Some("text/plain"));
}

fn head(server: &Server) {
    let answer = server.ask("/hello").arg("--head").send();
    assert_eq!((answer.exit, answer.status), (0, 200));
    assert_eq!(answer.header("content-type"), Some("text/plain"));
    // The connection is still in step after a response without a body.
    server.get("/hello").expect(200, "hello, world\n");
}

fn env(server: &Server) {
    let abilities = server.door.abilities();
    let answer = server.ask("/env?a=1&b=%C3%A9+c").method("PUT").body("x").send();
    assert_eq!(answer.status, 200, "{}", answer.text());
    let env = answer.json();
    assert_eq!(env["method"], "PUT");
    assert_eq!(env["uri"], "/env?a=1&b=%C3%A9+c");
    assert_eq!(env["original_uri"], "/env?a=1&b=%C3%A9+c");
    assert_eq!(env["version"], "HTTP/1.1");
    assert_eq!(env["scheme"], "http");
    assert_eq!(env["host"], expected_host(server));
    assert_eq!(env["mount"], "");
    assert_eq!(env["gateway"], abilities.gateway);
    assert_eq!(env["profile"], abilities.profile);
    assert_eq!(env["generation"], "0");
    assert!(env["pid"].as_u64().is_some_and(|pid| pid > 1));
    let remote = env["remote"].as_str().unwrap();
    assert!(remote.starts_with("127.0.0.1:"), "{remote}");
    assert!(!remote.ends_with(":0"), "{remote}");
}

/// The host as the visitor wrote it, with its port, unless the server says less than it knows.
fn expected_host(server: &Server) -> String {
    let params = std::fs::read_to_string(nginx::PARAMS);
    // Debian took the port away with a security update, so both kinds of nginx are about.
    if server.door.is_nginx() && params.unwrap().contains("HTTP_HOST") {
        return "127.0.0.1".to_owned();
    }
    format!("127.0.0.1:{}", server.port)
}

fn env_headers(server: &Server) {
    let answer = server
        .ask("/env")
        .header("X-Plain: one")
        .header("X-Twice: 1")
        .header("X-Twice: 2")
        .header("Cookie: a=1")
        .header("Cookie: b=2")
        .header("Proxy: evil.example:3128")
        .header("X_Under: 1")
        .send();
    let env = answer.json();
    assert_eq!(values(&env, "x-plain"), ["one"]);
    let twice: &[&str] = if server.door.abilities().keeps_repeated { &["1", "2"] } else { &["1, 2"] };
    assert_eq!(values(&env, "x-twice"), twice);
    // However the server cut or joined them, an app sees what a browser would have sent.
    assert_eq!(values(&env, "cookie"), ["a=1; b=2"]);
    assert_eq!(values(&env, "proxy"), [""; 0], "httpoxy");
    assert_eq!(values(&env, "connection"), [""; 0]);
    // Apache and nginx drop what could be taken for another header; X-Under would look the same in a variable.
    assert_eq!(values(&env, "x-under"), [""; 0]);
}

/// The values of a header in what `/env` answered.
pub(crate) fn values<'a>(env: &'a serde_json::Value, name: &str) -> Vec<&'a str> {
    let pairs = env["headers"].as_array().unwrap();
    pairs.iter().filter(|pair| pair[0] == name).map(|pair| pair[1].as_str().unwrap()).collect()
}

fn login(server: &Server) {
    let env = server.ask("/env").header("Authorization: Basic bWU6c2VjcmV0").send().json();
    let expected: &[&str] = if server.door.abilities().passes_authorization { &["Basic bWU6c2VjcmV0"] } else { &[] };
    assert_eq!(values(&env, "authorization"), expected);
}

fn escaped_path(server: &Server) {
    // The app decodes, nobody before it: `%32%30%31` is 201.
    server.get("/status/%32%30%31").expect(201, "201\n");
}

fn escaped_slash(server: &Server) {
    let answer = server.get("/status/2%2F0");
    // The app says that this is no number; Apache says that there is no such page.
    let expected = if server.door.abilities().passes_escaped_slash { 400 } else { 404 };
    assert_eq!((answer.exit, answer.status), (0, expected), "{}", answer.text());
}

fn echo(server: &Server) {
    let size = server.door.abilities().longest_body.unwrap_or(3_000_000);
    let body: Vec<u8> = (0..=255).cycle().take(size).collect();
    let answer = server.ask("/echo").body(body.clone()).send();
    assert_eq!((answer.exit, answer.status), (0, 200));
    assert_eq!(answer.header("content-type"), Some("application/octet-stream"));
    assert!(answer.body == body, "{} bytes came back", answer.body.len());
}

fn counted(body: &[u8]) -> String {
    format!("{} {:x}\n", body.len(), Sha256::digest(body))
}

fn count(server: &Server) {
    let body: Vec<u8> = (0..=250).cycle().take(70_001).collect();
    let answer = server.ask("/count").body(body.clone()).send();
    answer.expect(200, &counted(&body));
    server.get("/count").expect(200, &counted(b""));
}

fn count_chunked(server: &Server) {
    let body: Vec<u8> = (0..=250).cycle().take(90_000).collect();
    let answer = server.ask("/count").header("Transfer-Encoding: chunked").body(body.clone()).send();
    answer.expect(200, &counted(&body));
}

fn longest_body(server: &Server) {
    let longest = server.door.abilities().longest_body;
    let fits = vec![b'b'; longest.unwrap_or(2_000_000)];
    let answer = server.ask("/count").body(fits.clone()).send();
    answer.expect(200, &counted(&fits));
    if longest.is_some() {
        let too_long = vec![b'b'; fits.len() + 1];
        let answer = server.ask("/count").body(too_long).send();
        assert_eq!(answer.status, 500);
        assert!(answer.text().contains("Internal Server Error"));
    }
}

fn big(server: &Server) {
    let n = 3_000_000;
    let answer = server.get(&format!("/big?n={n}"));
    assert_eq!((answer.exit, answer.status), (0, 200));
    assert!(answer.is_filler(n), "{} bytes", answer.body.len());
    assert_eq!(answer.header("content-length"), None);

    let answer = server.get(&format!("/big?n={n}&cl=1"));
    assert_eq!((answer.exit, answer.status), (0, 200));
    assert!(answer.is_filler(n), "{} bytes", answer.body.len());
    let length = n.to_string();
    let passed = server.door.abilities().passes_length;
    assert_eq!(answer.header("content-length"), passed.then_some(length.as_str()));
}

fn sse(server: &Server) {
    let seen = watch_events(server.port, "/sse?n=4&ms=500", 4);
    let spread = seen[3] - seen[0];
    // 1.5 s lie between the first event and the last where they are passed on, next to nothing where they are not.
    let one_by_one = spread > Duration::from_millis(750);
    assert_eq!(one_by_one, server.door.abilities().streams, "events within {spread:?}");
}

fn slow(server: &Server) {
    let start = Instant::now();
    server.get("/slow?ms=200").expect(200, "done\n");
    assert!(start.elapsed() >= Duration::from_millis(200));
}

fn given_up(server: &Server) {
    let answer = server.ask("/slow?ms=3000").arg("--max-time").arg("0.5").send();
    assert_eq!(answer.exit, 28, "curl gave up");
    if server.door.abilities().tells_departure {
        wait_for("the request that was given up to be counted", || (server.get("/cancelled").text() == "1\n").then_some(()));
    } else {
        // The program works on, for nobody. It is idle again when the time of the request is over.
        std::thread::sleep(Duration::from_secs(3));
        server.get("/cancelled").expect(200, "0\n");
    }
}

fn spin(server: &Server) {
    server.get("/spin?ms=20").expect(200, "done\n");
}

/// A page that says that something went wrong, and nothing of what.
#[track_caller]
fn expect_clean_500(answer: &Answer) {
    assert_eq!((answer.exit, answer.status), (0, 500));
    assert!(!answer.body.contains(&b'x'), "{}", answer.text());
    assert!(!answer.text().contains("on purpose"), "{}", answer.text());
}

fn panics(server: &Server) {
    expect_clean_500(&server.get("/panic"));
    server.get("/hello").expect(200, "hello, world\n");
}

fn fails_early(server: &Server) {
    for path in ["/panic-late?n=16384", "/panic-late?n=0", "/fail-late?n=100", "/fail-late?n=100&cl=1"] {
        expect_clean_500(&server.get(path));
    }
}

fn panics_late(server: &Server) {
    check_late_failure(server, "/panic-late?n=1000000", server.door.abilities().shows_failure);
}

fn fails_late(server: &Server) {
    check_late_failure(server, "/fail-late?n=1000000", server.door.abilities().shows_failure);
}

fn fails_late_declared(server: &Server) {
    check_late_failure(server, "/fail-late?n=1000000&cl=1", server.door.abilities().shows_failure_of_declared);
}

/// A response that breaks off after a megabyte. Where the server can show it, the transfer is seen to fail; where it
/// cannot, the visitor at least gets nothing that the app did not send.
#[track_caller]
fn check_late_failure(server: &Server, path: &str, visible: bool) {
    let answer = server.get(path);
    if visible {
        assert_eq!(answer.exit, CUT_SHORT, "{path}: {} bytes", answer.body.len());
        assert!(answer.body.len() <= 1_000_000);
    } else {
        assert_eq!(answer.exit, 0, "{path}: {} bytes", answer.body.len());
        assert_eq!(answer.body.len(), 1_000_000, "{path}");
    }
    assert!(answer.body.iter().all(|byte| *byte == b'x'), "{path}");
    server.get("/hello").expect(200, "hello, world\n");
}

fn noread(server: &Server) {
    let size = server.door.abilities().longest_body.unwrap_or(3_000_000);
    let start = Instant::now();
    let answer = server.ask("/noread").body(vec![b'b'; size]).send();
    answer.expect(413, "too big\n");
    // mod_cgid waits five seconds for a program that has not read its body.
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
}

fn early(server: &Server) {
    let size = server.door.abilities().longest_body.unwrap_or(3_000_000);
    let n = 4_000_000;
    let answer = server.ask(&format!("/early?n={n}")).body(vec![b'b'; size]).send();
    assert_eq!((answer.exit, answer.status), (0, 200));
    let (filler, rest) = answer.body.split_at(n);
    assert!(filler.iter().all(|byte| *byte == b'x'));
    assert_eq!(rest, format!("{size}\n").as_bytes());
}

fn status(server: &Server) {
    for code in [200, 201, 400, 403, 404, 410, 418, 422, 451, 500, 502, 503, 599] {
        let answer = server.get(&format!("/status/{code}"));
        answer.expect(code, &format!("{code}\n"));
    }
}

fn status_without_body(server: &Server) {
    for code in [204, 304] {
        server.get(&format!("/status/{code}")).expect(code, "");
    }
    server.get("/hello").expect(200, "hello, world\n");
}

fn headers(server: &Server) {
    let answer = server.get("/headers?n=30&len=50");
    answer.expect(200, "ok\n");
    let value = "v".repeat(50);
    for index in 0..30 {
        let name = format!("x-h-{index}");
        assert_eq!(answer.headers(&name), [value.as_str()], "{name}");
    }
}

fn fat_headers(server: &Server) {
    let abilities = server.door.abilities();
    let answer = server.get("/headers?n=2&len=2200");
    if abilities.takes_fat_head {
        answer.expect(200, "ok\n");
        assert_eq!(answer.header("x-h-1").map(str::len), Some(2200));
    } else {
        assert_eq!(answer.status, 502);
    }
    let answer = server.get("/headers?n=1&len=9000");
    assert_eq!(answer.status, abilities.answer_to_long_line);
    // The visitor sees an error of the server; the log says which header it was.
    wait_for("the name of the fat header in the log", || server.site.log_text().contains("x-h-0").then_some(()));
    server.get("/hello").expect(200, "hello, world\n");
}

fn cookies(server: &Server) {
    let answer = server.get("/cookies?n=3");
    answer.expect(200, "ok\n");
    assert_eq!(answer.headers("set-cookie"), ["c0=v0", "c1=v1", "c2=v2"]);
}

fn redirect(server: &Server) {
    for (to, code) in [("/elsewhere", 302), ("/elsewhere", 301), ("https://example.org/a?b", 307), ("/hello", 303)] {
        let answer = server.get(&format!("/redirect?to={to}&code={code}"));
        assert_eq!((answer.exit, answer.status), (0, code), "{to}");
        assert_eq!(answer.header("location"), Some(to), "{to}");
    }
}

fn stderr(server: &Server) {
    server.get("/stderr?text=seen-in-the-log").expect(200, "ok\n");
    let lines = || {
        let log = server.site.log_text();
        log.lines().filter(|line| line.contains("seen-in-the-log")).count()
    };
    wait_for("the warning in the log", || (lines() > 0).then_some(()));
    assert_eq!(lines(), 1, "one warning is one line");
}

fn pid(server: &Server) {
    let text = server.get("/pid").text();
    let fields: Vec<_> = text.split_whitespace().collect();
    let [pid, begun, generation] = fields[..] else {
        panic!("{text}");
    };
    assert!(pid.parse::<u32>().unwrap() > 1);
    assert!(begun.parse::<u64>().unwrap() >= 1);
    assert_eq!(generation, "0");
}

fn background(server: &Server) {
    let start = Instant::now();
    server.get("/background?ms=1500").expect(200, "ok\n");
    assert!(start.elapsed() < Duration::from_millis(1400), "the answer waited for the work behind it");
    wait_for("the line that the background work writes", || server.site.find("background.log"));
}

fn no_route(server: &Server) {
    let answer = server.get("/no-such-page");
    assert_eq!((answer.exit, answer.status), (0, 404));
    assert!(answer.body.is_empty(), "axum's own page: {}", answer.text());
}
