//! Every route of the test application, asked through any door. What a door does otherwise than the app meant it is a
//! finding; what no door may do is asserted.

use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};

use super::client::{Answer, RECEIVE_FAILED, SEND_FAILED, watch_events};
use super::door::{Door, Software};
use super::nginx;
use super::process::wait_for;
use super::server::Server;

/// What the visitor gets instead of what the app meant, in a word or two.
pub(crate) type Seen = Result<(), String>;

/// A row of the table: what is asked, and who asks it.
pub(crate) type Case = (&'static str, fn(&Server) -> Seen);

pub(crate) const CASES: &[Case] = &[
    ("`/hello`", hello),
    ("`/hello`, HEAD", head),
    ("`/env`: method, path, query", env),
    ("`/env`: address of the visitor", visitor),
    ("`/env`: a request header that comes twice", repeated_header),
    ("`/env`: cookies, `Proxy`, `Connection`", delicate_headers),
    ("`/env`: `X_Under` is not taken for `X-Under`", underscore),
    ("`/env`: login (`Authorization`)", login),
    ("an escaped letter in the path", escaped_letter),
    ("an escaped slash in the path", escaped_slash),
    ("`/echo`, 100 KB", echo),
    ("`/echo`, 3 MB", echo_large),
    ("`/count`", count),
    ("`/count`, 3 MB", count_large),
    ("`/count`, 90 KB chunked", count_chunked),
    ("`/count`, 3 MB chunked", count_large_chunked),
    ("`/big`, 3 MB", big),
    ("`/big`, 3 MB, length declared", big_declared),
    ("`/sse`: events one by one", sse),
    ("`/slow`", slow),
    ("`/slow`: app told of a visitor who leaves", departure),
    ("`/spin`", spin),
    ("`/panic`", panics),
    ("`/panic-late`, `/fail-late`: early failures", fails_early),
    ("`/panic-late`, 1 MB", panics_late),
    ("`/fail-late`, 1 MB", fails_late),
    ("`/fail-late`, 1 MB, length declared", fails_late_declared),
    ("`/noread`, 100 KB", noread),
    ("`/noread`, 3 MB", noread_large),
    ("`/early`, 4 MB before 100 KB are read", early),
    ("`/early`, 4 MB before 3 MB are read", early_large),
    ("`/status`, from 200 to 599", status),
    ("`/status`, 204 and 304", status_without_body),
    ("`/headers`, 30 of 50 bytes", headers),
    ("`/headers`, 2 of 2200 bytes", fat_headers),
    ("`/headers`, one of 9000 bytes", long_header),
    ("`/headers`, 200 of 10 bytes", many_headers),
    ("`/cookies`", cookies),
    ("`/redirect`", redirect),
    ("`/stderr`: one line in a log", stderr),
    ("`/pid`", pid),
    ("`/background`", background),
    ("no route", no_route),
];

/// A complete answer, unless the server answered with an error of its own.
#[track_caller]
fn complete(answer: &Answer, status: u16) -> Seen {
    let start: String = answer.text().chars().take(300).collect();
    if answer.status != status && answer.status >= 400 {
        return Err(answer.status.to_string());
    }
    assert_eq!((answer.exit, answer.status), (0, status), "(curl's exit code, status) {start}");
    Ok(())
}

/// The same with this text.
#[track_caller]
fn says(answer: &Answer, status: u16, text: &str) -> Seen {
    complete(answer, status)?;
    answer.expect(status, text);
    Ok(())
}

fn hello(server: &Server) -> Seen {
    let answer = server.get("/hello");
    answer.expect(200, "hello, world\n");
    assert_eq!(answer.header("content-type"), Some("text/plain"));
    Ok(())
}

fn head(server: &Server) -> Seen {
    let answer = server.ask("/hello").arg("--head").send();
    assert_eq!((answer.exit, answer.status), (0, 200));
    assert_eq!(answer.header("content-type"), Some("text/plain"));
    // The connection is still in step after a response without a body.
    server.get("/hello").expect(200, "hello, world\n");
    Ok(())
}

fn env(server: &Server) -> Seen {
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
    assert_eq!(env["gateway"], server.door.gateway());
    assert_eq!(env["profile"], server.door.profile());
    assert_eq!(env["generation"], "0");
    assert!(env["pid"].as_u64().is_some_and(|pid| pid > 1));
    Ok(())
}

/// The host as the visitor wrote it, with its port, unless the server says less than it knows.
fn expected_host(server: &Server) -> String {
    let params = std::fs::read_to_string(nginx::PARAMS);
    // Debian took the port away with a security update, so both kinds of nginx are about.
    if server.door.software() == Software::Nginx && server.door != Door::NginxHttp && params.unwrap().contains("HTTP_HOST") {
        return "127.0.0.1".to_owned();
    }
    format!("127.0.0.1:{}", server.port)
}

fn visitor(server: &Server) -> Seen {
    let env = server.get("/env").json();
    let remote = env["remote"].as_str().unwrap_or_else(|| panic!("no address: {env:#}"));
    assert!(remote.starts_with("127.0.0.1:"), "{remote}");
    if remote.ends_with(":0") { Err("no port".to_owned()) } else { Ok(()) }
}

fn repeated_header(server: &Server) -> Seen {
    let env = server.ask("/env").header("X-Plain: one").header("X-Twice: 1").header("X-Twice: 2").send().json();
    assert_eq!(values(&env, "x-plain"), ["one"]);
    match values(&env, "x-twice")[..] {
        ["1", "2"] => Ok(()),
        ["1, 2"] => Err("joined".to_owned()),
        _ => panic!("{env:#}"),
    }
}

fn delicate_headers(server: &Server) -> Seen {
    let ask = server.ask("/env").header("Cookie: a=1").header("Cookie: b=2").header("Proxy: evil.example:3128");
    let env = ask.send().json();
    // However the server cut or joined them, an app sees what a browser would have sent; h2o leaves out the blank.
    let cookie = if server.door == Door::H2o { "a=1;b=2" } else { "a=1; b=2" };
    assert_eq!(values(&env, "cookie"), [cookie]);
    assert_eq!(values(&env, "proxy"), [""; 0], "httpoxy");
    assert_eq!(values(&env, "connection"), [""; 0]);
    Ok(())
}

fn underscore(server: &Server) -> Seen {
    let env = server.ask("/env").header("X_Under: 1").send().json();
    match values(&env, "x-under")[..] {
        [] => Ok(()),
        ["1"] => Err("taken".to_owned()),
        _ => panic!("{env:#}"),
    }
}

/// The values of a header in what `/env` answered.
pub(crate) fn values<'a>(env: &'a serde_json::Value, name: &str) -> Vec<&'a str> {
    let pairs = env["headers"].as_array().unwrap();
    pairs.iter().filter(|pair| pair[0] == name).map(|pair| pair[1].as_str().unwrap()).collect()
}

