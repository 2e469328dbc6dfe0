//! The header block in a BEGIN_REQUEST: the headers as the client wrote them.

use super::packet::{Begin, BeginError, INDEX, UNKNOWN, span};
use crate::{
    pairs::cut,
    proto::{PairSpan, is_header, one_length},
};

/// The headers that the index knows by their place.
pub(super) const KNOWN: [&str; 25] = [
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "authorization",
    "connection",
    "content-type",
    "content-length",
    "cookie",
    "cookie2",
    "host",
    "pragma",
    "referer",
    "user-agent",
    "cache-control",
    "if-modified-since",
    "if-match",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "keep-alive",
    "range",
    "x-forwarded-for",
    "via",
    "transfer-encoding",
];

/// The headers among them on which it depends what a request is: where its body ends, whom it is for and who asks. The index has to have their very values.
const DECIDING: [&str; 6] = ["authorization", "content-type", "content-length", "cookie", "host", "transfer-encoding"];

/// Where the offsets of the index begin: behind the lengths and two bytes of padding.
const OFFSETS: usize = 2 * KNOWN.len() + 2;

/// OpenLiteSpeed puts four zero bytes before the request line, so that no header is at offset 0, which means that there is none.
const LEADING_ZEROS: usize = 4;

/// Reads the headers of a packet whose index begins at `index`, and looks whether the index fits them.
pub(super) fn read(begin: &Begin, packet: &mut [u8], index: usize, max: usize) -> Result<Vec<PairSpan>, BeginError> {
    let start = index + INDEX + begin.unknown * UNKNOWN;
    if start.checked_add(begin.header_len) != Some(packet.len()) {
        return Err(BeginError::Broken("its parts do not make up its length"));
    }
    let block = packet.get_mut(start..).unwrap_or_default();
    let headers = match read_lines(block, start, max) {
        Err(_) if unfold(block) => read_lines(block, start, max),
        read => read,
    }?;
    check_index(begin, packet, index, start, &headers)?;
    Ok(headers)
}

/// RFC 9112, 5.2: a server that receives an obsolete line folding MUST reject the message or "replace each received obs-fold with one or more SP octets". Tells whether there was any.
#[cold]
fn unfold(block: &mut [u8]) -> bool {
    let folds: Vec<usize> = memchr::memchr_iter(b'\n', block).filter(|end| matches!(block.get(end + 1), Some(b' ' | b'\t'))).collect();
    for end in &folds {
        for at in [end.saturating_sub(1), *end] {
            if let Some(byte) = block.get_mut(at).filter(|byte| matches!(byte, b'\r' | b'\n')) {
                *byte = b' ';
            }
        }
    }
    !folds.is_empty()
}

/// The headers as ranges of the packet in which the block begins at `start`. The block has to end with its empty line.
fn read_lines(block: &[u8], start: usize, max: usize) -> Result<Vec<PairSpan>, BeginError> {
    let zeros = block.iter().take(LEADING_ZEROS).take_while(|byte| **byte == 0).count();
    let mut headers = Vec::with_capacity(32);
    let mut at = zeros;
    let mut request_line = true;
    for end in memchr::memchr_iter(b'\n', block) {
        let line = block.get(at..end).unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let line_at = start + at;
        at = end + 1;
        match (request_line, line) {
            (true, []) => return Err(BeginError::Broken("the header block has no request line")),
            (true, _) => request_line = false,
            (false, []) if at == block.len() => return Ok(headers),
            (false, []) => return Err(BeginError::Broken("something stands behind the header block")),
            (false, _) if headers.len() == max => return Err(BeginError::TooMany),
            (false, line) => headers.push(header(line, line_at).ok_or(BeginError::Malformed)?),
        }
    }
    Err(BeginError::Broken("the header block has no end"))
}

