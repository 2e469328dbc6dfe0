//! Small files that are read whole: pages, templates, secrets.

use std::{fs, io, path::Path};

/// The largest page or template, in bytes. 1 MiB: it is read whole each time that it is sent; `files` is for larger ones.
pub(crate) const LARGEST_PAGE: u64 = 1024 * 1024;

/// The text of a file of at most `largest` bytes.
///
/// # Errors
///
/// When it cannot be read, is no UTF-8, is larger, or is no file: opening a pipe would wait.
pub(crate) fn read_small(path: &Path, largest: u64) -> io::Result<String> {
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() || metadata.len() > largest {
        return Err(io::Error::other(format!("it is no file of at most {} KiB", largest / 1024)));
    }
    fs::read_to_string(path)
}
