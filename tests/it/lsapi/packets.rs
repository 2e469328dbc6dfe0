//! LiteSpeed's side of LSAPI: requests as packets, and the packets of an answer.

use std::io::{ErrorKind, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use crate::peer::Peer;
use crate::reads::read_on;

pub(super) const ABORT: [u8; 8] = *b"LS\x02\0\x08\0\0\0";

const RESP_HEADER: u8 = 3;
const RESP_STREAM: u8 = 4;
const RESP_END: u8 = 5;
const STDERR_STREAM: u8 = 6;
const REQ_RECEIVED: u8 = 7;
const CONN_CLOSE: u8 = 8;

/// The most data that a web server takes in one packet.
const DATA_MAX: usize = 16_384;

/// One request of a context `/app/`, described as OpenLiteSpeed does it.
#[derive(Clone)]
pub(crate) struct Ask {
    method: &'static str,
    remote: &'static str,
    uri: String,
    headers: Vec<(String, String)>,
    special: Vec<(Vec<u8>, Vec<u8>)>,
    body: Vec<u8>,
    body_len: i32,
}

impl Ask {
    pub(crate) fn get(uri: &str) -> Self {
        let headers = [("Host", "example.org"), ("User-Agent", "curl/7.88.1"), ("Accept", "*/*")];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        Self { method: "GET", remote: "203.0.113.7", uri: format!("/app{uri}"), headers, special: Vec::new(), body: Vec::new(), body_len: 0 }
    }

    pub(crate) fn post(uri: &str, body: Vec<u8>) -> Self {
        let body_len = i32::try_from(body.len()).unwrap();
        Self { method: "POST", body, body_len, ..Self::get(uri) }.header("Content-Length", &body_len.to_string())
    }

    pub(super) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The request came from a front on the same machine, whose `X-Forwarded-*` are believed.
    pub(super) fn through_a_front(self) -> Self {
        Self { remote: "127.0.0.1", ..self }
    }

    pub(super) fn special(mut self, name: &[u8], value: &[u8]) -> Self {
        self.special.push((name.to_vec(), value.to_vec()));
        self
    }

    /// Says that the length of the body stands in its header.
    pub(super) fn length_in_header(self) -> Self {
        Self { body_len: -2, ..self }
    }

    fn env(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let (path, query) = self.uri.split_once('?').unwrap_or((&self.uri, ""));
        let env = [
            ("DOCUMENT_ROOT", "/home/user/www"),
            ("REMOTE_ADDR", self.remote),
            ("REMOTE_PORT", "50312"),
            ("SERVER_ADDR", "192.0.2.10"),
            ("SERVER_PORT", "80"),
            ("REQUEST_URI", &self.uri),
            ("PATH_INFO", path.strip_prefix("/app").unwrap()),
            ("LSWS_EDITION", "Openlitespeed 1.9.1"),
            ("QUERY_STRING", query),
            // OpenLiteSpeed has the slash both here and at the start of PATH_INFO.
            ("SCRIPT_NAME", "/app/"),
            ("SERVER_PROTOCOL", "HTTP/1.1"),
            ("SERVER_SOFTWARE", "LiteSpeed/1.9.1 Open"),
            ("REQUEST_METHOD", self.method),
        ];
        env.map(|(name, value)| (name.into(), value.into())).to_vec()
    }

    /// The packet. Its index says of every header that it is not there, which no application has to believe.
    pub(super) fn packet(&self) -> Vec<u8> {
        let pairs = |pairs: &[(Vec<u8>, Vec<u8>)]| {
            let length = |text: &[u8]| u16::try_from(text.len() + 1).unwrap().to_be_bytes();
            let pair = |(name, value): &(Vec<u8>, Vec<u8>)| [&length(name), &length(value), &name[..], b"\0", value, b"\0"].concat();
            [pairs.iter().flat_map(pair).collect(), vec![0; 4]].concat()
        };
        let env = self.env();
        let mut lists = [pairs(&self.special), pairs(&env)].concat();
        lists.resize((44 + lists.len()).next_multiple_of(8) - 44, 0);
        let lines: String = self.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let block = format!("\0\0\0\0{} {} HTTP/1.1\r\n{lines}\r\n", self.method, self.uri);
        let count = |count: usize| i32::try_from(count).unwrap();
        let length = 44 + lists.len() + 152 + block.len();
        let numbers = [count(length), count(block.len()), self.body_len, 0, 0, 0, 0, 0, count(env.len()), count(self.special.len())];
        let numbers: Vec<u8> = numbers.into_iter().flat_map(i32::to_le_bytes).collect();
        [b"LS\x01\0", &numbers[..], &lists, &[0; 152], block.as_bytes()].concat()
    }

    pub(crate) fn all(&self) -> Vec<u8> {
        [self.packet(), self.body.clone()].concat()
    }
}

/// How a connection stands after a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    /// RESP_END.
    Kept,
    /// RESP_END and CONN_CLOSE.
    Over,
}

/// A whole response.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u32,
    pub(super) headers: Vec<String>,
    pub(crate) body: Vec<u8>,
    pub(super) stderr: String,
    pub(super) after: After,
}

impl Reply {
    pub(crate) fn text(&self) -> &str {
        str::from_utf8(&self.body).unwrap()
    }
}

