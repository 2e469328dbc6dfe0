//! LSAPI from the web server's side: the packet of a request as OpenLiteSpeed sends it, and the walk over the packets of an answer.

use super::{Answers, vars::headers};
use crate::report::Result;

const HEAD: usize = 8;
const BEGIN_REQUEST: u8 = 1;
const RESP_HEADER: u8 = 3;
const RESP_STREAM: u8 = 4;
const RESP_END: u8 = 5;
const REQ_RECEIVED: u8 = 7;

/// The fixed part of a request packet, its head among it.
const FIXED: usize = 44;

/// The headers that the index of a request knows by their place, as they appear in the request of a browser. Of the 25 places the others are empty.
const KNOWN: [(&str, usize); 8] = [
    ("Accept", 0),
    ("Accept-Encoding", 2),
    ("Accept-Language", 3),
    ("Connection", 5),
    ("Cookie", 8),
    ("Host", 10),
    ("Referer", 12),
    ("User-Agent", 13),
];
const PLACES: usize = 25;

/// A request without a body. The variables that stand for headers travel as headers, the others as they are.
pub(crate) fn request(vars: &[(&str, String)]) -> Result<Vec<u8>> {
    let value = |name: &str| vars.iter().find(|(other, _)| *other == name).map_or("", |(_, value)| value);
    let (mut pairs, mut count, mut pointed) = (Vec::new(), 0_u32, [0_u32; 4]);
    for (name, value) in vars.iter().filter(|(name, _)| !name.starts_with("HTTP_") && !["CONTENT_LENGTH", "GATEWAY_INTERFACE"].contains(name)) {
        pairs.extend_from_slice(&u16::try_from(name.len() + 1)?.to_be_bytes());
        pairs.extend_from_slice(&u16::try_from(value.len() + 1)?.to_be_bytes());
        pairs.extend_from_slice(&[name.as_bytes(), &[0]].concat());
        if let Some(at) = ["SCRIPT_FILENAME", "SCRIPT_NAME", "QUERY_STRING", "REQUEST_METHOD"].iter().position(|known| known == name)
            && let Some(offset) = pointed.get_mut(at)
        {
            *offset = u32::try_from(FIXED + 4 + pairs.len())?;
        }
        pairs.extend_from_slice(&[value.as_bytes(), &[0]].concat());
        count += 1;
    }
    // Four zero bytes end a list of pairs; the list of special ones in front is empty.
    let mut lists = [&[0; 4][..], &pairs, &[0; 4]].concat();
    lists.resize((FIXED + lists.len()).next_multiple_of(8) - FIXED, 0);

    let mut block = format!("\0\0\0\0{} {} HTTP/1.1\r\n", value("REQUEST_METHOD"), value("REQUEST_URI")).into_bytes();
    let (mut lengths, mut offsets, mut unknown) = ([0_u16; PLACES], [0_u32; PLACES], Vec::new());
    for (name, value) in headers(vars) {
        let at = block.len();
        let value_at = at + name.len() + 2;
        block.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        let place = KNOWN.iter().find(|(known, _)| *known == name).map(|(_, place)| *place);
        if let Some((length, offset)) = place.and_then(|place| lengths.get_mut(place).zip(offsets.get_mut(place))) {
            (*length, *offset) = (u16::try_from(value.len())?, u32::try_from(value_at)?);
        } else {
            for number in [at, name.len(), value_at, value.len()] {
                unknown.extend_from_slice(&u32::try_from(number)?.to_le_bytes());
            }
        }
    }
    block.extend_from_slice(b"\r\n");
    let mut index: Vec<u8> = lengths.iter().flat_map(|length| length.to_le_bytes()).collect();
    index.extend_from_slice(&[0; 2]);
    index.extend(offsets.iter().flat_map(|offset| offset.to_le_bytes()));

    let len = FIXED + lists.len() + index.len() + unknown.len() + block.len();
    let mut packet = vec![b'L', b'S', BEGIN_REQUEST, 0];
    // The length of the packet, of the headers, of the body; four offsets; how many unknown headers, variables and special variables there are.
    let numbers =
        [u32::try_from(len)?, u32::try_from(block.len())?, 0].into_iter().chain(pointed).chain([u32::try_from(unknown.len() / 16)?, count, 0]);
    packet.extend(numbers.flat_map(u32::to_le_bytes));
    Ok([packet, lists, index, unknown, block].concat())
}

