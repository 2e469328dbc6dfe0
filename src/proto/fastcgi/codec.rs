//! Bytes to records. The content is a slice of the read buffer, never a copy.

use super::{Record, RecordType, VERSION_1};
use bytes::{Buf, Bytes, BytesMut};
use tokio_util::codec::Decoder;

/// Decodes records.
#[derive(Debug, Default)]
pub(crate) struct RecordCodec;

/// What cannot be a record.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecordError {
    /// Specification 3.3 knows one version. Nothing behind such a record can be trusted.
    #[error("version {0}")]
    Version(u8),
    /// [`Decoder`] asks for it; decoding does no IO.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// How long the head of a record is, in bytes (specification 3.3).
pub(super) const HEAD: usize = 8;

impl Decoder for RecordCodec {
    type Item = Record;
    type Error = RecordError;

    fn decode(&mut self, src: &mut BytesMut) -> Result<Option<Record>, RecordError> {
        // Looked at before the rest of the head is there: who speaks another protocol may wait for our answer.
        match src.first() {
            Some(&VERSION_1) => {}
            Some(&other) => return Err(RecordError::Version(other)),
            None => return Ok(None),
        }
        let Some(&[_, kind, id1, id0, len1, len0, padding, _]) = src.first_chunk::<HEAD>() else {
            return Ok(None);
        };
        let len = usize::from(u16::from_be_bytes([len1, len0]));
        let whole = HEAD + len + usize::from(padding);
        if src.len() < whole {
            return Ok(None);
        }
        let (kind, id) = (RecordType(kind), u16::from_be_bytes([id1, id0]));
        if len == 0 {
            // The ends of streams, two for each request; a slice of nothing would be paid for with a reference to the buffer.
            src.advance(whole);
            return Ok(Some(Record { kind, id, content: Bytes::new() }));
        }
        let mut record = src.split_to(whole);
        record.advance(HEAD);
        record.truncate(len);
        Ok(Some(Record { kind, id, content: record.freeze() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::fastcgi::record_head;
    use proptest::prelude::*;

    fn encode(kind: u8, id: u16, content: &[u8], padding: u8) -> Vec<u8> {
        let mut bytes = record_head(RecordType(kind), id, u16::try_from(content.len()).unwrap()).to_vec();
        bytes[6] = padding;
        bytes.extend_from_slice(content);
        bytes.resize(bytes.len() + usize::from(padding), 0xAA);
        bytes
    }

    fn decode_all(bytes: &[u8], step: usize) -> Vec<Record> {
        let (mut buf, mut records) = (BytesMut::new(), Vec::new());
        for piece in bytes.chunks(step) {
            buf.extend_from_slice(piece);
            while let Some(record) = RecordCodec.decode(&mut buf).unwrap() {
                records.push(record);
            }
        }
        assert!(buf.is_empty(), "nothing is left over");
        records
    }

    #[test]
    fn the_longest_record_with_the_longest_padding_is_whole() {
        let content = vec![7; 65535];
        let records = decode_all(&encode(5, 9, &content, 255), 1000);
        assert_eq!(records, [Record { kind: RecordType::STDIN, id: 9, content: content.into() }]);
    }

    #[test]
    fn another_version_is_refused_by_its_first_byte() {
        let mut buf = BytesMut::from(&[2_u8][..]);
        assert!(matches!(RecordCodec.decode(&mut buf), Err(RecordError::Version(2))));
    }

    proptest! {
        #[test]
        fn records_come_out_as_they_went_in_however_they_are_cut(
            records in proptest::collection::vec((any::<u8>(), any::<u16>(), proptest::collection::vec(any::<u8>(), 0..300), any::<u8>()), 0..8),
            step in 1_usize..400,
        ) {
            let bytes: Vec<u8> = records.iter().flat_map(|(kind, id, content, padding)| encode(*kind, *id, content, *padding)).collect();
            let expect: Vec<Record> = records.into_iter().map(|(kind, id, content, _)| Record { kind: RecordType(kind), id, content: content.into() }).collect();
            prop_assert_eq!(decode_all(&bytes, step), expect);
        }
    }
}
