//! HTTP/1.1 and 1.0, as far as ordinary requests go: those that have no body and ask for nothing unusual, and their responses.
//!
//! The section numbers are those of RFC 9112. Whatever is not plainly such a request is left in the input for a whole implementation of HTTP ([`Rest::HandOver`]): a body,
//! an upgrade, a connection of HTTP/1.0 that is to be kept, a head of which a part is still to come, and every byte that the grammar does not have. So nothing is ever guessed at here, and
//! what is wrong with a request is said in one place.

use super::{Appetite, Event, Outbox, PairSpan, RequestId, ResponsePart, Rest, Violation, Wire, is_header, plain::ID};
use crate::{limits::Limits, profile::Abort};
use bytes::{Bytes, BytesMut};
use std::{ops::Range, sync::Arc};

/// No request is begun here while so much waits to be sent, and no more is read behind one in work. Who sends so many without waiting is served by the other
/// implementation, which takes one after the other.
const QUEUE: usize = 64 * 1024;

/// The line of a header: `date: Sun, 06 Nov 1994 08:49:37 GMT` and its end.
pub(crate) type Date = [u8; 37];

/// The head of a request, in ranges of its bytes. Methods are capital letters, targets begin with a slash and hold nothing that a URI would not, names of headers are tokens,
/// and their values hold no control characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RequestHead {
    pub(crate) bytes: Bytes,
    pub(crate) method: Range<u32>,
    pub(crate) target: Range<u32>,
    pub(crate) is_1_0: bool,
    pub(crate) headers: Vec<PairSpan>,
}

/// A connection with ordinary requests on it, one after the other.
#[derive(Debug)]
pub(crate) struct Http {
    limits: Arc<Limits>,
    /// The time that responses bear.
    now: fn() -> Date,
    state: State,
    /// Whether it is known that responses say by themselves where they end. In HTTP/1.0 one of unknown length ends with the connection, and only a reset shows that it broke: so
    /// the last byte of a request stays in the socket until its version is known, and in HTTP/1.0 until the response has gone out whole.
    framed: bool,
    /// How many bytes stand behind the request in work.
    behind: usize,
    /// The process is about to leave, so that no response is followed by another.
    leaving: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Idle,
    InWork(Answer),
    /// The last response has gone out.
    Over,
    /// What comes next is for somebody else.
    Foreign,
}

/// What the response to the request in work has to heed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Answer {
    head_request: bool,
    is_1_0: bool,
    /// It is the last on its connection.
    last: bool,
    /// No body follows, whatever the head says.
    bodiless: bool,
    chunked: bool,
}

impl Http {
    /// `framed`: the first request is known to be in HTTP/1.1. `now` tells the time, which nothing here asks for by itself.
    pub(crate) fn new(framed: bool, limits: Arc<Limits>, now: fn() -> Date) -> Self {
        Self { limits, now, state: State::Idle, framed, behind: 0, leaving: false }
    }

    /// Whether a request was seen, or is known to come, in whose version responses say where they end.
    pub(crate) fn is_framed(&self) -> bool {
        self.framed
    }

    fn put_head(&mut self, block: &[u8], start: &[u8], out: &mut Outbox) {
        let now = self.now;
        let leaving = self.leaving;
        let State::InWork(answer) = &mut self.state else { return };
        answer.last |= leaving;
        let Fields { before, status, after, has_length, has_date } = Fields::of(block);
        out.put_slice(if answer.is_1_0 { b"HTTP/1.0 " } else { b"HTTP/1.1 " });
        out.put_slice(status);
        out.put_slice(before);
        out.put_slice(after);
        // RFC 9110, 8.6: no length with these.
        let never_long = matches!(status, [b'2', b'0', b'4', ..] | [b'3', b'0', b'4', ..]);
        let says_nothing = !has_length && !never_long && !answer.head_request;
        if says_nothing && answer.bodiless {
            out.put_slice(b"content-length: 0\r\n");
        } else if says_nothing && !answer.is_1_0 {
            answer.chunked = true;
            out.put_slice(b"transfer-encoding: chunked\r\n");
        }
        if answer.last && !answer.is_1_0 {
            out.put_slice(b"connection: close\r\n");
        }
        if !has_date {
            out.put_slice(&now());
        }
        out.put_slice(b"\r\n");
        if answer.chunked && !start.is_empty() {
            put_size(start.len(), out);
            out.put_slice(start);
            out.put_slice(b"\r\n");
        } else {
            out.put_slice(start);
        }
    }

