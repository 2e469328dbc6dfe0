//! One packet: its head, the numbers of a BEGIN_REQUEST, the variables in it, and the packets that answer it.

use crate::proto::{Outbox, PairSpan};
use bytes::Bytes;
use std::ops::Range;

/// The bytes in front of every packet: `LS`, type, flags, length.
pub(super) const HEAD: usize = 8;

/// The fixed part of a BEGIN_REQUEST, its head among it.
pub(super) const BEGIN: usize = 44;

/// The index of known headers: 25 lengths of two bytes, two bytes of padding, 25 offsets of four.
pub(super) const INDEX: usize = 152;

/// One entry of the index of other headers: offset and length of the name, offset and length of the value.
pub(super) const UNKNOWN: usize = 16;

/// The longest packet that is believed to be one. Above it the numbers are taken for written in the other byte order.
const SANE: usize = 16 * 1024 * 1024;

/// The shortest pair: two lengths and two NULs.
const PAIR_MIN: usize = 6;

/// The end of a list of pairs.
const PAIRS_END: [u8; 4] = [0; 4];

/// The bit of the flags that says that the sender writes its numbers with the most significant byte first.
const BIG_ENDIAN: u8 = 1;

/// What `reqBodyLen` says when the length of the body stands in `Content-Length`: 2 GiB and more, and HTTP/2 uploads without a length.
const BODY_IN_HEADER: i32 = -2;

/// The most bytes of a body or of text in one packet; of one more OpenLiteSpeed drops the connection and asks again.
pub(super) const DATA_MAX: usize = 16384;

/// The longest line of a response head, its NUL among it. OpenLiteSpeed hangs on one of 32,000 bytes.
const LINE_MAX: usize = 16384;

/// The most lines of a response head.
const LINES_MAX: usize = 1000;

/// The longest response head behind the head of its packet.
const RESPONSE_MAX: usize = 65535;

/// The type of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PacketType(pub(super) u8);

impl PacketType {
    pub(super) const BEGIN_REQUEST: Self = Self(1);
    pub(super) const ABORT_REQUEST: Self = Self(2);
    pub(super) const RESP_HEADER: Self = Self(3);
    pub(super) const RESP_STREAM: Self = Self(4);
    pub(super) const RESP_END: Self = Self(5);
    pub(super) const STDERR_STREAM: Self = Self(6);
    pub(super) const REQ_RECEIVED: Self = Self(7);
    pub(super) const CONN_CLOSE: Self = Self(8);
}

/// How a peer writes its numbers, and the flags by which it says so.
///
/// The two need not agree: the header file of the protocol takes every processor but x86 for big-endian, so that a server on aarch64 says so of numbers that are
/// little-endian. It reads ours in the same way, so it is answered with its own flags and in the order that made sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Order {
    flags: u8,
    big: bool,
}

impl Order {
    pub(super) const LITTLE: Self = Self { flags: 0, big: false };

    pub(super) fn told(flags: u8) -> Self {
        Self { flags, big: flags & BIG_ENDIAN != 0 }
    }

    pub(super) fn swapped(self) -> Self {
        Self { big: !self.big, ..self }
    }

    fn read(self, bytes: [u8; 4]) -> u32 {
        if self.big { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
    }

    pub(super) fn write(self, number: u32) -> [u8; 4] {
        if self.big { number.to_be_bytes() } else { number.to_le_bytes() }
    }

    pub(super) fn write_short(self, number: u16) -> [u8; 2] {
        if self.big { number.to_be_bytes() } else { number.to_le_bytes() }
    }

    /// The number at `at`, as an offset or a length. Negative ones are larger than any packet.
    pub(super) fn number_at(self, bytes: &[u8], at: usize) -> Option<usize> {
        usize::try_from(self.read(*bytes.get(at..)?.first_chunk::<4>()?)).ok()
    }

    /// A length of the index. "Lengths were declared signed in old, unsigned in new" headers of the protocol; no length is negative.
    pub(super) fn short_at(self, bytes: &[u8], at: usize) -> Option<usize> {
        let bytes = *bytes.get(at..)?.first_chunk::<2>()?;
        Some(usize::from(if self.big { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) }))
    }
}

/// The head of a packet. Its length counts these eight bytes too.
pub(super) fn packet_head(kind: PacketType, order: Order, len: usize) -> [u8; HEAD] {
    let [l0, l1, l2, l3] = order.write(u32::try_from(len).unwrap_or(u32::MAX));
    [b'L', b'S', kind.0, order.flags, l0, l1, l2, l3]
}

/// What the head of a packet tells before its numbers are believed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Told {
    pub(super) kind: PacketType,
    pub(super) order: Order,
    len: [u8; 4],
}

