//! Paths that no honest visitor sends, byte for byte through real web servers and directly: no bytes get out of the site or at a dot-file, and the process
//! that heard them all is the one that began.

use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::door::Door;
use super::server::{Server, Setup};
use super::site::Site;
use crate::peer::ask::Ask;
use crate::peer::conn::Conn;

/// What nobody may ever see: the words in the files of `fixtures/www` and beside them, of the `lodger.toml`, of the system and of a panic.
const MARKS: [&str; 5] = ["SECRET", "OUTSIDE", "respond-file", "root:x:0:0", "panicked"];

const CONFIG: &str = r#"
[[site]]

  [[site.route]]
  path    = "/"
  files   = "../www"
  listing = true

  [[site.route]]
  path         = "/secret/"
  respond-file = "../outside.txt"
  allow        = ["192.0.2.1"]
"#;

/// Asked for honestly, odd as some of them look.
const GOOD: [(&str, &str); 9] = [
    ("/", "PUBLIC start page"),
    ("/about.html", "PUBLIC about"),
    ("/%61bout.html", "PUBLIC about"),
    ("/with%20a%20space.txt", "PUBLIC with a space"),
    ("/100%25.txt", "PUBLIC percent"),
    ("/gr%C3%BCn.txt", "PUBLIC \u{fc}"),
    ("/.well-known/security.txt", "PUBLIC security"),
    ("/%252e%252e%252foutside.txt", "PUBLIC not decoded twice"),
    ("/about.html?file=../outside.txt%00", "PUBLIC about"),
];

/// The targets of `fixtures/paths/targets.txt` as bytes: `\xNN` stands for one that a text file does not hold.
fn targets() -> Vec<Vec<u8>> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/paths/targets.txt")).unwrap();
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let targets: Vec<_> = lines.map(unescaped).collect();
    assert!(targets.len() >= 150, "{} targets", targets.len());
    targets
}

fn unescaped(line: &str) -> Vec<u8> {
    let mut pieces = line.split("\\x");
    let mut bytes = pieces.next().unwrap().as_bytes().to_vec();
    for piece in pieces {
        bytes.push(u8::from_str_radix(&piece[..2], 16).unwrap_or_else(|error| panic!("{line}: {error}")));
        bytes.extend_from_slice(&piece.as_bytes()[2..]);
    }
    bytes
}

/// A copy of `fixtures/www`, with ways out that only links make, and what must not be seen beside it.
fn tempting_site() -> Site {
    let site = Site::new();
    let www = site.add_www();
    site.write_at(&site.root().join("outside.txt"), "OUTSIDE");
    for (link, to) in [
        ("out.txt", "../outside.txt"),
        ("up", ".."),
        ("system", "/"),
        ("passwd", "/etc/passwd"),
        ("hidden", ".htaccess"),
        ("svn", ".svn"),
        ("docs/here", "."),
        ("style.css.gz", "../outside.txt"),
    ] {
        site.link(to, &www.join(link));
    }
    site.write_at(&www.join("style.css"), "PUBLIC style");
    site
}

/// One way to put a target before the program. The answer as it came, which is empty where the connection was closed without one.
type Way<'a> = &'a dyn Fn(&[u8]) -> Vec<u8>;

/// One request as it is, without anybody who puts a path in order first.
fn raw(stream: impl Read + Write, target: &[u8], accept: &str) -> Vec<u8> {
    let mut stream = stream;
    let head = [b"GET ", target, b" HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\nAccept-Encoding: ", accept.as_bytes(), b"\r\n\r\n"].concat();
    // Whoever does not like the first line may close before the rest, and the answer that he sent before can be read all the same.
    let sent = stream.write_all(&head);
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    assert!(sent.and(read).is_ok() || !answer.is_empty(), "{}", String::from_utf8_lossy(target));
    answer
}

pub(super) fn through_web_server(server: &Server, target: &[u8]) -> Vec<u8> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, server.port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    raw(stream, target, "gzip, br, zstd")
}

