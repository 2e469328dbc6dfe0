//! The one socket that lodger may create: a Unix socket, when asked by `--socket PATH`.

use crate::sys;
use std::{
    fs, io,
    os::unix::{
        fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _},
        net::UnixListener,
    },
    path::{Path, PathBuf},
};

/// A Unix socket that we made, taken away again when we leave.
#[derive(Debug)]
pub(crate) struct Door {
    path: PathBuf,
    inode: (u64, u64),
}

impl Door {
    /// Makes a listening Unix socket at `path` with the permissions `mode`.
    ///
    /// It is bound under a temporary name and renamed, so that nobody ever sees it half made, and a socket that a process left behind is
    /// replaced in one step.
    ///
    /// # Errors
    ///
    /// When something that is no socket lies there, when somebody answers on it, and when the folder cannot be written to.
    pub(crate) fn open(path: &Path, mode: u32) -> io::Result<(Self, UnixListener)> {
        refuse_taken(path)?;
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(format!(".{}", std::process::id()));
        let temporary = PathBuf::from(temporary);
        // A process of the same number may have left one behind when it crashed.
        let _ = fs::remove_file(&temporary);
        let listener = UnixListener::bind(&temporary)?;
        let made = fs::set_permissions(&temporary, fs::Permissions::from_mode(mode)).and_then(|()| {
            let metadata = fs::symlink_metadata(&temporary)?;
            fs::rename(&temporary, path)?;
            Ok((metadata.dev(), metadata.ino()))
        });
        match made {
            Ok(inode) => Ok((Self { path: path.to_owned(), inode }, listener)),
            Err(error) => {
                let _ = fs::remove_file(&temporary);
                Err(error)
            }
        }
    }
}

fn refuse_taken(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(metadata) if !metadata.file_type().is_socket() => {
            Err(io::Error::new(io::ErrorKind::AlreadyExists, "something that is no socket lies there"))
        }
        // A socket that refuses connects is stale. One that cannot be asked may belong to somebody who is alive.
        Ok(_) => match sys::try_connect(path) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            _ => Err(io::Error::new(io::ErrorKind::AddrInUse, "another process answers on this socket")),
        },
    }
}

/// Only our own socket is taken away: a process that was started meanwhile may have put its own in this place.
impl Drop for Door {
    fn drop(&mut self) {
        let ours = fs::symlink_metadata(&self.path).is_ok_and(|metadata| (metadata.dev(), metadata.ino()) == self.inode);
        if ours {
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_socket_has_its_mode_and_is_gone_afterwards() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.sock");
        let (door, _listener) = Door::open(&path, 0o600).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left of the temporary name");
        drop(door);
        assert!(!path.exists());
    }

    #[test]
    fn a_socket_left_behind_is_replaced_and_one_in_use_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.sock");
        drop(UnixListener::bind(&path).unwrap());
        let (_door, _listener) = Door::open(&path, 0o660).unwrap();
        assert_eq!(Door::open(&path, 0o660).unwrap_err().kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn a_socket_of_another_kind_is_not_taken_for_a_stale_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.sock");
        let _datagrams = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
        assert!(Door::open(&path, 0o660).is_err());
        assert!(path.exists());
    }

    #[test]
    fn a_file_is_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.sock");
        fs::write(&path, "precious").unwrap();
        assert_eq!(Door::open(&path, 0o660).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"precious");
    }

    #[test]
    fn a_socket_that_took_our_place_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.sock");
        let (first, listener) = Door::open(&path, 0o660).unwrap();
        drop(listener);
        let (_second, _listener) = Door::open(&path, 0o660).unwrap();
        drop(first);
        assert!(path.exists());
    }
}
