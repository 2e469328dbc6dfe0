//! LSAPI as LiteSpeed writes it, on a little-endian machine: a packet with the variables and the headers, a bare body, and the answer in packets.

use super::ask::Ask;
use super::conn::{Conn, Reply};

const BEGIN_REQUEST: u8 = 1;
const RESP_HEADER: u8 = 3;
const RESP_STREAM: u8 = 4;
const RESP_END: u8 = 5;
const STDERR_STREAM: u8 = 6;
const REQ_RECEIVED: u8 = 7;
const CONN_CLOSE: u8 = 8;

/// The bytes of BEGIN_REQUEST in front of the variables.
const FIXED: usize = 44;

/// Headers that have a place of their own in the index.
const KNOWN: [(&str, usize); 8] = [
    ("ACCEPT", 0),
    ("ACCEPT_ENCODING", 2),
    ("ACCEPT_LANGUAGE", 3),
    ("CONTENT_TYPE", 6),
    ("CONTENT_LENGTH", 7),
    ("COOKIE", 8),
    ("HOST", 10),
    ("USER_AGENT", 13),
];

/// How many places the index has.
const PLACES: usize = 25;

/// The head of a packet whose content has so many bytes.
pub(crate) fn packet_head(kind: u8, content: usize) -> [u8; 8] {
    let [a, b, c, d] = number(content + 8);
    [b'L', b'S', kind, 0, a, b, c, d]
}

fn number(number: usize) -> [u8; 4] {
    u32::try_from(number).unwrap().to_le_bytes()
}

/// A request with its body behind it.
pub(crate) fn all(ask: &Ask) -> Vec<u8> {
    let text = |bytes: &[u8]| str::from_utf8(bytes).unwrap().to_owned();
    let (mut env, mut headers) = (Vec::new(), Vec::new());
    for (name, value) in ask.vars() {
        let name = text(name);
        match name.strip_prefix("HTTP_").or(["CONTENT_TYPE", "CONTENT_LENGTH"].into_iter().find(|header| *header == name)) {
            Some(_) if value.is_empty() => {}
            Some(header) => headers.push((header.to_owned(), text(value))),
            None => env.push((name, text(value))),
        }
    }
    let target = |name: &str| env.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone()).unwrap_or_default();
    // OpenLiteSpeed puts four zero bytes before the request line.
    let mut block = format!("\0\0\0\0{} {} HTTP/1.1\r\n", target("REQUEST_METHOD"), target("REQUEST_URI"));
    let (mut lengths, mut offsets, mut unknown) = ([0_u16; PLACES], [0; PLACES], Vec::new());
    for (name, value) in &headers {
        let dashed = name.replace('_', "-");
        let (at, value_at) = (block.len(), block.len() + dashed.len() + 2);
        block.push_str(&format!("{dashed}: {value}\r\n"));
        match KNOWN.iter().find(|(known, _)| known == name) {
            Some(&(_, place)) => (lengths[place], offsets[place]) = (u16::try_from(value.len()).unwrap(), value_at),
            None => unknown.extend([at, name.len(), value_at, value.len()].map(number).concat()),
        }
    }
    block.push_str("\r\n");

    // No pairs of the special kind, then the variables.
    let mut content = vec![0; 4];
    let mut pointers = [0; 4];
    for (name, value) in &env {
        for text in [name, value] {
            content.extend(u16::try_from(text.len() + 1).unwrap().to_be_bytes());
        }
        content.extend(format!("{name}\0").bytes());
        let pointer = ["SCRIPT_FILENAME", "SCRIPT_NAME", "QUERY_STRING", "REQUEST_METHOD"].iter().position(|pointed| pointed == name);
        if let Some(pointer) = pointer {
            pointers[pointer] = FIXED + content.len();
        }
        content.extend(format!("{value}\0").bytes());
    }
    content.extend([0; 4]);
    content.resize((FIXED + content.len()).next_multiple_of(8) - FIXED, 0);
    content.extend(lengths.iter().flat_map(|length| length.to_le_bytes()));
    content.extend([0; 2]);
    content.extend(offsets.iter().flat_map(|offset| number(*offset)));
    content.extend(&unknown);
    content.extend(block.as_bytes());

    let counts = [unknown.len() / 16, env.len(), 0].map(number).concat();
    let fixed = [&number(block.len())[..], &number(ask.body().len()), &pointers.map(number).concat(), &counts].concat();
    [&packet_head(BEGIN_REQUEST, fixed.len() + content.len())[..], &fixed, &content, ask.body()].concat()
}

/// Reads packets until the answer is over. Its head is told as CGI has it.
#[track_caller]
pub(crate) fn reply(conn: &mut Conn) -> Reply {
    let mut reply = Reply::default();
    loop {
        let head = match conn.take(8) {
            Ok(head) => head,
            Err(reset) => return Reply { reset, ..reply },
        };
        assert_eq!(&head[..2], b"LS", "no packet: {head:?}");
        let length = u32::from_le_bytes(head[4..].try_into().unwrap()) as usize;
        let content = conn.take(length - 8).expect("the server left half a packet");
        match head[2] {
            REQ_RECEIVED => assert_eq!(content, b""),
            RESP_HEADER => reply.stdout = header_block(&content),
            RESP_STREAM => reply.stdout.extend(content),
            STDERR_STREAM => reply.stderr.push(content),
            RESP_END => {
                reply.stdout_ended = true;
                return reply;
            }
            CONN_CLOSE => panic!("CONN_CLOSE before RESP_END"),
            kind => panic!("a packet of type {kind} is no part of an answer"),
        }
    }
}

fn header_block(content: &[u8]) -> Vec<u8> {
    let number = |at: usize| u32::from_le_bytes(content[at..at + 4].try_into().unwrap()) as usize;
    let (count, status) = (number(0), number(4));
    let mut block = format!("Status: {status}\r\n").into_bytes();
    for line in content[8 + 2 * count..].split(|byte| *byte == 0).take(count) {
        block.extend([line, b"\r\n"].concat());
    }
    block.extend(b"\r\n");
    block
}
