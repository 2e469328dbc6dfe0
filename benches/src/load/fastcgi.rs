//! FastCGI from the web server's side: the bytes of a request, and the walk over the records of an answer.

use super::Answers;
use crate::report::Result;

pub(crate) const HEAD: usize = 8;
const BEGIN_REQUEST: u8 = 1;
pub(crate) const END_REQUEST: u8 = 3;
const PARAMS: u8 = 4;
pub(crate) const STDIN: u8 = 5;
pub(crate) const STDOUT: u8 = 6;
const STDERR: u8 = 7;
const RESPONDER: u8 = 1;
const KEEP_CONN: u8 = 1;

/// A request without a body: BEGIN_REQUEST, all variables in one PARAMS record as mod_fcgid sends them, the two records that end the streams.
pub(crate) fn request(id: u16, keep: bool, vars: &[(&str, String)]) -> Vec<u8> {
    let mut params = Vec::new();
    for (name, value) in vars {
        length(name.len(), &mut params);
        length(value.len(), &mut params);
        params.extend_from_slice(name.as_bytes());
        params.extend_from_slice(value.as_bytes());
    }
    let flags = if keep { KEEP_CONN } else { 0 };
    let mut bytes = record(BEGIN_REQUEST, id, &[0, RESPONDER, flags, 0, 0, 0, 0, 0]);
    bytes.extend(record(PARAMS, id, &params));
    bytes.extend(record(PARAMS, id, &[]));
    bytes.extend(record(STDIN, id, &[]));
    bytes
}

/// The length of a name or a value: one byte below 128, else four with the highest bit set.
fn length(length: usize, bytes: &mut Vec<u8>) {
    match u8::try_from(length) {
        Ok(short) if short < 128 => bytes.push(short),
        _ => bytes.extend_from_slice(&(u32::try_from(length).unwrap_or(u32::MAX) | 1 << 31).to_be_bytes()),
    }
}

/// A record without padding. The variables of a benchmark fit into one.
pub(crate) fn record(kind: u8, id: u16, content: &[u8]) -> Vec<u8> {
    let [id1, id0] = id.to_be_bytes();
    let [len1, len0] = u16::try_from(content.len()).unwrap_or(u16::MAX).to_be_bytes();
    [&[1, kind, id1, id0, len1, len0, 0, 0], content].concat()
}

/// Walks the complete records of `bytes`, sorts what they carry into `answers`, and tells how many bytes they were.
pub(crate) fn walk(bytes: &[u8], answers: &mut Answers) -> Result<usize> {
    let mut at = 0;
    while let Some(&[version, kind, id1, id0, len1, len0, padding, _]) = bytes.get(at..).and_then(<[u8]>::first_chunk::<HEAD>) {
        if version != 1 {
            return Err("the answer is not FastCGI".into());
        }
        let content = at + HEAD..at + HEAD + usize::from(u16::from_be_bytes([len1, len0]));
        let next = content.end + usize::from(padding);
        if next > bytes.len() {
            break;
        }
        let content = bytes.get(content).unwrap_or_default();
        let id = usize::from(u16::from_be_bytes([id1, id0]));
        match kind {
            STDOUT => answers.page(id)?.extend_from_slice(content),
            STDERR if content.is_empty() => {}
            STDERR => return Err(format!("an error of the app: {}", String::from_utf8_lossy(content)).into()),
            // protocolStatus is the fifth byte, 0 is REQUEST_COMPLETE.
            END_REQUEST if content.get(4) == Some(&0) => answers.complete(id)?,
            _ => return Err(format!("record of type {kind} for request {id}: {content:?}").into()),
        }
        at = next;
    }
    Ok(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &[u8] = b"Content-Type: text/plain\r\n\r\nhello, world\n";

    fn end(id: u16, status: u8) -> Vec<u8> {
        record(END_REQUEST, id, &[0, 0, 0, 0, status, 0, 0, 0])
    }

    #[test]
    fn a_request_is_four_records_and_its_lengths_are_those_of_the_specification() {
        let long = "v".repeat(200);
        let bytes = request(3, true, &[("A", "b".into()), ("LONG", long.clone())]);
        let params = [&b"\x01\x01Ab\x04\x80\x00\x00\xc8LONG"[..], long.as_bytes()].concat();
        let expected =
            [record(BEGIN_REQUEST, 3, &[0, 1, 1, 0, 0, 0, 0, 0]), record(PARAMS, 3, &params), record(PARAMS, 3, &[]), record(STDIN, 3, &[])];
        assert_eq!(bytes, expected.concat());
    }

    #[test]
    fn records_are_sorted_by_request_and_an_incomplete_one_waits() {
        let all = [record(STDOUT, 2, PAGE), record(STDOUT, 1, PAGE), record(STDOUT, 2, &[]), end(2, 0), record(STDOUT, 1, &[]), end(1, 0)].concat();
        for cut in 0..all.len() {
            let mut answers = Answers::new(2);
            let walked = walk(&all[..cut], &mut answers).unwrap();
            assert!(walked <= cut);
            assert!(!answers.all_complete());
            walk(&all[walked..], &mut answers).unwrap();
            assert!(answers.all_complete(), "cut at {cut}");
        }
    }

    #[test]
    fn padding_is_walked_over() {
        let mut padded = record(STDOUT, 1, PAGE);
        padded[6] = 3;
        padded.extend([0; 3]);
        padded.extend(end(1, 0));
        let mut answers = Answers::new(1);
        assert_eq!(walk(&padded, &mut answers).unwrap(), padded.len());
        assert!(answers.all_complete());
    }

    #[test]
    fn a_wrong_answer_is_an_error() {
        let wrong = [
            [record(STDOUT, 1, b"Status: 500\r\n\r\nsorry"), end(1, 0)].concat(),
            [record(STDOUT, 1, PAGE), end(1, 1)].concat(),
            [record(STDOUT, 2, PAGE), end(2, 0)].concat(),
            [record(STDERR, 1, b"oops"), record(STDOUT, 1, PAGE), end(1, 0)].concat(),
            [record(STDOUT, 1, PAGE), end(1, 0), end(1, 0)].concat(),
            b"HTTP/1.1 200 OK\r\n\r\n".to_vec(),
        ];
        for bytes in wrong {
            assert!(walk(&bytes, &mut Answers::new(1)).is_err(), "{}", String::from_utf8_lossy(&bytes));
        }
    }
}