    fn put_data(&self, data: Bytes, out: &mut Outbox) {
        let State::InWork(answer) = self.state else { return };
        if !answer.chunked {
            out.put(data);
        } else if !data.is_empty() {
            // 7.1: a chunk without a byte is the last.
            put_size(data.len(), out);
            out.put(data);
            out.put_slice(b"\r\n");
        }
    }

    fn end(&mut self, out: &mut Outbox) {
        let State::InWork(answer) = self.state else { return };
        if answer.chunked {
            out.put_slice(b"0\r\n\r\n");
        }
        self.behind = 0;
        self.state = if answer.last { State::Over } else { State::Idle };
    }
}

fn put_size(size: usize, out: &mut Outbox) {
    out.put_slice(format!("{size:x}\r\n").as_bytes());
}

impl Wire for Http {
    const HAS_STDERR: bool = false;

    fn next_event(&mut self, input: &mut BytesMut, out: &mut Outbox) -> Result<Option<Event>, Violation> {
        if self.state != State::Idle {
            self.behind = input.len();
            return Ok(None);
        }
        // 2.2: "a server that is expecting to receive and parse a request-line SHOULD ignore at least one empty line (CRLF) received prior to the request-line".
        while input.starts_with(b"\r\n") {
            drop(input.split_to(2));
        }
        if input.is_empty() {
            return Ok(None);
        }
        let read = if out.len() > QUEUE { None } else { read_head(input, &self.limits) };
        // What stands behind the only request of a connection, and what comes behind others in the older version, is seldom seen and more to think about.
        let taken = read.filter(|read| !read.is_1_0 || !self.framed && read.last && read.len == input.len());
        let Some(Read { len, method, target, is_1_0, headers, head_request, last }) = taken else {
            self.state = State::Foreign;
            return Ok(None);
        };
        self.framed = !is_1_0;
        self.state = State::InWork(Answer { head_request, is_1_0, last, bodiless: false, chunked: false });
        let bytes = input.split_to(len).freeze();
        self.behind = input.len();
        Ok(Some(Event::Head { id: ID, head: RequestHead { bytes, method, target, is_1_0, headers } }))
    }

    fn wants_input(&self) -> bool {
        match self.state {
            State::Idle => true,
            State::InWork(_) => self.framed && self.behind <= QUEUE,
            State::Over | State::Foreign => false,
        }
    }

    fn appetite(&self, _buffered: usize) -> Appetite {
        if self.framed { Appetite::Any } else { Appetite::AllButLast }
    }

    fn end_of_input(&mut self) {}

    /// A response that has not come to its end is seen to have broken when the connection has.
    fn abort(&self, _by_profile: Abort) -> Abort {
        Abort::Close
    }

    fn no_body_follows(&mut self) {
        if let State::InWork(answer) = &mut self.state {
            answer.bodiless = true;
        }
    }

    fn respond(&mut self, _id: RequestId, part: ResponsePart<'_>, out: &mut Outbox) {
        match part {
            ResponsePart::Head { block, head_len } => {
                let (head, start) = block.split_at(head_len.min(block.len()));
                self.put_head(head, start, out);
            }
            ResponsePart::Data(data) => self.put_data(data, out),
            ResponsePart::End => self.end(out),
            ResponsePart::Stderr(_) | ResponsePart::Cut | ResponsePart::Poison => {}
        }
    }

    fn leave(&mut self) {
        self.leaving = true;
    }

    fn rest(&self) -> Rest {
        match self.state {
            State::Idle | State::InWork(_) => Rest::Keep,
            State::Over => Rest::Close,
            State::Foreign => Rest::HandOver,
        }
    }
}