/// RFC 9112, 5.1: "No whitespace is allowed between the field name and colon".
fn header(line: &[u8], line_at: usize) -> Option<PairSpan> {
    // A name is too short for anything cleverer than looking at its bytes; nearly all of them are letters, which come behind all that ends it.
    let colon = line.iter().position(|byte| *byte <= b':' && matches!(byte, b':' | b' ' | b'\t' | b'\r' | b'\n' | b'\x0C'))?;
    let value = line.get(colon..)?.strip_prefix(b":")?.trim_ascii_start();
    let value_at = line_at + line.len() - value.len();
    let name = Some(line_at..line_at + colon).filter(|name| !name.is_empty())?;
    span(name).zip(span(value_at..value_at + value.trim_ascii_end().len()))
}

/// Everything that the index points to has to lie in the line of a header: of the one that its place stands for, or of the one that it names. The index of OpenLiteSpeed
/// reaches out of the block where the block was cut.
fn check_index(begin: &Begin, packet: &[u8], index: usize, start: usize, headers: &[PairSpan]) -> Result<(), BeginError> {
    const ASTRAY: BeginError = BeginError::Broken("the index of the headers leads astray");
    let line_of = |offset: usize, len: usize| {
        let at = start.checked_add(offset)?;
        let behind = headers.partition_point(|(name, _)| name.start as usize <= at);
        let next = headers.get(behind).map_or(packet.len(), |(name, _)| name.start as usize);
        let header = headers.get(behind.checked_sub(1)?)?;
        at.checked_add(len).is_some_and(|end| end <= next).then_some(header)
    };
    let order = begin.order;
    let known = packet.get(index..).and_then(<[u8]>::first_chunk::<INDEX>).ok_or(ASTRAY)?;
    let (lengths, offsets) = known.split_at(OFFSETS);
    for ((known, len), offset) in KNOWN.iter().zip(lengths.chunks_exact(2)).zip(offsets.chunks_exact(4)) {
        if offset == [0; 4] {
            continue;
        }
        let len = order.short_at(len, 0).ok_or(ASTRAY)?;
        let offset = order.number_at(offset, 0).ok_or(ASTRAY)?;
        let header = line_of(offset, len).ok_or(ASTRAY)?;
        if !is_header(cut(packet, &header.0), known) || !is_value(packet, start + offset, len, header) && DECIDING.contains(known) {
            return Err(ASTRAY);
        }
    }
    for unknown in 0..begin.unknown {
        let entry = index + INDEX + unknown * UNKNOWN;
        let span_at = |at: usize| order.number_at(packet, at).zip(order.number_at(packet, at + 4)).ok_or(ASTRAY);
        let ((name, name_len), (value, value_len)) = (span_at(entry)?, span_at(entry + 8)?);
        let header = line_of(name, name_len).ok_or(ASTRAY)?;
        if span(start + name..start + name + name_len) != Some(header.0.clone()) || line_of(value, value_len) != Some(header) {
            return Err(ASTRAY);
        }
    }
    Ok(())
}

/// Whether so many bytes at `at` are the value of `header`, with or without the white space around it. OpenLiteSpeed counts the blanks behind the length of a chunked
/// upload among its value.
fn is_value(packet: &[u8], at: usize, len: usize, header: &PairSpan) -> bool {
    let (name, value) = header;
    if span(at..at + len).as_ref() == Some(value) {
        return true;
    }
    let text = packet.get(at..at + len).unwrap_or_default();
    let trimmed = text.trim_ascii();
    let first = at + (len - text.trim_ascii_start().len());
    let same = || span(first..first + trimmed.len()).as_ref() == Some(value);
    if value.is_empty() { trimmed.is_empty() && at > name.end as usize } else { same() }
}

/// What `Content-Length` says, where it says one number and no two that differ.
pub(super) fn content_length(packet: &[u8], headers: &[PairSpan]) -> Option<u64> {
    let values = headers.iter().filter(|(name, _)| is_header(cut(packet, name), "content-length")).map(|(_, value)| cut(packet, value));
    one_length(values).ok().flatten()
}
