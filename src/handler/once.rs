//! A file of the state directory that is made once, by whichever process is first.

use std::{io, io::Write as _, path::Path};

/// Makes the file `name` in `folder`, for us alone, unless it is there. Nobody ever sees half of it: it is written under another name, and gets its own unless somebody was faster.
///
/// # Errors
///
/// When it cannot be written.
pub(super) fn write_once(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let mut file = tempfile::Builder::new().prefix(name).tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    match file.persist_noclobber(folder.join(name)) {
        Err(error) if error.error.kind() != io::ErrorKind::AlreadyExists => Err(error.error),
        _ => Ok(()),
    }
}
