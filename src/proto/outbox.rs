//! Bytes on their way out: small pieces gathered in one buffer, large ones kept as they are, all sent with one vectored write.

use bytes::{Buf as _, Bytes};
use std::{collections::VecDeque, io::IoSlice};

/// Pieces up to this size are copied behind each other; larger ones are passed on untouched. Copying 4 KiB costs less than one more
/// element of a vectored write with its reference count.
const COPY_BELOW: usize = 4096;

/// How much of a write a Unix socket keeps in one piece, in bytes, on Linux with pages of 4 KiB (`unix_stream_sendmsg`): 32 KiB in pages of their own, and what is left of a page
/// beside the kernel's notes on the piece, 3,776 bytes or 3,712 as it is usually built. A write that is cut into such pieces costs a tenth less than one that leaves the last piece
/// half empty; elsewhere it costs what any other does.
const SOCKET_PIECE: usize = 36_480;

/// The queue of bytes that one connection has still to send.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    whole: VecDeque<Bytes>,
    whole_len: usize,
    tail: Vec<u8>,
    /// How much of the tail has gone out.
    gone: usize,
}

impl Outbox {
    /// Room for a small response from the start, in bytes, which else would be made anew for each of its pieces.
    pub(crate) const FIRST: usize = 1024;

    /// No more is taken from responses while so many bytes wait: three pieces of a Unix socket, which by default is full with six.
    pub(crate) const HIGH: usize = 3 * SOCKET_PIECE;

