//! A read buffer between two connections: an idle one waits without, and the next request on this thread need not have one made.

use bytes::BytesMut;
use std::cell::Cell;

/// The most that is kept, in bytes, on each thread. A buffer that a large body has made larger is let go.
const KEEP: usize = 16 * 1024;

thread_local! {
    static SPARE: Cell<Option<BytesMut>> = const { Cell::new(None) };
}

/// An empty buffer, with room if one is spare.
pub(super) fn take() -> BytesMut {
    SPARE.take().unwrap_or_default()
}

/// Keeps an empty buffer for the next that asks, unless so much of it is still in use that too little is left.
pub(super) fn give_back(mut buffer: BytesMut) {
    if buffer.is_empty() && buffer.try_reclaim(KEEP) && buffer.capacity() == KEEP {
        SPARE.set(Some(buffer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_that_somebody_still_reads_from_is_not_given_to_another() {
        let mut buffer = BytesMut::with_capacity(KEEP);
        buffer.extend_from_slice(b"variables");
        let variables = buffer.split().freeze();
        give_back(buffer);
        assert_eq!(take().capacity(), 0);
        assert_eq!(&variables[..], b"variables");
    }

    #[test]
    fn a_buffer_is_used_again_whole() {
        let mut buffer = BytesMut::with_capacity(KEEP);
        buffer.extend_from_slice(b"variables");
        drop(buffer.split().freeze());
        give_back(buffer);
        assert_eq!(take().capacity(), KEEP);
        assert_eq!(take().capacity(), 0, "there is one");
    }

    #[test]
    fn a_large_buffer_is_not_kept() {
        give_back(BytesMut::with_capacity(4 * KEEP));
        assert_eq!(take().capacity(), 0);
    }
}
