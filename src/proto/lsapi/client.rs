//! The other end: what a web server sends for one request, and what it reads back. Used to try a program out and to test it.

use super::{
    headers::KNOWN,
    packet::{BEGIN, HEAD, INDEX, Order, PacketType, Told, UNKNOWN, packet_head},
};
use crate::proto::is_header;
use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

/// The variables that a web server also points to, in the order of their offsets.
const POINTED_TO: [&[u8]; 4] = [b"SCRIPT_FILENAME", b"SCRIPT_NAME", b"QUERY_STRING", b"REQUEST_METHOD"];

/// The longest packet that is believed to be an answer.
const ANSWER_MAX: usize = 128 * 1024;

/// A name and a value.
pub(crate) type Pair = (Vec<u8>, Vec<u8>);

/// What goes into a BEGIN_REQUEST.
#[derive(Debug, Clone)]
pub(crate) struct Begin {
    pub(super) order: Order,
    pub(crate) env: Vec<Pair>,
    /// Keys that begin with a byte 0 or 1: they are no variables.
    pub(crate) special: Vec<Pair>,
    pub(crate) headers: Vec<Pair>,
    /// The length of the body, or -2 where it stands in `Content-Length`.
    pub(crate) body_len: i32,
}

impl Begin {
    /// A request described by CGI variables: those that stand for headers become headers again.
    pub(crate) fn from_vars<'a>(vars: impl Iterator<Item = (&'a [u8], &'a [u8])>, body_len: usize) -> Self {
        let (mut env, mut headers) = (Vec::new(), Vec::new());
        for (name, value) in vars {
            let header = match name {
                b"CONTENT_TYPE" => Some(&b"CONTENT_TYPE"[..]).filter(|_| !value.is_empty()),
                b"CONTENT_LENGTH" | b"GATEWAY_INTERFACE" => continue,
                _ => name.strip_prefix(b"HTTP_"),
            };
            match header {
                Some(header) => {
                    let dashed = header.iter().map(|byte| if *byte == b'_' { b'-' } else { byte.to_ascii_lowercase() });
                    headers.push((dashed.collect(), value.to_vec()));
                }
                None => env.push((name.to_vec(), value.to_vec())),
            }
        }
        if body_len > 0 {
            headers.push((b"content-length".to_vec(), body_len.to_string().into_bytes()));
        }
        Self { order: Order::LITTLE, env, special: Vec::new(), headers, body_len: i32::try_from(body_len).unwrap_or(-2) }
    }

    /// The packet, behind which the body follows bare.
    pub(crate) fn packet(&self) -> Bytes {
        let (order, mut packet) = (self.order, BytesMut::zeroed(BEGIN));
        put_pairs(&self.special, &mut packet);
        let offsets = put_pairs(&self.env, &mut packet);
        packet.resize(packet.len().next_multiple_of(8), 0);
        let (block, index, unknown) = self.header_block();
        packet.put_slice(&index);
        packet.put_slice(&unknown);
        packet.put_slice(&block);

        let number = |number: usize| order.write(u32::try_from(number).unwrap_or(u32::MAX));
        let mut fixed = BytesMut::new();
        fixed.put_slice(&packet_head(PacketType::BEGIN_REQUEST, order, packet.len()));
        fixed.put_slice(&number(block.len()));
        fixed.put_slice(&order.write(self.body_len.cast_unsigned()));
        offsets.into_iter().for_each(|offset| fixed.put_slice(&number(offset)));
        [unknown.len() / UNKNOWN, self.env.len(), self.special.len()].into_iter().for_each(|count| fixed.put_slice(&number(count)));
        packet.advance(fixed.len());
        fixed.unsplit(packet);
        fixed.freeze()
    }

    /// The header block and both parts of its index.
    fn header_block(&self) -> (BytesMut, BytesMut, BytesMut) {
        let var = |name: &[u8]| self.env.iter().find(|(other, _)| other == name).map(|(_, value)| &value[..]).unwrap_or_default();
        // Four zero bytes, so that no header stands at offset 0.
        let mut block = BytesMut::zeroed(4);
        for piece in [var(b"REQUEST_METHOD"), b" ", var(b"REQUEST_URI"), b" HTTP/1.1\r\n"] {
            block.put_slice(piece);
        }
        let (mut lengths, mut offsets, mut unknown) = ([0; KNOWN.len()], [0; KNOWN.len()], BytesMut::new());
        for (name, value) in &self.headers {
            let at = block.len();
            let value_at = at + name.len() + 2;
            for piece in [name, &b": "[..], value, b"\r\n"] {
                block.put_slice(piece);
            }
            let known = KNOWN.iter().position(|known| is_header(name, known));
            let slot = known.and_then(|known| lengths.get_mut(known).zip(offsets.get_mut(known)));
            match slot {
                Some((length, offset)) => (*length, *offset) = (value.len(), value_at),
                None => {
                    for number in [at, name.len(), value_at, value.len()] {
                        unknown.put_slice(&self.order.write(u32::try_from(number).unwrap_or(u32::MAX)));
                    }
                }
            }
        }
        block.put_slice(b"\r\n");
        let mut index = BytesMut::with_capacity(INDEX);
        lengths.into_iter().for_each(|length| index.put_slice(&self.order.write_short(u16::try_from(length).unwrap_or(u16::MAX))));
        index.put_slice(&[0; 2]);
        offsets.into_iter().for_each(|offset| index.put_slice(&self.order.write(u32::try_from(offset).unwrap_or(u32::MAX))));
        (block, index, unknown)
    }
}

