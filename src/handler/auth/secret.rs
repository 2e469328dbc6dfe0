//! The secret that signs sessions, where the operator gave none: made once, kept in a file, shared by all processes.

use crate::{handler::once::write_once, sys};
use std::{
    fs::File,
    io::{self, Read as _},
    os::unix::fs::MetadataExt as _,
    path::Path,
};

/// The name of the file in the state directory.
const NAME: &str = "session-secret";

/// How many bytes it has: as many as the hash that it is used with.
const LEN: usize = 32;

/// Reads the secret, and makes it where there is none. Of several processes that do so at the same time, all get the secret of the first.
///
/// # Errors
///
/// When the file can be neither read nor made, has another length, or may be read by other users.
pub(super) fn load_or_make(folder: &Path) -> io::Result<[u8; LEN]> {
    let path = folder.join(NAME);
    match read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            write_once(folder, NAME, &sys::random_bytes::<LEN>()?)?;
            read(&path)
        }
        result => result,
    }
}

fn read(path: &Path) -> io::Result<[u8; LEN]> {
    let wrong = |what: &str| Err(io::Error::other(format!("{}: {what}; remove the file, and another is made", path.display())));
    // Asked before it is opened: opening a pipe would wait.
    let metadata = std::fs::metadata(path)?;
    if !metadata.is_file() || metadata.size() != LEN as u64 {
        return wrong("it is no secret");
    }
    // Who has read it can make sessions of any user.
    if metadata.mode() & 0o077 != 0 {
        return wrong("other users may read it");
    }
    let mut secret = [0; LEN];
    File::open(path)?.read_exact(&mut secret)?;
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{collections::HashSet, fs, os::unix::fs::PermissionsExt as _, sync::Barrier};

    #[test]
    fn all_who_start_at_the_same_time_get_one_secret() {
        let folder = tempfile::tempdir().unwrap();
        let start = Barrier::new(8);
        let secrets: HashSet<[u8; LEN]> = std::thread::scope(|scope| {
            let make = || {
                start.wait();
                load_or_make(folder.path()).unwrap()
            };
            let all: Vec<_> = (0..8).map(|_| scope.spawn(make)).collect();
            all.into_iter().map(|one| one.join().unwrap()).collect()
        });
        assert_eq!(secrets.len(), 1);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left behind");
        assert_eq!(fs::metadata(folder.path().join(NAME)).unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn two_folders_have_two_secrets() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        assert_ne!(load_or_make(one.path()).unwrap(), load_or_make(other.path()).unwrap());
    }

    #[test]
    fn a_secret_that_others_may_read_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        load_or_make(folder.path()).unwrap();
        fs::set_permissions(folder.path().join(NAME), fs::Permissions::from_mode(0o640)).unwrap();
        assert!(load_or_make(folder.path()).unwrap_err().to_string().contains("other users may read it"));
    }

    #[test]
    fn a_file_of_another_length_is_no_secret() {
        for wrong in [&b""[..], &[7; 31], &[7; 33]] {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join(NAME), wrong).unwrap();
            assert!(load_or_make(folder.path()).is_err(), "{}", wrong.len());
        }
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        assert!(load_or_make(&folder.path().join("missing")).is_err());
    }
}