/// A connection of the web server.
pub(crate) struct Conn {
    pub(super) stream: UnixStream,
    unread: Vec<u8>,
}

impl Conn {
    pub(crate) fn open(peer: &Peer) -> Self {
        // The handle keeps the time limits of the connection that it is taken from.
        Self { stream: peer.connect().writer(), unread: Vec::new() }
    }

    #[track_caller]
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the process takes what is sent");
    }

    /// Reads until so many bytes are there, or the connection has ended.
    fn fill(&mut self, size: usize) -> bool {
        let mut buffer = [0; 65_536];
        while self.unread.len() < size {
            match read_on(&mut self.stream, &mut buffer) {
                Ok(0) => return false,
                Ok(count) => self.unread.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return false,
                Err(error) => panic!("nothing came in time: {error}"),
            }
        }
        true
    }

    /// The next packet, or nothing at the end of the connection.
    fn packet(&mut self) -> Option<(u8, Vec<u8>)> {
        if !self.fill(8) {
            assert!(self.unread.is_empty(), "half a packet: {:?}", self.unread);
            return None;
        }
        assert_eq!(self.unread[..2], *b"LS");
        assert_eq!(self.unread[3], 0, "the flags of the request");
        let length = usize::try_from(u32::from_le_bytes(self.unread[4..8].try_into().unwrap())).unwrap();
        assert!((8..=8 + 65_535).contains(&length), "a packet of {length} bytes");
        assert!(self.fill(length), "half a packet");
        let packet: Vec<u8> = self.unread.drain(..length).collect();
        Some((packet[2], packet[8..].to_vec()))
    }

    /// The acknowledgement that has to come at once.
    #[track_caller]
    pub(super) fn received(&mut self) {
        let start = Instant::now();
        assert_eq!(self.packet(), Some((REQ_RECEIVED, vec![])));
        assert!(start.elapsed() < Duration::from_secs(5), "the web server would have sent the request again");
    }

    /// One response, in the order that LiteSpeed demands: `[REQ_RECEIVED] (STDERR)* RESP_HEADER (RESP_STREAM | STDERR)* RESP_END [CONN_CLOSE]`.
    #[track_caller]
    pub(crate) fn reply(&mut self) -> Reply {
        self.received();
        let (mut head, mut body, mut stderr) = (None, Vec::new(), Vec::new());
        loop {
            let (kind, content) = self.packet().expect("the end of the response, before the end of the connection");
            match kind {
                RESP_HEADER => {
                    assert!(head.is_none() && body.is_empty(), "the head of a response comes first and once");
                    head = Some(parse_head(&content));
                }
                RESP_STREAM => {
                    assert!(head.is_some() && content.len() <= DATA_MAX);
                    body.extend(content);
                }
                STDERR_STREAM => {
                    assert!(content.len() <= DATA_MAX);
                    stderr.extend(content);
                }
                RESP_END => break assert!(content.is_empty()),
                other => panic!("a packet of type {other} has no place in a response"),
            }
        }
        let (status, headers) = head.expect("a head");
        // A CONN_CLOSE is sent together with the end.
        let after = if self.has_more() && self.unread.starts_with(b"LS\x08") {
            assert_eq!(self.packet(), Some((CONN_CLOSE, vec![])));
            After::Over
        } else {
            After::Kept
        };
        Reply { status, headers, body, stderr: String::from_utf8(stderr).unwrap(), after }
    }

    /// Whether more bytes come within a moment.
    fn has_more(&mut self) -> bool {
        if self.unread.is_empty() {
            let patience = self.stream.read_timeout().unwrap();
            self.stream.set_read_timeout(Some(Duration::from_millis(30))).unwrap();
            let mut buffer = [0; 4096];
            if let Ok(count) = read_on(&mut self.stream, &mut buffer) {
                self.unread.extend_from_slice(&buffer[..count]);
            }
            self.stream.set_read_timeout(patience).unwrap();
        }
        !self.unread.is_empty()
    }

    #[track_caller]
    pub(super) fn ask(&mut self, ask: &Ask) -> Reply {
        self.send(&ask.all());
        self.reply()
    }

    /// Waits for the end of the connection, before which nothing more may come.
    #[track_caller]
    pub(super) fn assert_closed(&mut self) {
        assert_eq!(self.packet(), None);
    }

    pub(super) fn half_close(&self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }
}

fn parse_head(content: &[u8]) -> (u32, Vec<String>) {
    let number = |at: usize| u32::from_le_bytes(content[at..at + 4].try_into().unwrap());
    let (count, status) = (usize::try_from(number(0)).unwrap(), number(4));
    let mut at = 8 + 2 * count;
    let line = |line: usize| {
        let length = usize::from(u16::from_le_bytes([content[8 + 2 * line], content[9 + 2 * line]]));
        let text = content[at..at + length].strip_suffix(b"\0").expect("a NUL at the end of a line");
        at += length;
        String::from_utf8(text.to_vec()).unwrap()
    };
    let lines: Vec<_> = (0..count).map(line).collect();
    assert_eq!(at, content.len(), "the lines fill the packet");
    assert!(lines.iter().all(|line| line.contains(": ") && !line.contains(['\r', '\n'])), "{lines:?}");
    (status, lines)
}