/// Writes a list of pairs and its end, and tells where the values stand that a web server points to. A pair that cannot be encoded is left out.
fn put_pairs(pairs: &[Pair], out: &mut BytesMut) -> [usize; 4] {
    let mut offsets = [0; 4];
    for (name, value) in pairs {
        let lengths = u16::try_from(name.len() + 1).ok().zip(u16::try_from(value.len() + 1).ok());
        let Some((name_len, value_len)) = lengths else { continue };
        out.put_u16(name_len);
        out.put_u16(value_len);
        out.put_slice(name);
        out.put_u8(0);
        for (offset, _) in offsets.iter_mut().zip(POINTED_TO).filter(|(_, known)| known == name) {
            *offset = out.len();
        }
        out.put_slice(value);
        out.put_u8(0);
    }
    out.put_slice(&[0; 4]);
    offsets
}

/// What the application said.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Received,
    Head { status: usize, lines: Vec<Bytes> },
    Stream(Bytes),
    Stderr(Bytes),
    End,
    Close,
}

/// Takes the next answer out of `input`, or `None` when more bytes are needed.
///
/// # Errors
///
/// A sentence, when the bytes are no answer.
pub(crate) fn next_answer(input: &mut BytesMut) -> Result<Option<Answer>, &'static str> {
    let Some(head) = input.first_chunk::<HEAD>() else { return Ok(None) };
    let told = Told::read(*head).ok_or("it is no packet")?;
    let order = told.order;
    let len = order.number_at(head, 4).filter(|len| (HEAD..=ANSWER_MAX).contains(len)).ok_or("a packet of an impossible length")?;
    if input.len() < len {
        return Ok(None);
    }
    let mut content = input.split_to(len).freeze();
    content.advance(HEAD);
    Ok(Some(match told.kind {
        PacketType::REQ_RECEIVED => Answer::Received,
        PacketType::RESP_STREAM => Answer::Stream(content),
        PacketType::STDERR_STREAM => Answer::Stderr(content),
        PacketType::RESP_END if content.is_empty() => Answer::End,
        PacketType::CONN_CLOSE if content.is_empty() => Answer::Close,
        PacketType::RESP_HEADER => {
            let (status, lines) = head_lines(order, &content).ok_or("the head of a response that is none")?;
            Answer::Head { status, lines }
        }
        _ => return Err("a packet that has no place in a response"),
    }))
}

fn head_lines(order: Order, content: &Bytes) -> Option<(usize, Vec<Bytes>)> {
    let (count, status) = order.number_at(content, 0).zip(order.number_at(content, 4))?;
    let mut at = count.checked_mul(2)?.checked_add(8).filter(|at| *at <= content.len())?;
    let mut lines = Vec::new();
    for line in 0..count {
        let end = at + order.short_at(content, 8 + 2 * line)?;
        let text = content.get(at..end)?.strip_suffix(&[0])?;
        lines.push(content.slice_ref(text));
        at = end;
    }
    (at == content.len()).then_some((status, lines))
}
