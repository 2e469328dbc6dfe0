//! SCGI, uwsgi and HTTP from the web server's side. What these answer is text, so the walks are short.

use super::{Answers, HELLO, vars::headers};
use crate::report::Result;

/// A request of SCGI: a netstring of variables, of which `CONTENT_LENGTH` is the first and `SCGI` is one.
pub(crate) fn scgi(vars: &[(&str, String)]) -> Vec<u8> {
    let others = vars.iter().filter(|(name, _)| *name != "CONTENT_LENGTH").map(|(name, value)| (*name, value.as_str()));
    let block: String =
        [("CONTENT_LENGTH", "0"), ("SCGI", "1")].into_iter().chain(others).map(|(name, value)| format!("{name}\0{value}\0")).collect();
    format!("{}:{block},", block.len()).into_bytes()
}

/// A request of uwsgi: a head of four bytes, and the variables with their lengths, the least significant byte first.
pub(crate) fn uwsgi(vars: &[(&str, String)]) -> Result<Vec<u8>> {
    let mut block = Vec::new();
    for text in vars.iter().flat_map(|(name, value)| [name, value.as_str()]) {
        block.extend_from_slice(&u16::try_from(text.len())?.to_le_bytes());
        block.extend_from_slice(text.as_bytes());
    }
    let [low, high] = u16::try_from(block.len())?.to_le_bytes();
    Ok([&[0, low, high, 0], &block[..]].concat())
}

/// A request of HTTP/1.1, with what a proxy adds to it.
pub(crate) fn http(keep: bool, vars: &[(&str, String)]) -> Vec<u8> {
    let client = vars.iter().find(|(name, _)| *name == "REMOTE_ADDR").map_or("", |(_, value)| value);
    let mut head = String::from("GET /hello HTTP/1.1\r\n");
    for (name, value) in headers(vars).into_iter().filter(|(name, _)| name != "Connection") {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&format!(
        "X-Forwarded-For: {client}\r\nX-Forwarded-Proto: http\r\nConnection: {}\r\n\r\n",
        if keep { "keep-alive" } else { "close" }
    ));
    head.into_bytes()
}

/// Takes the whole answer when it is there. It ends where the body of a hello ends; that the connection ends with it is seen later.
pub(crate) fn walk(bytes: &[u8], answers: &mut Answers) -> Result<usize> {
    let whole = bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|head| head + 4 + HELLO.len());
    match whole.and_then(|whole| bytes.get(..whole)) {
        Some(answer) => {
            answers.page(1)?.extend_from_slice(answer);
            answers.complete(1)?;
            Ok(answer.len())
        }
        None => Ok(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_what_the_protocols_say() {
        let vars = [("A", "b".to_owned()), ("CONTENT_LENGTH", "0".to_owned()), ("HTTP_HOST", "x".to_owned())];
        assert_eq!(scgi(&vars), b"40:CONTENT_LENGTH\x000\0SCGI\x001\0A\0b\0HTTP_HOST\0x\0,");
        assert_eq!(uwsgi(&vars[..1]).unwrap(), b"\0\x06\0\0\x01\0A\x01\0b");
        let text = String::from_utf8(http(false, &vars)).unwrap();
        assert_eq!(text, "GET /hello HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: \r\nX-Forwarded-Proto: http\r\nConnection: close\r\n\r\n");
    }

    #[test]
    fn an_answer_is_taken_when_it_is_whole() {
        let all = b"HTTP/1.1 200 OK\r\ncontent-length: 13\r\n\r\nhello, world\n";
        let mut answers = Answers::new(1);
        assert_eq!(walk(&all[..all.len() - 1], &mut answers).unwrap(), 0);
        assert_eq!(walk(all, &mut answers).unwrap(), all.len());
        assert!(answers.all_complete());
        assert!(walk(b"HTTP/1.1 404 Not Found\r\n\r\nhello, world\n", &mut Answers::new(1)).is_err());
    }
}