/// The lines of a header block, and what it says of a few things. `status` begins with the number and ends with its line.
struct Fields<'a> {
    before: &'a [u8],
    status: &'a [u8],
    after: &'a [u8],
    has_length: bool,
    has_date: bool,
}

impl<'a> Fields<'a> {
    fn of(block: &'a [u8]) -> Self {
        const STATUS: &[u8] = b"Status: ";
        // The empty line at the end is put anew.
        let block = block.strip_suffix(b"\r\n").unwrap_or(block);
        let mut fields = Self { before: b"", status: b"200 OK\r\n", after: block, has_length: false, has_date: false };
        let mut at = 0;
        while let Some(rest) = block.get(at..).filter(|rest| !rest.is_empty()) {
            let len = memchr::memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
            match rest {
                [b'S', ..] if rest.starts_with(STATUS) => {
                    fields.before = &block[..at];
                    fields.status = &rest[STATUS.len()..len];
                    fields.after = &rest[len..];
                }
                [b'c', ..] => fields.has_length |= rest.starts_with(b"content-length:"),
                [b'd', ..] => fields.has_date |= rest.starts_with(b"date:"),
                _ => {}
            }
            at += len;
        }
        fields
    }
}

/// A head that is here whole.
struct Read {
    len: usize,
    method: Range<u32>,
    target: Range<u32>,
    is_1_0: bool,
    headers: Vec<PairSpan>,
    head_request: bool,
    last: bool,
}

/// Reads the head of an ordinary request; `None` for everything else.
fn read_head(input: &[u8], limits: &Limits) -> Option<Read> {
    let method = run(input, 0, METHOD);
    let target = run(input, method + 1, TARGET);
    let name = input.get(..method)?;
    if name.is_empty() || name == b"CONNECT" || input.get(method..method + 2)? != b" /" {
        return None;
    }
    let version = input.get(target..target + VERSION_1_1.len())?;
    let is_1_0 = version == VERSION_1_0;
    if !is_1_0 && version != VERSION_1_1 {
        return None;
    }
    // 9.3: a connection of HTTP/1.0 is not kept unless somebody says so.
    let (mut at, mut last) = (target + version.len(), is_1_0);
    let mut headers = Vec::with_capacity(HEADERS);
    while !ends(input, at) {
        let colon = run(input, at, NAME);
        if colon == at || input.get(colon) != Some(&b':') || headers.len() == limits.params_pairs {
            return None;
        }
        let end = text(input, colon + 1);
        if !ends(input, end) {
            return None;
        }
        let value = trim(input, colon + 1, end);
        match meaning(input.get(at..colon)?) {
            Meaning::Ordinary => {}
            Meaning::Unusual => return None,
            Meaning::Connection => {
                let closes = closes(input.get(value.clone())?)?;
                if is_1_0 && !closes {
                    return None;
                }
                last |= closes;
            }
        }
        headers.push((span(at..colon)?, span(value)?));
        at = end + END.len();
    }
    let len = at + END.len();
    if len > limits.params_bytes.min(LONGEST) {
        return None;
    }
    let (target, head_request) = (span(method + 1..target)?, name == b"HEAD");
    Some(Read { len, method: span(0..method)?, target, is_1_0, headers, head_request, last })
}

/// What stands behind a target.
const VERSION_1_1: &[u8] = b" HTTP/1.1\r\n";
const VERSION_1_0: &[u8] = b" HTTP/1.0\r\n";

/// What stands behind each line.
const END: &[u8] = b"\r\n";

/// Whether the line ends at `at`. One whose end is still to come does not.
fn ends(input: &[u8], at: usize) -> bool {
    input.get(at..).is_some_and(|rest| rest.starts_with(END))
}

/// The longest head that is read here.
const LONGEST: usize = 64 * 1024;

/// Room for the headers of an ordinary request from the start.
const HEADERS: usize = 32;

fn span(range: Range<usize>) -> Option<Range<u32>> {
    Some(u32::try_from(range.start).ok()?..u32::try_from(range.end).ok()?)
}

