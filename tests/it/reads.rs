//! Reads with a time-out.

use std::io::{self, ErrorKind, Read};

/// Reads what is there, or waits for it as long as the stream says. Such a read is interrupted when the process was stopped for a moment, whatever is done with signals, and is made again.
pub(crate) fn read_on(stream: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match stream.read(buffer) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}

/// Tells what it was given, from the last on.
struct Stream(Vec<ErrorKind>);

impl Read for Stream {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        self.0.pop().map_or(Ok(0), |kind| Err(kind.into()))
    }
}

#[test]
fn a_read_that_was_interrupted_is_made_again_and_one_that_found_nothing_is_not() {
    assert_eq!(read_on(&mut Stream(vec![ErrorKind::Interrupted; 3]), &mut [0]).unwrap(), 0);
    let mut stream = Stream(vec![ErrorKind::Interrupted, ErrorKind::WouldBlock, ErrorKind::Interrupted]);
    assert_eq!(read_on(&mut stream, &mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    assert_eq!(stream.0.len(), 1);
}