/// Walks the complete packets of `bytes`, puts what they carry into `answers`, and tells how many bytes they were.
pub(crate) fn walk(bytes: &[u8], answers: &mut Answers) -> Result<usize> {
    let mut at = 0;
    while let Some(&[l, s, kind, flags, len @ ..]) = bytes.get(at..).and_then(<[u8]>::first_chunk::<HEAD>) {
        if [l, s, flags] != [b'L', b'S', 0] {
            return Err("the answer is not LSAPI".into());
        }
        let next = at + usize::try_from(u32::from_le_bytes(len))?;
        if next > bytes.len() {
            break;
        }
        let content = bytes.get(at + HEAD..next).ok_or("a packet shorter than its head")?;
        match kind {
            // How many lines, the status, and then the lines, which nobody here needs.
            RESP_HEADER if content.get(4..8) == Some(&200_u32.to_le_bytes()) => answers.page(1)?.extend_from_slice(b"\r\n\r\n"),
            RESP_STREAM => answers.page(1)?.extend_from_slice(content),
            REQ_RECEIVED => {}
            RESP_END => answers.complete(1)?,
            _ => return Err(format!("packet of type {kind}: {}", String::from_utf8_lossy(content)).into()),
        }
        at = next;
    }
    Ok(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(kind: u8, content: &[u8]) -> Vec<u8> {
        let [l0, l1, l2, l3] = u32::try_from(HEAD + content.len()).unwrap().to_le_bytes();
        [&[b'L', b'S', kind, 0, l0, l1, l2, l3], content].concat()
    }

    fn head(status: u32) -> Vec<u8> {
        packet(RESP_HEADER, &[[0; 4], status.to_le_bytes()].concat())
    }

    #[test]
    fn a_request_tells_its_own_length_and_where_its_values_are() {
        let vars = [("REQUEST_METHOD", "GET".to_owned()), ("HTTP_HOST", "a.example".to_owned()), ("HTTP_X_TAG", "t".to_owned())];
        let bytes = request(&vars).unwrap();
        let number = |at: usize| u32::from_le_bytes(*bytes[at..].first_chunk().unwrap()) as usize;
        assert_eq!(number(4), bytes.len());
        assert_eq!((number(32), number(36)), (1, 1));
        assert!(bytes[number(28)..].starts_with(b"GET\0"));
        let block = &bytes[bytes.len() - number(8)..];
        assert_eq!(block, b"\0\0\0\0GET  HTTP/1.1\r\nHost: a.example\r\nX-Tag: t\r\n\r\n");
        // The offset of Host is the eleventh, behind 25 lengths and two bytes of padding; an unknown header comes behind the index.
        let index = bytes.len() - block.len() - 16 - 152;
        assert!(block[number(index + 52 + 4 * 10)..].starts_with(b"a.example\r\n"));
        assert!(block[number(index + 152)..].starts_with(b"X-Tag"));
    }

    #[test]
    fn packets_are_walked_and_an_incomplete_one_waits() {
        let all =
            [packet(REQ_RECEIVED, b""), head(200), packet(RESP_STREAM, b"hello, "), packet(RESP_STREAM, b"world\n"), packet(RESP_END, b"")].concat();
        for cut in 0..all.len() {
            let mut answers = Answers::new(1);
            let walked = walk(&all[..cut], &mut answers).unwrap();
            assert!(!answers.all_complete());
            walk(&all[walked..], &mut answers).unwrap();
            assert!(answers.all_complete(), "cut at {cut}");
        }
    }

    #[test]
    fn a_wrong_answer_is_an_error() {
        let hello = packet(RESP_STREAM, super::super::HELLO);
        let wrong = [[head(500), hello.clone()].concat(), [hello, packet(RESP_END, b"")].concat(), packet(6, b"stderr"), b"HTTP/1.1".to_vec()];
        for bytes in wrong {
            assert!(walk(&bytes, &mut Answers::new(1)).is_err(), "{}", String::from_utf8_lossy(&bytes));
        }
    }
}