    /// Bytes that wait.
    pub(crate) fn len(&self) -> usize {
        self.whole_len + self.tail.len() - self.gone
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends a copy of `bytes`.
    #[inline]
    pub(crate) fn put_slice(&mut self, bytes: &[u8]) {
        if self.tail.capacity() - self.tail.len() < bytes.len() {
            self.make_room(bytes.len());
        }
        self.tail.extend_from_slice(bytes);
    }

    #[cold]
    fn make_room(&mut self, len: usize) {
        // A peer that never takes all must not make it grow by all that it has taken.
        if self.gone > COPY_BELOW && self.gone > self.tail.len() / 2 {
            self.tail.drain(..std::mem::take(&mut self.gone));
        }
        self.tail.reserve(if self.tail.capacity() == 0 { Self::FIRST.max(len) } else { len });
    }

    /// Appends `bytes`, without copying them when they are large.
    pub(crate) fn put(&mut self, bytes: Bytes) {
        if bytes.len() <= COPY_BELOW {
            self.put_slice(&bytes);
            return;
        }
        if self.tail.len() > self.gone {
            let small = Bytes::from(std::mem::take(&mut self.tail)).split_off(std::mem::take(&mut self.gone));
            self.whole_len += small.len();
            self.whole.push_back(small);
        }
        self.whole_len += bytes.len();
        self.whole.push_back(bytes);
    }

    /// How many bytes stay for the next write: what fills no piece of a socket, when so much waits that a response was held up which goes on as soon as there is room.
    pub(crate) fn kept_back(&self) -> usize {
        if self.len() >= Self::HIGH { self.len() % SOCKET_PIECE } else { 0 }
    }

    /// Fills `slices` with what is to be sent next, no more than `most` bytes, and returns how many were filled.
    pub(crate) fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>], most: usize) -> usize {
        let tail = self.tail.get(self.gone..).filter(|tail| !tail.is_empty());
        let pieces = self.whole.iter().map(|piece| &piece[..]).chain(tail);
        let pieces = pieces.scan(most, |left, piece| {
            let piece = &piece[..piece.len().min(*left)];
            *left -= piece.len();
            Some(piece).filter(|piece| !piece.is_empty())
        });
        slices.iter_mut().zip(pieces).map(|(slice, piece)| *slice = IoSlice::new(piece)).count()
    }

    /// Takes note that `sent` bytes have gone out.
    pub(crate) fn advance(&mut self, mut sent: usize) {
        while let Some(first) = self.whole.front_mut() {
            let step = sent.min(first.len());
            first.advance(step);
            self.whole_len -= step;
            sent -= step;
            if !first.is_empty() {
                return;
            }
            self.whole.pop_front();
        }
        self.gone += sent.min(self.tail.len() - self.gone);
        if self.gone == self.tail.len() {
            self.tail.clear();
            self.gone = 0;
        }
    }

    /// Gives it a buffer that is empty, if it has none.
    pub(crate) fn lend(&mut self, buffer: impl FnOnce() -> Vec<u8>) {
        if self.tail.capacity() == 0 {
            self.tail = buffer();
        }
    }

    /// Lets the memory go that an idle connection does not need: what is returned is empty, and may be lent to another.
    pub(crate) fn release(&mut self) -> Vec<u8> {
        if !self.is_empty() {
            return Vec::new();
        }
        if self.whole.capacity() > 0 {
            self.whole = VecDeque::new();
        }
        std::mem::take(&mut self.tail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(outbox: &mut Outbox, step: usize) -> Vec<u8> {
        let mut all = Vec::new();
        while !outbox.is_empty() {
            let mut slices = [IoSlice::new(&[]); 4];
            let filled = outbox.slices(&mut slices, usize::MAX);
            let next: Vec<u8> = slices[..filled].iter().flat_map(|slice| slice.to_vec()).take(step).collect();
            all.extend_from_slice(&next);
            outbox.advance(next.len());
        }
        all
    }

    #[test]
    fn bytes_leave_in_the_order_they_came_however_little_is_taken() {
        for step in [1, 3, 4096, 1 << 20] {
            let mut outbox = Outbox::default();
            let mut expect = Vec::new();
            for (index, size) in [3, 5000, 1, 0, 9000, 4096].into_iter().enumerate() {
                let piece = vec![u8::try_from(index).unwrap(); size];
                expect.extend_from_slice(&piece);
                outbox.put(Bytes::from(piece));
            }
            assert_eq!(outbox.len(), expect.len());
            assert_eq!(sent(&mut outbox, step), expect, "{step} bytes at a time");
        }
    }

    #[test]
    fn what_fills_no_piece_of_a_socket_stays_for_the_next_write_when_much_waits() {
        for (len, expect) in
            [(0, 0), (1, 0), (SOCKET_PIECE + 1, 0), (3 * SOCKET_PIECE - 1, 0), (3 * SOCKET_PIECE, 0), (3 * SOCKET_PIECE + 1, 1), (131_104, 21_664)]
        {
            let mut outbox = Outbox::default();
            outbox.put(Bytes::from(vec![7; len]));
            assert_eq!(outbox.kept_back(), expect, "{len}");
        }
    }

    #[test]
    fn no_more_is_offered_than_was_asked_for() {
        let mut outbox = Outbox::default();
        for size in [3, 5000, 8, 5000, 2] {
            outbox.put(Bytes::from(vec![7; size]));
        }
        for (most, expect) in
            [(0, &[][..]), (3, &[3]), (5003, &[3, 5000]), (5010, &[3, 5000, 7]), (10_012, &[3, 5000, 8, 5000, 1]), (99_999, &[3, 5000, 8, 5000])]
        {
            // The last row has room for four slices only.
            let mut slices = [IoSlice::new(&[]); 5];
            let slices = if most > outbox.len() { &mut slices[..4] } else { &mut slices };
            let filled = outbox.slices(slices, most);
            assert_eq!(slices[..filled].iter().map(|slice| slice.len()).collect::<Vec<_>>(), expect, "{most}");
        }
    }

    #[test]
    fn a_peer_that_never_takes_all_costs_no_more_memory_than_what_waits() {
        let (mut outbox, piece) = (Outbox::default(), vec![7; COPY_BELOW]);
        for _ in 0..8 {
            outbox.put_slice(&piece);
        }
        for _ in 0..1000 {
            outbox.put_slice(&piece);
            outbox.advance(COPY_BELOW);
        }
        assert_eq!(outbox.len(), 8 * COPY_BELOW);
        assert!(outbox.tail.capacity() <= 64 * COPY_BELOW, "{} bytes", outbox.tail.capacity());
    }
}
