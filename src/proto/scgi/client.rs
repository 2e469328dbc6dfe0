//! The other end: what a web server sends for one request. Used to try a program out and to test it.

use bytes::{BufMut as _, Bytes, BytesMut};

/// The netstring of a request whose body has `body_len` bytes.
///
/// "The first header must have the name "CONTENT_LENGTH" … The "CONTENT_LENGTH" header must always be present, even if its value is "0"", and "there must also always be a
/// header with the name "SCGI" and a value of "1"".
pub(crate) fn request_head<'a>(vars: impl Iterator<Item = (&'a [u8], &'a [u8])>, body_len: usize) -> Bytes {
    let mut headers = BytesMut::new();
    let mut put = |name: &[u8], value: &[u8]| {
        for text in [name, value] {
            headers.put_slice(text);
            headers.put_u8(0);
        }
    };
    put(b"CONTENT_LENGTH", body_len.to_string().as_bytes());
    put(b"SCGI", b"1");
    for (name, value) in vars.filter(|(name, _)| !matches!(*name, b"CONTENT_LENGTH" | b"SCGI")) {
        put(name, value);
    }
    let mut head = BytesMut::from(format!("{}:", headers.len()).as_bytes());
    head.extend_from_slice(&headers);
    head.put_u8(b',');
    head.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_comes_first_and_once() {
        let vars = [("REQUEST_METHOD", "POST"), ("CONTENT_LENGTH", "7")];
        let head = request_head(vars.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())), 27);
        assert_eq!(head, &b"45:CONTENT_LENGTH\x0027\0SCGI\x001\0REQUEST_METHOD\0POST\0,"[..]);
    }
}
