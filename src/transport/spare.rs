//! Buffers between two requests: an idle connection waits without, and the next request on this thread need not have them made.

use crate::proto::Outbox;
use bytes::BytesMut;
use std::cell::Cell;

/// The read buffer that is kept on each thread, in bytes. One that a large body has made larger is let go.
const READ: usize = 16 * 1024;

/// The most that is kept of each of the others, in bytes.
const WRITE: usize = 4 * 1024;

thread_local! {
    static INPUT: Cell<Option<BytesMut>> = const { Cell::new(None) };
    static OUTPUT: Cell<Option<Vec<u8>>> = const { Cell::new(None) };
    static BLOCK: Cell<Option<Vec<u8>>> = const { Cell::new(None) };
}

/// An empty buffer to read into, with room if one is spare.
pub(super) fn input() -> BytesMut {
    INPUT.take().unwrap_or_default()
}

/// Keeps an empty read buffer for the next that asks, unless so much of it is still in use that too little is left.
pub(super) fn keep_input(mut buffer: BytesMut) {
    if buffer.is_empty() && buffer.try_reclaim(READ) && buffer.capacity() == READ {
        INPUT.set(Some(buffer));
    }
}

/// An empty buffer for what is to be sent, with room for a small response. The [`Outbox`] could make that itself, but not beside the code that a CGI program runs.
pub(super) fn output() -> Vec<u8> {
    OUTPUT.take().unwrap_or_else(|| Vec::with_capacity(Outbox::FIRST))
}

/// Keeps an empty buffer for what the next has to send.
pub(super) fn keep_output(buffer: Vec<u8>) {
    if (1..=WRITE).contains(&buffer.capacity()) {
        OUTPUT.set(Some(buffer));
    }
}

/// Lends an empty buffer in which a header block is put together.
pub(super) fn with_block<R>(work: impl FnOnce(&mut Vec<u8>) -> R) -> R {
    let mut block = BLOCK.take().unwrap_or_default();
    let result = work(&mut block);
    if block.capacity() <= WRITE {
        block.clear();
        BLOCK.set(Some(block));
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_that_somebody_still_reads_from_is_not_given_to_another() {
        let mut buffer = BytesMut::with_capacity(READ);
        buffer.extend_from_slice(b"variables");
        let variables = buffer.split().freeze();
        keep_input(buffer);
        assert_eq!(input().capacity(), 0);
        assert_eq!(&variables[..], b"variables");
    }

    #[test]
    fn a_buffer_is_used_again_whole() {
        let mut buffer = BytesMut::with_capacity(READ);
        buffer.extend_from_slice(b"variables");
        drop(buffer.split().freeze());
        keep_input(buffer);
        assert_eq!(input().capacity(), READ);
        assert_eq!(input().capacity(), 0, "there is one");
    }

    #[test]
    fn a_large_buffer_is_not_kept() {
        keep_input(BytesMut::with_capacity(4 * READ));
        assert_eq!(input().capacity(), 0);
        keep_output(Vec::with_capacity(2 * WRITE));
        assert_eq!(output().capacity(), Outbox::FIRST);
        with_block(|block| block.reserve(2 * WRITE));
        assert_eq!(with_block(|block| block.capacity()), 0);
    }

    #[test]
    fn a_block_is_lent_empty() {
        with_block(|block| block.extend_from_slice(b"Status: 200 OK"));
        assert!(with_block(|block| block.is_empty() && block.capacity() > 0));
    }
}
