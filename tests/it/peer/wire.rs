//! FastCGI records as bytes, by the specification's sections 3.3 (records) and 3.4 (name-value pairs).

pub(crate) const BEGIN_REQUEST: u8 = 1;
pub(crate) const ABORT_REQUEST: u8 = 2;
pub(crate) const END_REQUEST: u8 = 3;
pub(crate) const PARAMS: u8 = 4;
pub(crate) const STDIN: u8 = 5;
pub(crate) const STDOUT: u8 = 6;
pub(crate) const STDERR: u8 = 7;
pub(crate) const DATA: u8 = 8;
pub(crate) const GET_VALUES: u8 = 9;
pub(crate) const GET_VALUES_RESULT: u8 = 10;
pub(crate) const UNKNOWN_TYPE: u8 = 11;

pub(crate) const RESPONDER: u16 = 1;
pub(crate) const KEEP_CONN: u8 = 1;
pub(crate) const UNKNOWN_ROLE: u8 = 3;

/// The most that one record carries.
pub(crate) const MAX_CONTENT: usize = 65_535;

/// One record as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) kind: u8,
    pub(crate) id: u16,
    pub(crate) content: Vec<u8>,
}

/// One record without padding.
pub(crate) fn record(kind: u8, id: u16, content: &[u8]) -> Vec<u8> {
    padded(kind, id, content, 0)
}

/// One record with so much padding, which is not zeros: nobody may look at it.
pub(crate) fn padded(kind: u8, id: u16, content: &[u8], padding: u8) -> Vec<u8> {
    let length = u16::try_from(content.len()).expect("a record carries 65535 bytes");
    let (id, length) = (id.to_be_bytes(), length.to_be_bytes());
    let mut bytes = vec![1, kind, id[0], id[1], length[0], length[1], padding, 0xa5];
    bytes.extend_from_slice(content);
    bytes.extend(std::iter::repeat_n(0x5a, padding.into()));
    bytes
}

pub(crate) fn begin(id: u16, role: u16, flags: u8) -> Vec<u8> {
    record(BEGIN_REQUEST, id, &begin_body(role, flags))
}

pub(crate) fn begin_body(role: u16, flags: u8) -> [u8; 8] {
    let [high, low] = role.to_be_bytes();
    [high, low, flags, 0, 0, 0, 0, 0]
}

pub(crate) fn abort(id: u16) -> Vec<u8> {
    record(ABORT_REQUEST, id, &[])
}

/// The records of a stream in pieces of `size` bytes, without the empty record at its end.
pub(crate) fn open_stream(kind: u8, id: u16, content: &[u8], size: usize) -> Vec<u8> {
    content.chunks(size).flat_map(|piece| record(kind, id, piece)).collect()
}

/// The records of a whole stream.
pub(crate) fn stream(kind: u8, id: u16, content: &[u8], size: usize) -> Vec<u8> {
    [open_stream(kind, id, content, size), record(kind, id, &[])].concat()
}

/// Whether a length below 128 takes the one byte that it needs or the four that it may take.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Form {
    Short,
    Long,
}

fn length(length: usize, form: Form) -> Vec<u8> {
    match u8::try_from(length) {
        Ok(byte) if byte < 128 && matches!(form, Form::Short) => vec![byte],
        _ => {
            let length = u32::try_from(length).expect("a length has 31 bits");
            assert!(length < 1 << 31, "a length has 31 bits");
            (length | 1 << 31).to_be_bytes().to_vec()
        }
    }
}

/// A name-value pair in the shortest form.
pub(crate) fn pair(name: &[u8], value: &[u8]) -> Vec<u8> {
    pair_in(name, value, Form::Short, Form::Short)
}

pub(crate) fn pair_in(name: &[u8], value: &[u8], of_name: Form, of_value: Form) -> Vec<u8> {
    [length(name.len(), of_name), length(value.len(), of_value), name.to_vec(), value.to_vec()].concat()
}

/// Takes name-value pairs apart. Panics unless they end exactly where the bytes end.
pub(crate) fn parse_pairs(mut bytes: &[u8]) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    while !bytes.is_empty() {
        let name = take_length(&mut bytes);
        let value = take_length(&mut bytes);
        pairs.push((take_text(&mut bytes, name), take_text(&mut bytes, value)));
    }
    pairs
}

fn take_length(bytes: &mut &[u8]) -> usize {
    let first = bytes[0];
    let (length, rest) = if first < 128 {
        (first.into(), &bytes[1..])
    } else {
        let length = u32::from_be_bytes([first & 0x7f, bytes[1], bytes[2], bytes[3]]);
        (usize::try_from(length).expect("32 bits fit"), &bytes[4..])
    };
    *bytes = rest;
    length
}

fn take_text(bytes: &mut &[u8], length: usize) -> String {
    let (text, rest) = bytes.split_at(length);
    *bytes = rest;
    String::from_utf8(text.to_vec()).expect("names and values are text here")
}
