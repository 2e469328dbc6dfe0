//! One connection as the web server sees it, and the answers that come over it.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, ErrorKind, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::PATIENCE;
use super::wire::{END_REQUEST, Record, STDERR, STDOUT};
use crate::reads::read_on;

/// What came next over a connection.
#[derive(Debug)]
pub(crate) enum Unit {
    Record(Record),
    /// Bytes that are no record, up to the end of the connection.
    Junk(Vec<u8>),
    /// The end, by a reset if the server left bytes of ours unread.
    Closed {
        reset: bool,
    },
}

/// The content of an END_REQUEST.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) app_status: u32,
    pub(crate) protocol_status: u8,
}

/// How every request ends, but one for a role that nobody knows.
pub(crate) const COMPLETE: End = End { app_status: 0, protocol_status: 0 };

/// Everything that was sent for one request.
#[derive(Default)]
pub(crate) struct Reply {
    pub(crate) stdout: Vec<u8>,
    /// The empty record at the end of STDOUT was there.
    pub(crate) stdout_ended: bool,
    /// The contents of the STDERR records.
    pub(crate) stderr: Vec<Vec<u8>>,
    /// Nothing if the connection ended first.
    pub(crate) end: Option<End>,
    /// What came instead of a record.
    pub(crate) junk: Vec<u8>,
    /// The connection was reset before the request had ended.
    pub(crate) reset: bool,
}

/// A body may have many megabytes; the first few lines tell what went wrong.
impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |bytes: &[u8]| String::from_utf8_lossy(&bytes[..bytes.len().min(500)]).into_owned();
        f.debug_struct("Reply")
            .field("stdout", &text(&self.stdout))
            .field("stdout_bytes", &self.stdout.len())
            .field("stdout_ended", &self.stdout_ended)
            .field("stderr", &text(&self.stderr.concat()))
            .field("end", &self.end)
            .field("junk", &text(&self.junk))
            .field("reset", &self.reset)
            .finish()
    }
}

impl Reply {
    fn add(&mut self, record: Record) {
        match record.kind {
            STDOUT => {
                assert!(!self.stdout_ended, "STDOUT goes on after its end");
                self.stdout_ended = record.content.is_empty();
                self.stdout.extend(record.content);
            }
            STDERR => self.stderr.push(record.content),
            END_REQUEST => {
                let body: [u8; 8] = record.content.try_into().expect("8 bytes in an END_REQUEST");
                let [a, b, c, d, protocol_status, ..] = body;
                let app_status = u32::from_be_bytes([a, b, c, d]);
                self.end = Some(End { app_status, protocol_status });
            }
            kind => panic!("a record of type {kind} is no part of an answer"),
        }
    }

    /// The header block as pairs, and where the body begins. Panics unless it is a block as CGI wants it.
    fn head(&self) -> (Vec<(String, String)>, usize) {
        let end = self.stdout.windows(4).position(|bytes| bytes == b"\r\n\r\n");
        let end = end.unwrap_or_else(|| panic!("no header block: {self:?}"));
        let head = str::from_utf8(&self.stdout[..end]).expect("headers are text here");
        let headers: Vec<_> = head
            .split("\r\n")
            .map(|line| {
                assert!(!line.contains(['\r', '\n']), "a bare line end in {line:?}");
                let (name, value) = line.split_once(": ").expect("a name and a value");
                (name.to_ascii_lowercase(), value.to_owned())
            })
            .collect();
        assert_eq!(headers[0].0, "status", "the status does not come first");
        (headers, end + 4)
    }

    #[track_caller]
    pub(crate) fn status(&self) -> u16 {
        let (headers, _) = self.head();
        headers[0].1.split(' ').next().and_then(|code| code.parse().ok()).expect("a status code")
    }

    /// The values of a header, by its name in small letters.
    pub(crate) fn headers(&self, name: &str) -> Vec<String> {
        self.head().0.into_iter().filter(|(known, _)| known == name).map(|(_, value)| value).collect()
    }

    /// The value of a header that stands there at most once.
    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let mut values = self.headers(name);
        assert!(values.len() < 2, "{name} stands there {} times", values.len());
        values.pop()
    }

    #[track_caller]
    pub(crate) fn body(&self) -> &[u8] {
        &self.stdout[self.head().1..]
    }

    #[track_caller]
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body().to_vec()).expect("a body of text")
    }

    /// The answer is over as SCGI and uwsgi know it: this status, and the connection closed without a reset.
    #[track_caller]
    pub(crate) fn assert_over(&self, status: u16) {
        assert_eq!((self.status(), self.reset), (status, false), "{self:?}");
    }

    /// The answer is whole: this status, the end of STDOUT, and an END_REQUEST that says so.
    #[track_caller]
    pub(crate) fn assert_whole(&self, status: u16) {
        assert_eq!(self.status(), status, "{self:?}");
        assert!(self.stdout_ended, "STDOUT has no end: {self:?}");
        assert_eq!(self.end, Some(COMPLETE), "{self:?}");
    }
}

/// A connection to the test application.
pub(crate) struct Conn {
    stream: UnixStream,
    unread: Vec<u8>,
    begun: BTreeMap<u16, Reply>,
    ended: BTreeMap<u16, Reply>,
    /// The ids in the order in which their requests ended.
    pub(crate) order: Vec<u16>,
}