fn login(server: &Server) -> Seen {
    let env = server.ask("/env").header("Authorization: Basic bWU6c2VjcmV0").send().json();
    match values(&env, "authorization")[..] {
        ["Basic bWU6c2VjcmV0"] => Ok(()),
        [] => Err("kept back".to_owned()),
        _ => panic!("{env:#}"),
    }
}

fn escaped_letter(server: &Server) -> Seen {
    // The app decodes, nobody before it: `%32%30%31` is 201.
    says(&server.get("/status/%32%30%31"), 201, "201\n")
}

fn escaped_slash(server: &Server) -> Seen {
    let answer = server.get("/status/2%2F0");
    // The app says that this is no number.
    if answer.status == 400 && answer.text().contains("Cannot parse") {
        return Ok(());
    }
    complete(&answer, 200)
}

fn echo(server: &Server) -> Seen {
    echo_of(server, 100_000)
}

fn echo_large(server: &Server) -> Seen {
    echo_of(server, 3_000_000)
}

fn echo_of(server: &Server, size: usize) -> Seen {
    let body: Vec<u8> = (0..=255).cycle().take(size).collect();
    let answer = server.ask("/echo").body(body.clone()).send();
    complete(&answer, 200)?;
    assert_eq!(answer.header("content-type"), Some("application/octet-stream"));
    assert!(answer.body == body, "{} bytes came back", answer.body.len());
    Ok(())
}

fn counted(body: &[u8]) -> String {
    let sum: String = Sha256::digest(body).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{} {sum}\n", body.len())
}

fn bytes(n: usize) -> Vec<u8> {
    (0..=250).cycle().take(n).collect()
}

fn count(server: &Server) -> Seen {
    // The second is the longest that mod_fcgid takes unless it is told otherwise.
    for size in [0, 1, 70_001, 131_072] {
        let body = bytes(size);
        server.ask("/count").body(body.clone()).send().expect(200, &counted(&body));
    }
    server.get("/count").expect(200, &counted(b""));
    Ok(())
}

fn count_large(server: &Server) -> Seen {
    let body = bytes(3_000_000);
    says(&server.ask("/count").body(body.clone()).send(), 200, &counted(&body))
}

fn count_chunked(server: &Server) -> Seen {
    count_chunked_of(server, 90_000)
}

fn count_large_chunked(server: &Server) -> Seen {
    count_chunked_of(server, 3_000_000)
}

