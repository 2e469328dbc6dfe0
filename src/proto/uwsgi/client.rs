//! The other end: what a web server sends for one request. Used to try a program out and to test it.

use super::HEAD;
use bytes::{BufMut as _, Bytes, BytesMut};

/// The packet of a request, or `None` when its variables take more than the 65,535 bytes that its head can tell.
pub(crate) fn request_head<'a>(vars: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Option<Bytes> {
    let mut packet = BytesMut::zeroed(HEAD);
    for text in vars.flat_map(|(name, value)| [name, value]) {
        packet.put_u16_le(u16::try_from(text.len()).ok()?);
        packet.put_slice(text);
    }
    let size = u16::try_from(packet.len() - HEAD).ok()?;
    packet.get_mut(1..3)?.copy_from_slice(&size.to_le_bytes());
    Some(packet.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_little_endian_and_both_modifiers_are_zero() {
        let head = request_head([(&b"A"[..], &b"bc"[..])].into_iter()).unwrap();
        assert_eq!(head, &[0, 7, 0, 0, 1, 0, b'A', 2, 0, b'b', b'c'][..]);
    }

    #[test]
    fn what_its_head_cannot_tell_is_not_sent() {
        let long = vec![b'x'; 40_000];
        assert_eq!(request_head([(&b"A"[..], &long[..])].into_iter()).map(|head| head.len()), Some(40_009));
        assert_eq!(request_head([(&b"A"[..], &long[..]), (b"B", &long)].into_iter()), None);
    }
}
