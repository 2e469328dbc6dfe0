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
    /// It is bound in a folder that nobody else can enter and renamed, so that nobody ever sees it half made or can connect before it has its mode, and a socket that a
    /// process left behind is replaced in one step.
    ///
    /// # Errors
    ///
    /// When something that is no socket lies there, when somebody answers on it, and when the folder cannot be written to.
    pub(crate) fn open(path: &Path, mode: u32) -> io::Result<(Self, UnixListener)> {
        refuse_taken(path)?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mine = tempfile::Builder::new().prefix(".").rand_bytes(8).permissions(fs::Permissions::from_mode(0o700)).tempdir_in(folder)?;
        let made = mine.path().join("s");
        let listener = UnixListener::bind(&made)?;
        fs::set_permissions(&made, fs::Permissions::from_mode(mode))?;
        let metadata = fs::symlink_metadata(&made)?;
        fs::rename(&made, path)?;
        Ok((Self { path: path.to_owned(), inode: (metadata.dev(), metadata.ino()) }, listener))
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
    use std::sync::atomic::{AtomicBool, Ordering};

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
    fn a_socket_is_not_seen_before_it_has_its_mode() {
        let folder = tempfile::tempdir().unwrap();
        let (over, path) = (AtomicBool::new(false), folder.path().join("app.sock"));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    for entry in fs::read_dir(folder.path()).unwrap().flatten() {
                        let Ok(metadata) = entry.metadata() else { continue };
                        let expect = if metadata.is_dir() { 0o700 } else { 0o600 };
                        assert_eq!(metadata.mode() & 0o777, expect, "{:?}", entry.path());
                    }
                }
            });
            for _ in 0..500 {
                drop(Door::open(&path, 0o600).unwrap());
            }
            over.store(true, Ordering::Relaxed);
        });
    }

    #[test]
    fn nothing_beside_the_socket_is_touched() {
        let folder = tempfile::tempdir().unwrap();
        let beside = folder.path().join(format!("app.sock.{}", std::process::id()));
        fs::write(&beside, "precious").unwrap();
        drop(Door::open(&folder.path().join("app.sock"), 0o600).unwrap());
        assert_eq!(fs::read(&beside).unwrap(), b"precious");
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
