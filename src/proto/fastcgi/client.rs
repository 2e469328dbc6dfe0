//! The other end: what a web server sends for one request, and what it reads back. Used to try a program out and to test it.

use super::{FCGI_KEEP_CONN, FCGI_RESPONDER, Record, RecordCodec, RecordType, codec::RecordError, name_value, record_head};
use bytes::{Buf, Bytes, BytesMut};
use tokio_util::codec::Decoder as _;

/// The id that every web server uses which does not multiplex.
const ID: u16 = 1;

/// The largest content of one record that we send.
const PIECE: usize = 65528;

/// The records of one request, as bytes: BEGIN_REQUEST, PARAMS and its end.
///
/// A pair that cannot be encoded (longer than 2 GiB) is left out.
pub(crate) fn request_head<'a>(vars: impl Iterator<Item = (&'a [u8], &'a [u8])>, keep_conn: bool) -> Bytes {
    let mut params = BytesMut::new();
    for (name, value) in vars {
        let _ = name_value::encode(name, value, &mut params);
    }
    let [role1, role0] = FCGI_RESPONDER.to_be_bytes();
    let mut bytes = BytesMut::new();
    bytes.extend_from_slice(&record_head(RecordType::BEGIN_REQUEST, ID, 8));
    bytes.extend_from_slice(&[role1, role0, if keep_conn { FCGI_KEEP_CONN } else { 0 }, 0, 0, 0, 0, 0]);
    put_stream(RecordType::PARAMS, params.freeze(), &mut bytes);
    bytes.extend_from_slice(&record_head(RecordType::PARAMS, ID, 0));
    bytes.freeze()
}

/// STDIN records for a piece of the body; for an empty piece the record that ends it.
pub(crate) fn request_body(chunk: Bytes) -> Bytes {
    let mut bytes = BytesMut::new();
    if chunk.is_empty() {
        bytes.extend_from_slice(&record_head(RecordType::STDIN, ID, 0));
    }
    put_stream(RecordType::STDIN, chunk, &mut bytes);
    bytes.freeze()
}

fn put_stream(kind: RecordType, mut data: Bytes, out: &mut BytesMut) {
    while data.has_remaining() {
        let piece = data.split_to(data.len().min(PIECE));
        out.extend_from_slice(&record_head(kind, ID, u16::try_from(piece.len()).unwrap_or(u16::MAX)));
        out.extend_from_slice(&piece);
    }
}

/// What the application said.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Stdout(Bytes),
    Stderr(Bytes),
    End {
        app_status: u32,
        protocol_status: u8,
    },
    /// A record that has no business in a response.
    Other(RecordType),
}

/// Takes the next answer out of `input`, or `None` when more bytes are needed; the second value is the record as it stood.
///
/// # Errors
///
/// When the bytes are not FastCGI.
pub(crate) fn next_answer(input: &mut BytesMut) -> Result<Option<(Answer, Record)>, String> {
    let record = match RecordCodec.decode(input) {
        Ok(Some(record)) => record,
        Ok(None) => return Ok(None),
        Err(RecordError::Version(version)) => return Err(format!("a record of version {version}, which does not exist")),
        Err(RecordError::Io(error)) => return Err(error.to_string()),
    };
    let content = record.content.clone();
    let answer = match (record.kind, record.content.first_chunk::<5>()) {
        (RecordType::STDOUT, _) => Answer::Stdout(content),
        (RecordType::STDERR, _) => Answer::Stderr(content),
        (RecordType::END_REQUEST, Some(&[a3, a2, a1, a0, protocol_status])) => {
            Answer::End { app_status: u32::from_be_bytes([a3, a2, a1, a0]), protocol_status }
        }
        (kind, _) => Answer::Other(kind),
    };
    Ok(Some((answer, record)))
}