fn count_chunked_of(server: &Server, size: usize) -> Seen {
    let body = bytes(size);
    let answer = server.ask("/count").header("Transfer-Encoding: chunked").body(body.clone()).send();
    // A server that does not want the body may be gone before curl has seen its answer.
    let gone = [SEND_FAILED, RECEIVE_FAILED].contains(&answer.exit) && answer.status == 0;
    if gone || [400, 411].contains(&answer.status) {
        return Err("refused".to_owned());
    }
    says(&answer, 200, &counted(&body))
}

const BIG: usize = 3_000_000;

fn big(server: &Server) -> Seen {
    let answer = server.get(&format!("/big?n={BIG}"));
    assert_eq!((answer.exit, answer.status), (0, 200));
    assert!(answer.is_filler(BIG), "{} bytes", answer.body.len());
    Ok(())
}

fn big_declared(server: &Server) -> Seen {
    let answer = server.get(&format!("/big?n={BIG}&cl=1"));
    assert_eq!((answer.exit, answer.status), (0, 200));
    assert!(answer.is_filler(BIG), "{} bytes", answer.body.len());
    match answer.header("content-length") {
        None => Err("length removed".to_owned()),
        Some(length) => {
            assert_eq!(length, BIG.to_string());
            Ok(())
        }
    }
}

fn sse(server: &Server) -> Seen {
    let seen = watch_events(server.port, "/sse?n=4&ms=500", 4);
    // 1.5 s lie between the first event and the last where they are passed on, next to nothing where they are not.
    if seen[3] - seen[0] > Duration::from_millis(750) { Ok(()) } else { Err("all at once".to_owned()) }
}

fn slow(server: &Server) -> Seen {
    let start = Instant::now();
    server.get("/slow?ms=200").expect(200, "done\n");
    assert!(start.elapsed() >= Duration::from_millis(200));
    Ok(())
}

