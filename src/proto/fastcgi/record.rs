//! Records: an 8-byte head, content, padding (specification 3.3).

use super::VERSION_1;
use bytes::Bytes;

/// The type of a record. Open, because specification 4.2 orders us to answer types that we do not know: unknown is data, not an error.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct RecordType(pub(crate) u8);

impl RecordType {
    pub(crate) const BEGIN_REQUEST: Self = Self(1);
    pub(crate) const ABORT_REQUEST: Self = Self(2);
    pub(crate) const END_REQUEST: Self = Self(3);
    pub(crate) const PARAMS: Self = Self(4);
    pub(crate) const STDIN: Self = Self(5);
    pub(crate) const STDOUT: Self = Self(6);
    pub(crate) const STDERR: Self = Self(7);
    pub(crate) const DATA: Self = Self(8);
    pub(crate) const GET_VALUES: Self = Self(9);
    pub(crate) const GET_VALUES_RESULT: Self = Self(10);
    pub(crate) const UNKNOWN_TYPE: Self = Self(11);
}

impl std::fmt::Debug for RecordType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match *self {
            Self::BEGIN_REQUEST => "BEGIN_REQUEST",
            Self::ABORT_REQUEST => "ABORT_REQUEST",
            Self::END_REQUEST => "END_REQUEST",
            Self::PARAMS => "PARAMS",
            Self::STDIN => "STDIN",
            Self::STDOUT => "STDOUT",
            Self::STDERR => "STDERR",
            Self::DATA => "DATA",
            Self::GET_VALUES => "GET_VALUES",
            Self::GET_VALUES_RESULT => "GET_VALUES_RESULT",
            Self::UNKNOWN_TYPE => "UNKNOWN_TYPE",
            Self(other) => return write!(f, "type {other}"),
        })
    }
}

/// A record without its padding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) kind: RecordType,
    pub(crate) id: u16,
    pub(crate) content: Bytes,
}

/// The head of a record that carries `len` bytes and no padding.
///
/// The length is a `u16` because a longer content cannot be encoded; whoever has more makes several records of it.
pub(crate) fn record_head(kind: RecordType, id: u16, len: u16) -> [u8; 8] {
    let [id1, id0] = id.to_be_bytes();
    let [len1, len0] = len.to_be_bytes();
    [VERSION_1, kind.0, id1, id0, len1, len0, 0, 0]
}