impl Told {
    /// Reads the head of a packet, or `None` where there is none.
    pub(super) fn read(head: [u8; HEAD]) -> Option<Self> {
        let [b'L', b'S', kind, flags, len @ ..] = head else { return None };
        Some(Self { kind: PacketType(kind), order: Order::told(flags), len })
    }

    /// Whether the packet may be `len` bytes long, in one order or the other.
    pub(super) fn is_of_length(&self, len: impl Fn(usize) -> bool) -> bool {
        [self.order, self.order.swapped()].into_iter().any(|order| usize::try_from(order.read(self.len)).is_ok_and(&len))
    }

    /// Whether the packet has a length that can be believed.
    pub(super) fn is_sane(&self) -> bool {
        self.is_of_length(|len| (HEAD..=SANE).contains(&len))
    }
}

/// How long the body of a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BodyLen {
    Exact(u64),
    /// As `Content-Length` says.
    InHeader,
}

/// Why a BEGIN_REQUEST is no request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BeginError {
    /// Nothing that follows can be trusted. OpenLiteSpeed sends such a packet itself for HTTP/2 uploads without a length, and a good one when the connection is closed
    /// without an answer.
    Broken(&'static str),
    /// More variables than the limit allows.
    TooMany,
    /// A header line is none. The client may have sent it so.
    Malformed,
    /// The request is to be run as another user.
    AnotherUser,
}

/// The numbers at the start of a BEGIN_REQUEST, all of them possible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Begin {
    pub(super) order: Order,
    pub(super) len: usize,
    pub(super) header_len: usize,
    pub(super) body: BodyLen,
    /// Where the values of SCRIPT_FILENAME, SCRIPT_NAME, QUERY_STRING and REQUEST_METHOD stand; 0 is nowhere.
    offsets: [usize; 4],
    pub(super) unknown: usize,
    env: usize,
    special: usize,
}

impl Begin {
    /// Reads the fixed part in the order that its flags tell, or in the other one where only that makes sense.
    pub(super) fn read(told: &Told, fixed: &[u8; BEGIN]) -> Result<Self, BeginError> {
        let told = Self::read_in(told.order, fixed).or_else(|| Self::read_in(told.order.swapped(), fixed));
        told.ok_or(BeginError::Broken("its numbers make no sense in either byte order"))
    }

    fn read_in(order: Order, fixed: &[u8; BEGIN]) -> Option<Self> {
        let number = |at| order.number_at(fixed, at);
        let body = *fixed.get(12..)?.first_chunk::<4>()?;
        let begin = Self {
            order,
            len: number(4)?,
            header_len: number(8)?,
            // The cast keeps the bits of a number that was signed when it was written.
            body: match order.read(body).cast_signed() {
                BODY_IN_HEADER => BodyLen::InHeader,
                len => BodyLen::Exact(u64::try_from(len).ok()?),
            },
            offsets: [number(16)?, number(20)?, number(24)?, number(28)?],
            unknown: number(32)?,
            env: number(36)?,
            special: number(40)?,
        };
        let len = begin.len;
        let least = BEGIN + 2 * PAIRS_END.len() + INDEX;
        let possible = (least..=SANE).contains(&len)
            && begin.header_len <= len - least
            && begin.unknown <= len / UNKNOWN
            && begin.env <= len / PAIR_MIN
            && begin.special <= len / PAIR_MIN
            && begin.offsets.iter().all(|offset| *offset < len);
        possible.then_some(begin)
    }

    /// Takes the variables out of a packet that is whole, and tells where the index begins.
    pub(super) fn variables(&self, packet: &[u8], max: usize) -> Result<(Vec<PairSpan>, usize), BeginError> {
        if self.env.max(self.special) > max {
            return Err(BeginError::TooMany);
        }
        let mut another_user = false;
        let at = read_pairs(packet, BEGIN, self.special, |name, _| {
            // Keys that begin with a byte 0 or 1 are no variables: settings for PHP, and what a daemon that runs as root needs to become somebody else.
            another_user |= matches!(name, b"\0SUEXEC_AUTH" | b"\0SUEXEC_UGID");
        })?;
        // Room for those of an ordinary request.
        let mut pairs = Vec::with_capacity(24);
        let at = read_pairs(packet, at, self.env, |_, pair| pairs.push(pair))?;
        let script_values = self.offsets.iter().filter(|offset| **offset != 0);
        for offset in script_values {
            let found = packet.get(*offset..at).is_some_and(|rest| memchr::memchr(0, rest).is_some());
            if !found || *offset < BEGIN {
                return Err(BeginError::Broken("an offset leads out of the variables"));
            }
        }
        if another_user { Err(BeginError::AnotherUser) } else { Ok((pairs, at.next_multiple_of(8))) }
    }
}