fn departure(server: &Server) -> Seen {
    let answer = server.ask("/slow?ms=3000").arg("--max-time").arg("0.5").send();
    assert_eq!(answer.exit, 28, "curl gave up");
    let deadline = Instant::now() + Duration::from_secs(3);
    // Where nobody tells it, the program works on for nobody, and is idle again when the time of the request is over.
    while Instant::now() < deadline {
        if server.get("/cancelled").text() == "1\n" {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    server.get("/cancelled").expect(200, "0\n");
    Err("not told".to_owned())
}

fn spin(server: &Server) -> Seen {
    server.get("/spin?ms=20").expect(200, "done\n");
    Ok(())
}

/// A page that says that something went wrong, and nothing of what.
#[track_caller]
fn expect_clean_500(answer: &Answer) {
    assert_eq!((answer.exit, answer.status), (0, 500));
    assert!(!answer.body.contains(&b'x'), "{}", answer.text());
    assert!(!answer.text().contains("on purpose"), "{}", answer.text());
}

fn panics(server: &Server) -> Seen {
    expect_clean_500(&server.get("/panic"));
    server.get("/hello").expect(200, "hello, world\n");
    Ok(())
}

fn fails_early(server: &Server) -> Seen {
    for path in ["/panic-late?n=16384", "/panic-late?n=0", "/fail-late?n=100", "/fail-late?n=100&cl=1"] {
        expect_clean_500(&server.get(path));
    }
    Ok(())
}

fn panics_late(server: &Server) -> Seen {
    late_failure(server, "/panic-late?n=1000000")
}

fn fails_late(server: &Server) -> Seen {
    late_failure(server, "/fail-late?n=1000000")
}

fn fails_late_declared(server: &Server) -> Seen {
    late_failure(server, "/fail-late?n=1000000&cl=1")
}

/// A response that breaks off after a megabyte. The visitor sees it wherever that is possible; whether or not, there is nothing in it that the app
/// did not send, and the next request is answered.
#[track_caller]
fn late_failure(server: &Server, path: &str) -> Seen {
    let answer = server.get(path);
    server.get("/hello").expect(200, "hello, world\n");
    if answer.status >= 500 {
        return Ok(());
    }
    assert_eq!(answer.status, 200, "{path}");
    assert!(answer.body.len() <= 1_000_000, "{path}: {} bytes", answer.body.len());
    assert!(answer.body.iter().all(|byte| *byte == b'x'), "{path}");
    let hidden = answer.exit == 0;
    assert_eq!(hidden, server.door.hides_failure(path.contains("cl=1")), "{path}: whether the visitor takes it for a whole response");
    if hidden { Err("not shown".to_owned()) } else { Ok(()) }
}

fn noread(server: &Server) -> Seen {
    noread_of(server, 100_000)
}

fn noread_large(server: &Server) -> Seen {
    noread_of(server, 3_000_000)
}

fn noread_of(server: &Server, size: usize) -> Seen {
    let start = Instant::now();
    let answer = server.ask("/noread").body(vec![b'b'; size]).send();
    says(&answer, 413, "too big\n")?;
    // mod_cgid waits five seconds for a program that has not read its body.
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
    Ok(())
}

fn early(server: &Server) -> Seen {
    early_of(server, 100_000)
}

fn early_large(server: &Server) -> Seen {
    early_of(server, 3_000_000)
}

fn early_of(server: &Server, size: usize) -> Seen {
    let n = 4_000_000;
    let answer = server.ask(&format!("/early?n={n}")).body(vec![b'b'; size]).send();
    complete(&answer, 200)?;
    let (filler, rest) = answer.body.split_at(n);
    assert!(filler.iter().all(|byte| *byte == b'x'));
    assert_eq!(rest, format!("{size}\n").as_bytes());
    Ok(())
}

fn status(server: &Server) -> Seen {
    for code in [200, 201, 400, 403, 404, 410, 418, 422, 451, 500, 502, 503, 599] {
        server.get(&format!("/status/{code}")).expect(code, &format!("{code}\n"));
    }
    Ok(())
}

fn status_without_body(server: &Server) -> Seen {
    for code in [204, 304] {
        server.get(&format!("/status/{code}")).expect(code, "");
    }
    server.get("/hello").expect(200, "hello, world\n");
    Ok(())
}

/// `n` headers of `len` bytes each. Where the server answers with an error of its own, the log says why.
fn headers_of(server: &Server, n: usize, len: usize) -> Seen {
    let warnings = || server.site.log_text().matches("may refuse this response").count();
    let before = warnings();
    let answer = server.get(&format!("/headers?n={n}&len={len}"));
    let seen = says(&answer, 200, "ok\n");
    if seen.is_ok() {
        let value = "v".repeat(len);
        for index in 0..n {
            let name = format!("x-h-{index}");
            assert_eq!(answer.headers(&name), [value.as_str()], "{name}");
        }
    } else {
        wait_for("the warning in the log that the head is too fat", || (warnings() > before).then_some(()));
    }
    server.get("/hello").expect(200, "hello, world\n");
    seen
}

fn headers(server: &Server) -> Seen {
    headers_of(server, 30, 50)
}

fn fat_headers(server: &Server) -> Seen {
    headers_of(server, 2, 2200)
}

fn long_header(server: &Server) -> Seen {
    headers_of(server, 1, 9000)
}

fn many_headers(server: &Server) -> Seen {
    headers_of(server, 200, 10)
}

fn cookies(server: &Server) -> Seen {
    let answer = server.get("/cookies?n=3");
    answer.expect(200, "ok\n");
    assert_eq!(answer.headers("set-cookie"), ["c0=v0", "c1=v1", "c2=v2"]);
    Ok(())
}

fn redirect(server: &Server) -> Seen {
    for (to, code) in [("/elsewhere", 302), ("/elsewhere", 301), ("https://example.org/a?b", 307), ("/hello", 303)] {
        let answer = server.get(&format!("/redirect?to={to}&code={code}"));
        assert_eq!((answer.exit, answer.status), (0, code), "{to}");
        assert_eq!(answer.header("location"), Some(to), "{to}");
    }
    Ok(())
}

fn stderr(server: &Server) -> Seen {
    server.get("/stderr?text=seen-in-the-log").expect(200, "ok\n");
    let lines = || {
        let log = server.site.log_text();
        log.lines().filter(|line| line.contains("seen-in-the-log")).count()
    };
    let deadline = Instant::now() + Duration::from_secs(5);
    while lines() == 0 {
        if Instant::now() > deadline {
            return Err("not logged".to_owned());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(lines(), 1, "one warning is one line");
    Ok(())
}

fn pid(server: &Server) -> Seen {
    let text = server.get("/pid").text();
    let fields: Vec<_> = text.split_whitespace().collect();
    let [pid, begun, generation] = fields[..] else {
        panic!("{text}");
    };
    assert!(pid.parse::<u32>().unwrap() > 1);
    assert!(begun.parse::<u64>().unwrap() >= 1);
    assert_eq!(generation, "0");
    Ok(())
}

fn background(server: &Server) -> Seen {
    let start = Instant::now();
    server.get("/background?ms=1500").expect(200, "ok\n");
    assert!(start.elapsed() < Duration::from_millis(1400), "the answer waited for the work behind it");
    wait_for("the line that the background work writes", || server.site.find("background.log"));
    Ok(())
}

fn no_route(server: &Server) -> Seen {
    let answer = server.get("/no-such-page");
    assert_eq!((answer.exit, answer.status), (0, 404));
    assert!(answer.body.is_empty(), "axum's own page: {}", answer.text());
    Ok(())
}