pub(super) fn over_http(server: &Server, target: &[u8]) -> Vec<u8> {
    let stream = UnixStream::connect(server.site.socket()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    raw(stream, target, "identity")
}

/// As a web server that passes everything on, whatever it is.
fn over_fastcgi(server: &Server, target: &[u8]) -> Vec<u8> {
    let mut conn = Conn::new(UnixStream::connect(server.site.socket()).unwrap());
    let ask = Ask::get("/").without("SCRIPT_NAME").without("SCRIPT_FILENAME").without("DOCUMENT_URI").set_bytes("REQUEST_URI", target);
    let reply = conn.ask(&ask);
    let (status, body) = (reply.status(), reply.body());
    let mut answer = format!("HTTP/1.1 {status} x\r\n").into_bytes();
    for location in reply.headers("location") {
        answer.extend_from_slice(format!("Location: {location}\r\n").as_bytes());
    }
    [&answer, &b"\r\n"[..], body].concat()
}

/// What is wrong with an answer.
fn harm(answer: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(answer);
    if let Some(mark) = MARKS.iter().find(|mark| text.contains(*mark)) {
        return Some(format!("shows {mark}"));
    }
    let head = text.split("\r\n\r\n").next().unwrap_or_default();
    let status = head.split(' ').nth(1).and_then(|status| status.parse::<u16>().ok());
    if !head.is_empty() && status.is_none_or(|status| !(200..500).contains(&status)) {
        return Some(format!("is {}", head.lines().next().unwrap_or_default()));
    }
    let location = head.lines().filter_map(|line| line.split_once(": ")).find(|(name, _)| name.eq_ignore_ascii_case("location"));
    let stays = |to: &str| to.starts_with("http://a.example/") || to.starts_with('/') && !to.starts_with("//") && !to.contains('\\');
    location.filter(|(_, to)| !stays(to)).map(|(_, to)| format!("leads to {to}"))
}

#[track_caller]
fn check(server: &Server, ways: &[(&str, Way<'_>)]) {
    let targets = targets();
    let mut problems = String::new();
    for (name, way) in ways {
        check_good(name, way);
        let pids = server.app_pids();
        assert!(!pids.is_empty(), "{name}: nobody runs the program");
        let mut served = Vec::new();
        for target in &targets {
            let answer = way(target);
            if answer.starts_with(b"HTTP/1.1 2") {
                served.push(target.escape_ascii().to_string());
            }
            if let Some(harm) = harm(&answer) {
                let _ = writeln!(problems, "{name}: {} {harm}", target.escape_ascii());
            }
        }
        check_good(name, way);
        assert_eq!(server.app_pids(), pids, "{name}: the process is another one");
        println!("{name}: {} targets, some page for {served:?}", targets.len());
    }
    assert!(problems.is_empty(), "{problems}");
    let log = server.site.log_text();
    assert!(!log.contains("panicked"), "{log}");
}

#[track_caller]
fn check_good(name: &str, way: &Way<'_>) {
    for (target, content) in GOOD {
        let answer = String::from_utf8_lossy(&way(target.as_bytes())).into_owned();
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains(content), "{name}: {target}: {answer}");
    }
}

/// Through a web server that starts the program itself.
#[test]
#[ignore = "needs real web servers: make test-servers"]
fn no_hostile_path_gets_out_through_mod_fcgid() {
    // By default Apache answers 404 to an encoded slash, and the program would never see one.
    let server = Setup::new(Door::Fcgid).stock(CONFIG).lines("AllowEncodedSlashes NoDecode").start_in(tempting_site());
    check(&server, &[("mod_fcgid", &|target| through_web_server(&server, target))]);
}

/// Through a web server before a socket, and on the same socket without one.
#[test]
#[ignore = "needs real web servers: make test-servers"]
fn no_hostile_path_gets_out_through_mod_proxy_fcgi_and_directly() {
    let server = Setup::new(Door::ProxyFcgi).stock(CONFIG).start_in(tempting_site());
    check(
        &server,
        &[
            ("mod_proxy_fcgi", &|target| through_web_server(&server, target)),
            ("FastCGI", &|target| over_fastcgi(&server, target)),
            ("HTTP", &|target| over_http(&server, target)),
        ],
    );
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn no_hostile_path_gets_out_through_nginx() {
    for door in [Door::Nginx, Door::NginxHttp] {
        let server = Setup::new(door).stock(CONFIG).start_in(tempting_site());
        check(&server, &[(door.column(), &|target| through_web_server(&server, target))]);
    }
}