impl Conn {
    pub(crate) fn new(stream: UnixStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self { stream, unread: Vec::new(), begun: BTreeMap::new(), ended: BTreeMap::new(), order: Vec::new() }
    }

    /// Sends bytes, all of which the server has to take.
    #[track_caller]
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the server takes what is sent");
    }

    /// Sends bytes to a server that may close in the middle of them.
    pub(crate) fn try_send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// A second handle, for a thread that writes while this one reads.
    pub(crate) fn writer(&self) -> UnixStream {
        self.stream.try_clone().unwrap()
    }

    /// From now on bytes that the server does not take within a second are an error.
    pub(crate) fn lose_patience_soon(&self) {
        self.stream.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
    }

    /// Says that no more bytes will come, and goes on reading.
    pub(crate) fn half_close(&self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// Whether the server has neither closed the connection nor said anything, after a moment for both.
    pub(crate) fn is_quiet(&mut self) -> bool {
        self.stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        let read = read_on(&mut self.stream, &mut [0; 1]);
        self.stream.set_read_timeout(Some(PATIENCE)).unwrap();
        self.unread.is_empty() && matches!(read, Err(error) if error.kind() == ErrorKind::WouldBlock)
    }

    /// Reads until so many bytes are there. Says whether the connection ended first, and how.
    #[track_caller]
    fn fill(&mut self, size: usize) -> Result<(), Unit> {
        let mut buffer = [0; 65_536];
        while self.unread.len() < size {
            match read_on(&mut self.stream, &mut buffer) {
                Ok(0) => return Err(Unit::Closed { reset: false }),
                Ok(count) => self.unread.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => {
                    return Err(Unit::Closed { reset: true });
                }
                Err(error) => panic!("nothing came in time: {error}"),
            }
        }
        Ok(())
    }

    /// The next record, whoever it is for.
    #[track_caller]
    pub(crate) fn unit(&mut self) -> Unit {
        if let Err(end) = self.fill(1) {
            return end;
        }
        if self.unread[0] != 1 {
            while self.fill(self.unread.len() + 1).is_ok() {}
            return Unit::Junk(std::mem::take(&mut self.unread));
        }
        let half = |_| panic!("the server left half a record");
        self.fill(8).unwrap_or_else(half);
        let [_, kind, id1, id0, length1, length0, padding, _] = self.unread[..8] else { unreachable!() };
        let length = usize::from(u16::from_be_bytes([length1, length0]));
        let size = 8 + length + usize::from(padding);
        self.fill(size).unwrap_or_else(half);
        let content = self.unread[8..8 + length].to_vec();
        self.unread.drain(..size);
        Unit::Record(Record { kind, id: u16::from_be_bytes([id1, id0]), content })
    }

    /// The next record, which has to come.
    #[track_caller]
    pub(crate) fn record(&mut self) -> Record {
        match self.unit() {
            Unit::Record(record) => record,
            other => panic!("a record was expected, not {other:?}"),
        }
    }

    /// Reads until the request is over, one way or the other. What comes for other requests in the meantime is kept.
    #[track_caller]
    pub(crate) fn reply(&mut self, id: u16) -> Reply {
        loop {
            if let Some(reply) = self.ended.remove(&id) {
                return reply;
            }
            match self.unit() {
                Unit::Record(record) => self.file(record),
                Unit::Junk(junk) => {
                    let reply = self.begun.remove(&id).unwrap_or_default();
                    return Reply { junk, ..reply };
                }
                Unit::Closed { reset } => {
                    let reply = self.begun.remove(&id).unwrap_or_default();
                    return Reply { reset, ..reply };
                }
            }
        }
    }

    /// Reads one record of an answer.
    fn file(&mut self, record: Record) {
        let (kind, id) = (record.kind, record.id);
        assert_ne!(id, 0, "a management record that nobody asked for: {record:?}");
        self.begun.entry(id).or_default().add(record);
        if kind == END_REQUEST {
            let reply = self.begun.remove(&id).unwrap_or_default();
            assert!(self.ended.insert(id, reply).is_none(), "request {id} ended twice");
            self.order.push(id);
        }
    }

    /// Asks and waits for the answer.
    #[track_caller]
    pub(crate) fn ask(&mut self, ask: &super::Ask) -> Reply {
        self.send(&ask.all());
        self.reply(ask.id)
    }

    /// Waits until the server has closed the connection, and gives whatever it sent before.
    #[track_caller]
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        self.rest_and_end().0
    }

    /// The same, and whether the connection ended with a reset.
    #[track_caller]
    pub(crate) fn rest_and_end(&mut self) -> (Vec<u8>, bool) {
        let end = loop {
            if let Err(end) = self.fill(self.unread.len() + 1) {
                break end;
            }
        };
        (std::mem::take(&mut self.unread), matches!(end, Unit::Closed { reset: true }))
    }

    /// The server closes without another byte, and has read all of ours.
    #[track_caller]
    pub(crate) fn assert_closed(&mut self) {
        match self.unit() {
            Unit::Closed { reset: false } => {}
            other => panic!("the end of the connection was expected, not {other:?}"),
        }
    }
}
