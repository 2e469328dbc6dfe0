//! The visitor: curl for what a browser would ask, and a few lines of HTTP/1.0 for what curl is too kind to do.

use std::fs;
use std::io::{self, Read, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;

use crate::reads::read_on;

/// The longest that any answer may take. Far above all that is expected, so that a slow machine fails no test.
const PATIENCE: Duration = Duration::from_secs(120);

/// curl's exit code for a connection that was closed while it sent.
pub(crate) const SEND_FAILED: i32 = 55;

/// The same while it received.
pub(crate) const RECEIVE_FAILED: i32 = 56;

/// One question to a web server.
pub(crate) struct Ask {
    url: String,
    args: Vec<String>,
    body: Option<Vec<u8>>,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    /// curl's exit code: 0 when the answer was complete.
    pub(crate) exit: i32,
    /// What curl says of a question that failed.
    pub(crate) complaint: String,
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Ask {
    pub(crate) fn new(port: u16, path: &str) -> Self {
        Self { url: format!("http://127.0.0.1:{port}{path}"), args: Vec::new(), body: None }
    }

    pub(crate) fn header(self, line: &str) -> Self {
        self.arg("--header").arg(line)
    }

    pub(crate) fn method(self, method: &str) -> Self {
        self.arg("--request").arg(method)
    }

    /// Any option that curl knows.
    pub(crate) fn arg(mut self, arg: &str) -> Self {
        self.args.push(arg.to_owned());
        self
    }

    /// Sends this as the body of a POST request.
    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    pub(crate) fn send(self) -> Answer {
        let head = NamedTempFile::new().unwrap();
        let upload = NamedTempFile::new().unwrap();
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--path-as-is", "--globoff"])
            // curl would wait for a go-ahead before a large body, and pick up settings of the user.
            .args(["--header", "Expect:", "--disable", "--noproxy", "*"])
            .args(["--max-time", &PATIENCE.as_secs().to_string()])
            .arg("--dump-header")
            .arg(head.path());
        if let Some(body) = &self.body {
            fs::write(upload.path(), body).unwrap();
            curl.args(["--header", "Content-Type: application/octet-stream"]).args(["--data-binary", &format!("@{}", upload.path().display())]);
        }
        let output = curl.args(&self.args).arg(&self.url).output().unwrap_or_else(|error| panic!("curl (package curl): {error}"));
        let (status, headers) = parse_head(&fs::read(head.path()).unwrap());
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        Answer { exit: output.status.code().unwrap_or(-1), complaint, status, headers, body: output.stdout }
    }
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON, as `/env` sends it.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("no JSON ({error}): {} {}", self.status, self.text()))
    }

    /// Every value of a header, in order.
    pub(crate) fn headers(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str()).collect()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers(name).first().copied()
    }

    /// A complete answer with this status and this text.
    #[track_caller]
    pub(crate) fn expect(&self, status: u16, text: &str) {
        let body = self.text();
        let start: String = body.chars().take(300).collect();
        assert_eq!((self.exit, self.status, start.as_str()), (0, status, text), "(curl's exit code, status, body) {}", self.complaint);
        assert_eq!(body.len(), text.len(), "length of the body");
    }

    /// Whether the body is `n` letters x and nothing else.
    pub(crate) fn is_filler(&self, n: usize) -> bool {
        self.body.len() == n && self.body.iter().all(|byte| *byte == b'x')
    }
}

fn parse_head(head: &[u8]) -> (u16, Vec<(String, String)>) {
    let text = String::from_utf8_lossy(head);
    let mut lines = text.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).unwrap_or(0);
    let headers = lines.filter_map(|line| line.split_once(':')).map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect();
    (status, headers)
}

fn connect(port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// One GET without curl: HTTP/1.0, so that the body is as it is and ends with the connection.
pub(crate) fn fetch(port: u16, path: &str) -> io::Result<(u16, Vec<u8>)> {
    let mut stream = connect(port)?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
    let mut all = Vec::new();
    stream.read_to_end(&mut all)?;
    let end = all.windows(4).position(|window| window == b"\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
    let (status, _) = parse_head(&all[..end]);
    Ok((status, all.split_off(end + 4)))
}

/// When each of the events `data: 0` … `data: n-1` was seen first.
pub(crate) fn watch_events(port: u16, path: &str, n: usize) -> Vec<Instant> {
    let mut stream = connect(port).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\nConnection: close\r\n\r\n").unwrap();
    let (mut seen, mut text, mut chunk) = (Vec::new(), String::new(), [0; 4096]);
    loop {
        let read = read_on(&mut stream, &mut chunk).unwrap();
        if read == 0 {
            break;
        }
        text.push_str(&String::from_utf8_lossy(&chunk[..read]));
        while seen.len() < n && text.contains(&format!("data: {}\n\n", seen.len())) {
            seen.push(Instant::now());
        }
    }
    assert_eq!(seen.len(), n, "events seen in: {text}");
    seen
}

/// Sends `n` bytes that look like noise as the body of a POST, and gives the answer and the SHA-256 that they had.
pub(crate) fn upload(port: u16, path: &str, n: u64) -> (u16, String, String) {
    let mut stream = connect(port).unwrap();
    write!(stream, "POST {path} HTTP/1.0\r\nHost: localhost\r\nContent-Length: {n}\r\n\r\n").unwrap();
    let (mut hash, mut left) = (Sha256::new(), n);
    let mut block = noise();
    while left > 0 {
        // Every block differs from the one before, so that a block lost, doubled or swapped changes the hash.
        block[..8].copy_from_slice(&left.to_le_bytes());
        let size = usize::try_from(left.min(block.len() as u64)).unwrap();
        hash.update(&block[..size]);
        stream.write_all(&block[..size]).unwrap();
        left -= size as u64;
    }
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let (status, _) = parse_head(&answer[..end]);
    let text = String::from_utf8_lossy(&answer[end + 4..]).into_owned();
    (status, text, hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// 64 KiB of bytes without a pattern, the same every time.
fn noise() -> Vec<u8> {
    let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut block = Vec::with_capacity(64 * 1024);
    while block.len() < 64 * 1024 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        block.extend_from_slice(&state.to_le_bytes());
    }
    block
}

/// Fetches a body without keeping it: the status, its length, and whether all of it was the letter x.
pub(crate) fn download(port: u16, path: &str) -> (u16, u64, bool) {
    let mut stream = connect(port).unwrap();
    write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").unwrap();
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    let (mut length, mut only_x, mut chunk) = (0, true, vec![0; 256 * 1024]);
    // Slices are compared at once, which counts when a gigabyte goes through an unoptimised test.
    let filler = vec![b'x'; chunk.len()];
    loop {
        let read = read_on(&mut stream, &mut chunk).unwrap();
        if read == 0 {
            break;
        }
        length += read as u64;
        only_x &= chunk[..read] == filler[..read];
    }
    (parse_head(&head).0, length, only_x)
}
