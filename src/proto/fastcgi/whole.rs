//! A request that is here whole and has no body, as nearly all are when they are read: four records one behind the other, which are found with one look.

use super::{FCGI_RESPONDER, RecordType, VERSION_1, codec::HEAD};
use crate::proto::RequestId;
use bytes::{Buf as _, Bytes, BytesMut};

/// Such a request at the start of what was read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Whole {
    pub(super) id: RequestId,
    /// What FCGI_BEGIN_REQUEST says beside the role, which is that of a Responder.
    pub(super) flags: u8,
    /// How many bytes of variables there are.
    pub(super) params_len: usize,
    len: usize,
}

/// FCGI_BEGIN_REQUEST with its content: what stands before the variables and the head of their record.
const BEGIN: usize = 2 * HEAD;

impl Whole {
    /// Looks for FCGI_BEGIN_REQUEST, the variables in one record, the empty record behind them and that of a body which has none. In any other form a request is read record by record.
    pub(super) fn find(input: &[u8]) -> Option<Self> {
        const BEGIN_REQUEST: u8 = RecordType::BEGIN_REQUEST.0;
        const PARAMS: u8 = RecordType::PARAMS.0;
        const STDIN: u8 = RecordType::STDIN.0;
        const RESPONDER: [u8; 2] = FCGI_RESPONDER.to_be_bytes();

        let (begin, behind) = input.split_first_chunk::<BEGIN>()?;
        let &[VERSION_1, BEGIN_REQUEST, id1, id0, 0, 8, 0, _, role1, role0, flags, ..] = begin else { return None };
        let (params, behind) = behind.split_first_chunk::<HEAD>()?;
        let &[VERSION_1, PARAMS, _, _, len1, len0, padding, _] = params else { return None };
        let params_len = usize::from(u16::from_be_bytes([len1, len0]));
        let content = params_len + usize::from(padding);
        let ends = behind.get(content..)?.first_chunk::<{ 2 * HEAD }>()?;
        let &[VERSION_1, PARAMS, _, _, 0, 0, 0, _, VERSION_1, STDIN, _, _, 0, 0, 0, _] = ends else { return None };
        // Another request may stand between them.
        let id_of = |head: &[u8]| head.get(2..4) == Some(&[id1, id0]);
        let is_one = id_of(params) && id_of(ends) && id_of(&ends[HEAD..]);
        let id = u16::from_be_bytes([id1, id0]);
        (is_one && id != 0 && [role1, role0] == RESPONDER).then_some(Self { id, flags, params_len, len: BEGIN + HEAD + content + ends.len() })
    }

    /// Takes the request out of the input in which it was found, and gives its variables.
    pub(super) fn take(self, input: &mut BytesMut) -> Bytes {
        let mut records = input.split_to(self.len);
        records.advance(BEGIN + HEAD);
        records.truncate(self.params_len);
        records.freeze()
    }
}
