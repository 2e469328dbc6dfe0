//! Body bytes that may not wait in memory wait in an unlinked file.

use bytes::{Bytes, BytesMut};
use std::{
    fs::File,
    io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

/// How much is read back at one time.
const PIECE: usize = 64 * 1024;

/// A queue of bytes in a file that has no name any more, so that it is gone with the process whatever happens.
///
/// Writing goes to the page cache, as it does in the web servers that buffer bodies in files; it is done in place and not by a thread of
/// its own, because hosts limit threads.
#[derive(Debug)]
pub(super) struct Spool {
    file: File,
    read: u64,
    written: u64,
}

impl Spool {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { file: tempfile::tempfile_in(folder())?, read: 0, written: 0 })
    }

    /// Bytes that wait.
    pub(super) fn len(&self) -> u64 {
        self.written - self.read
    }

    pub(super) fn push(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, self.written)?;
        self.written += bytes.len() as u64;
        Ok(())
    }

    /// The next bytes, or an empty piece when none wait. The file gives its room back whenever it has been read to its end.
    pub(super) fn pop(&mut self) -> io::Result<Bytes> {
        let len = usize::try_from(self.len()).unwrap_or(PIECE).min(PIECE);
        let mut piece = BytesMut::zeroed(len);
        self.file.read_exact_at(&mut piece, self.read)?;
        self.read += len as u64;
        if self.len() == 0 && self.written > 0 {
            self.file.set_len(0)?;
            (self.read, self.written) = (0, 0);
        }
        Ok(piece.freeze())
    }
}

/// The state directory, else /var/tmp. /tmp often lives in memory, where a spool would be no relief but a burden.
fn folder() -> PathBuf {
    match crate::life::state_dir() {
        Ok(folder) if !crate::sys::is_memory_backed(folder) => folder.to_owned(),
        _ => Path::new("/var/tmp").to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_in_order_and_the_room_is_given_back() {
        let mut spool = Spool { file: tempfile::tempfile().unwrap(), read: 0, written: 0 };
        let pieces: Vec<Vec<u8>> = (0_u8..4).map(|index| vec![index; 50_000]).collect();
        for _ in 0..2 {
            for piece in &pieces {
                spool.push(piece).unwrap();
            }
            let mut back = Vec::new();
            while spool.len() > 0 {
                back.extend_from_slice(&spool.pop().unwrap());
            }
            assert_eq!(back, pieces.concat());
            assert_eq!(spool.file.metadata().unwrap().len(), 0);
        }
        assert!(spool.pop().unwrap().is_empty());
    }
}