/// A range of a packet, which is never longer than 16 MiB.
pub(super) fn span(range: Range<usize>) -> Option<Range<u32>> {
    Some(u32::try_from(range.start).ok()?..u32::try_from(range.end).ok()?)
}

/// Tells `each` pair of a list, without the NULs at their ends, and returns where the list ends.
fn read_pairs(packet: &[u8], at: usize, count: usize, mut each: impl FnMut(&[u8], PairSpan)) -> Result<usize, BeginError> {
    const CUT: BeginError = BeginError::Broken("a variable reaches beyond the end of the packet");
    const NO_NUL: BeginError = BeginError::Broken("a name or a value does not end with NUL");
    let mut rest = packet.get(at..).unwrap_or_default();
    // A packet is never longer than 16 MiB.
    let mut at = u32::try_from(at).map_err(|_| CUT)?;
    for _ in 0..count {
        // These lengths alone are always written with the most significant byte first.
        let ([name1, name0, value1, value0], text) = rest.split_first_chunk::<4>().ok_or(CUT)?;
        let (name_len, value_len) = (u16::from_be_bytes([*name1, *name0]), u16::from_be_bytes([*value1, *value0]));
        let (name, text) = text.split_at_checked(usize::from(name_len)).ok_or(CUT)?;
        let (value, text) = text.split_at_checked(usize::from(value_len)).ok_or(CUT)?;
        let ([name @ .., 0], [.., 0]) = (name, value) else { return Err(NO_NUL) };
        if name.is_empty() {
            return Err(BeginError::Broken("a variable has no name"));
        }
        let name_end = at + 4 + u32::from(name_len);
        let value_end = name_end + u32::from(value_len);
        each(name, (at + 4..name_end - 1, name_end..value_end - 1));
        (at, rest) = (value_end, text);
    }
    match rest.first_chunk::<4>() {
        Some(&PAIRS_END) => Ok(at as usize + PAIRS_END.len()),
        _ => Err(BeginError::Broken("a list of variables does not end where it should")),
    }
}

/// Writes the packet that begins a response, made of a CGI header block in which `Status: ` is spelled so and every line has its end: the status as a number, and the lines with a NUL in the place of each line end.
///
/// What OpenLiteSpeed would hang on is left out: lines over 16 KiB, and lines beyond the thousandth or over 64 KiB in all. It fails as well when this packet comes
/// byte by byte, which it does not as long as `out` gathers what is small.
pub(super) fn put_response_head(order: Order, block: &[u8], out: &mut Outbox) {
    let (mut status, mut lines, mut lines_len, mut at) = (0, Vec::with_capacity(16), 0, 0);
    for end in memchr::memchr_iter(b'\n', block) {
        let line = block.get(at..end).unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        at = end + 1;
        if let Some(told) = line.strip_prefix(b"Status: ") {
            status = told.iter().take(3).take_while(|byte| byte.is_ascii_digit()).fold(0, |number, digit| 10 * number + u32::from(digit - b'0'));
            continue;
        }
        let length = line.len() + 1;
        let whole = HEAD + 2 * (lines.len() + 1) + lines_len + length;
        if line.is_empty() || length > LINE_MAX || lines.len() == LINES_MAX || whole > RESPONSE_MAX {
            continue;
        }
        lines_len += length;
        lines.push(line);
    }
    let number = |number: usize| order.write(u32::try_from(number).unwrap_or(u32::MAX));
    out.put_slice(&packet_head(PacketType::RESP_HEADER, order, HEAD + 8 + 2 * lines.len() + lines_len));
    out.put_slice(&number(lines.len()));
    out.put_slice(&order.write(status));
    lines.iter().for_each(|line| out.put_slice(&order.write_short(u16::try_from(line.len() + 1).unwrap_or(u16::MAX))));
    lines.iter().for_each(|line| [line, &b"\0"[..]].into_iter().for_each(|piece| out.put_slice(piece)));
}

/// Cuts `data` into pieces that one packet carries, each with its head.
pub(super) fn stream_packets(kind: PacketType, order: Order, mut data: Bytes) -> impl Iterator<Item = ([u8; HEAD], Bytes)> {
    std::iter::from_fn(move || {
        let piece = data.split_to(data.len().min(DATA_MAX));
        (!piece.is_empty()).then(|| (stream_head(kind, order, &piece), piece))
    })
}

/// The head of a packet that carries `piece`, of [`DATA_MAX`] bytes at most.
pub(super) fn stream_head(kind: PacketType, order: Order, piece: &[u8]) -> [u8; HEAD] {
    packet_head(kind, order, HEAD + piece.len())
}