/// The value between `from` and `to` without the blanks around it.
fn trim(input: &[u8], mut from: usize, mut to: usize) -> Range<usize> {
    let is_blank = |at: usize| matches!(input.get(at), Some(b' ' | b'\t'));
    while from < to && is_blank(from) {
        from += 1;
    }
    while from < to && is_blank(to - 1) {
        to -= 1;
    }
    from..to
}

/// What a header means for the connection.
enum Meaning {
    Ordinary,
    Connection,
    /// It speaks of a body, or asks for something.
    Unusual,
}

fn meaning(name: &[u8]) -> Meaning {
    match name.len() {
        6 if is_header(name, "expect") => Meaning::Unusual,
        7 if is_header(name, "upgrade") => Meaning::Unusual,
        10 if is_header(name, "connection") => Meaning::Connection,
        14 if is_header(name, "content-length") => Meaning::Unusual,
        17 if is_header(name, "transfer-encoding") => Meaning::Unusual,
        _ => Meaning::Ordinary,
    }
}

/// Whether the header `Connection` ends the connection; `None` when it says anything else than whether it does.
fn closes(value: &[u8]) -> Option<bool> {
    if value == b"keep-alive" || value.eq_ignore_ascii_case(b"keep-alive") {
        return Some(false);
    }
    value.eq_ignore_ascii_case(b"close").then_some(true)
}

/// Where the bytes from `at` on stop being of one kind.
fn run(input: &[u8], at: usize, kind: u8) -> usize {
    let is_of_kind = |byte: &&u8| KINDS.get(usize::from(**byte)).is_some_and(|kinds| kinds & kind != 0);
    at + input.get(at..).unwrap_or_default().iter().take_while(is_of_kind).count()
}

/// Where the first byte from `at` on stands that no value may hold. RFC 9110, 5.5 lets all but control characters through, and of these the tab.
fn text(input: &[u8], mut at: usize) -> usize {
    const ONE: u64 = u64::from_le_bytes([1; 8]);
    const TOP: u64 = 0x80 * ONE;
    let is_control = |byte: u8| byte < b' ' && byte != b'\t' || byte == 0x7F;
    while let Some(eight) = input.get(at..).and_then(<[u8]>::first_chunk) {
        // A subtraction sets the top bit of each byte that was too small for it; what it carries reaches only those behind the first of them.
        let bytes = u64::from_le_bytes(*eight);
        let (below_blank, delete) = (bytes.wrapping_sub(0x20 * ONE) & !bytes, bytes ^ (0x7F * ONE));
        let found = (below_blank | delete.wrapping_sub(ONE) & !delete) & TOP;
        // All eight, where nothing was found.
        at += found.trailing_zeros() as usize / 8;
        if found != 0 {
            if input.get(at).copied().is_none_or(is_control) {
                return at;
            }
            at += 1;
        }
    }
    at + input.get(at..).unwrap_or_default().iter().take_while(|byte| !is_control(**byte)).count()
}

/// What methods are made of.
const METHOD: u8 = 1;
/// What names of headers are made of: the tokens of RFC 9110, 5.6.2.
const NAME: u8 = 2;
/// What a path and a query are made of (RFC 3986, 3.3 and 3.4).
const TARGET: u8 = 4;

/// What each byte may stand in.
static KINDS: [u8; 256] = {
    let mut kinds = [0; 256];
    let mut byte = 0;
    while byte < 128 {
        let (letter, digit) = ((byte as u8).is_ascii_alphabetic(), (byte as u8).is_ascii_digit());
        if (byte as u8).is_ascii_uppercase() {
            kinds[byte] |= METHOD;
        }
        if letter
            || digit
            || matches!(byte as u8, b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~')
        {
            kinds[byte] |= NAME;
        }
        if letter || digit || matches!(byte as u8, b'!'..=b'/' | b':' | b';' | b'=' | b'?' | b'@' | b'_' | b'~') && !matches!(byte as u8, b'"' | b'#')
        {
            kinds[byte] |= TARGET;
        }
        byte += 1;
    }
    kinds
};

#[cfg(test)]
#[path = "http1_tests.rs"]
mod tests;
