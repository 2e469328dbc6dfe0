//! A client that sends bytes as they are and takes responses apart by the book, with nothing of the crate or of hyper in it.

use std::io::{ErrorKind, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use crate::peer::{PATIENCE, Peer};
use crate::reads::read_on;

/// How the body of a response came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// By its length, its last chunk, or because there is none.
    Whole,
    /// With the connection, which is all that HTTP/1.0 has.
    Closed,
    /// The connection was closed too early.
    Short,
    /// The connection was reset.
    Reset,
}

#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) ended: Ended,
}

impl Response {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub(crate) fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub(crate) fn assert_whole(&self, status: u16) {
        assert_eq!((self.status, self.ended), (status, Ended::Whole), "{}", &self.text()[..self.text().len().min(300)]);
    }
}

pub(crate) struct Http {
    stream: UnixStream,
    buffer: Vec<u8>,
    reset: bool,
}

impl Http {
    pub(crate) fn connect(peer: &Peer) -> Self {
        let stream = peer.connect_raw();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self { stream, buffer: Vec::new(), reset: false }
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }

    /// Whether the server took the bytes.
    pub(crate) fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).is_ok()
    }

    pub(crate) fn half_close(&self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// Whether nothing comes for a while.
    pub(crate) fn is_quiet(&mut self) -> bool {
        self.stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        let read = read_on(&mut self.stream, &mut [0]);
        self.stream.set_read_timeout(Some(PATIENCE)).unwrap();
        read.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }

    /// Reads more; false at the end.
    fn more(&mut self) -> bool {
        let mut piece = vec![0; 64 * 1024];
        match read_on(&mut self.stream, &mut piece) {
            Ok(0) => false,
            Ok(read) => {
                self.buffer.extend_from_slice(&piece[..read]);
                true
            }
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {
                self.reset = true;
                false
            }
            Err(error) => panic!("nothing more came: {error}"),
        }
    }

    /// Everything up to the end of the connection.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        while self.more() {}
        std::mem::take(&mut self.buffer)
    }

    fn line(&mut self) -> String {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|bytes| bytes == b"\r\n") {
                let line: Vec<u8> = self.buffer.drain(..end + 2).collect();
                return String::from_utf8(line[..end].to_vec()).unwrap();
            }
            assert!(self.more(), "the connection ended within a line: {:?}", String::from_utf8_lossy(&self.buffer));
        }
    }

    /// Bytes of a body; `None` when the connection ended first.
    pub(crate) fn take(&mut self, count: usize) -> Option<Vec<u8>> {
        while self.buffer.len() < count {
            if !self.more() {
                return None;
            }
        }
        Some(self.buffer.drain(..count).collect())
    }

    /// The head of a response, interim ones too.
    pub(crate) fn head(&mut self) -> Response {
        let status = self.line();
        let status = status.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("no status line: {status}"));
        let mut headers = Vec::new();
        loop {
            let line = self.line();
            match line.split_once(": ") {
                Some((name, value)) => headers.push((name.to_owned(), value.to_owned())),
                None => break assert_eq!(line, ""),
            }
        }
        Response { status, headers, body: Vec::new(), ended: Ended::Whole }
    }

    /// A whole response; `bodiless` when it answers a HEAD.
    pub(crate) fn response_to(&mut self, bodiless: bool) -> Response {
        let mut response = self.head();
        let length = response.header("content-length").map(|length| length.parse::<usize>().unwrap());
        if bodiless || matches!(response.status, 100..=199 | 204 | 304) {
            return response;
        }
        let (body, whole) = match length {
            _ if response.header("transfer-encoding") == Some("chunked") => self.chunks(),
            Some(length) => match self.take(length) {
                Some(body) => (body, true),
                None => (std::mem::take(&mut self.buffer), false),
            },
            None => {
                response.ended = Ended::Closed;
                (self.rest(), false)
            }
        };
        response.body = body;
        response.ended = match (whole, self.reset, response.ended) {
            (true, ..) => Ended::Whole,
            (false, true, _) => Ended::Reset,
            (false, false, Ended::Closed) => Ended::Closed,
            (false, false, _) => Ended::Short,
        };
        response
    }

    fn chunks(&mut self) -> (Vec<u8>, bool) {
        let mut body = Vec::new();
        loop {
            while !self.buffer.windows(2).any(|bytes| bytes == b"\r\n") {
                if !self.more() {
                    return (body, false);
                }
            }
            let size = usize::from_str_radix(&self.line(), 16).unwrap();
            match self.take(size + 2) {
                Some(chunk) => body.extend_from_slice(&chunk[..size]),
                None => return (body, false),
            }
            if size == 0 {
                return (body, true);
            }
        }
    }

    pub(crate) fn response(&mut self) -> Response {
        self.response_to(false)
    }

    pub(crate) fn ask(&mut self, request: impl AsRef<[u8]>) -> Response {
        self.send(request);
        self.response()
    }
}

/// A GET as nginx passes it on with `proxy_http_version 1.1`.
pub(crate) fn get(uri: &str) -> String {
    format!("GET {uri} HTTP/1.1\r\nHost: example.org\r\n\r\n")
}

pub(crate) fn post(uri: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("POST {uri} HTTP/1.1\r\nHost: example.org\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// Asks on a connection of its own.
pub(crate) fn ask(peer: &Peer, request: impl AsRef<[u8]>) -> Response {
    Http::connect(peer).ask(request)
}
