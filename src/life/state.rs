//! The state directory: where a program keeps what must outlive a process and be shared by all of them.

use crate::{diagnostic::codes as code, sys};
use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::{Mutex, OnceLock, PoisonError},
};

/// The answer, which is found once and kept.
static FOUND: OnceLock<Result<PathBuf, String>> = OnceLock::new();

/// The file of this program, which the kernel is asked for once. It would call one that was replaced meanwhile by another name.
///
/// # Errors
///
/// When the kernel does not tell.
#[inline]
pub(crate) fn program() -> io::Result<&'static Path> {
    // A lock and no `OnceLock`, whose first use touches a page more of the program and of its memory.
    static PROGRAM: Mutex<Option<&'static Path>> = Mutex::new(None);
    let mut known = PROGRAM.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(program) = *known {
        return Ok(program);
    }
    let program = Box::leak(std::env::current_exe()?.into_boxed_path());
    Ok(known.insert(program))
}

/// Says where it is, as the operator wants it. It is made when it is not there.
#[cfg(feature = "site")]
pub(crate) fn use_state_dir(folder: &Path) {
    let found = make(folder).map(|()| folder.to_owned());
    let _ = FOUND.set(found.map_err(|error| format!("{}: the state directory {} cannot be used ({error})", code::NO_STATE, folder.display())));
}

/// The folder for what must outlive the process: caches, logs, locks. It exists, belongs to the user that the program runs as, and nobody else may
/// look into it.
///
/// It is found from the folder of the program alone, so that `app.fcgi` and `app.cgi` beside each other agree. In this order:
///
/// 0. `state-dir` of `lodger.toml`, where it is set;
/// 1. `../private/lodger-NAME` or `../lodger-NAME`, where `../private` or `../lodger-NAME` exists, is ours and can be written to (`NAME` is the name of the
///    program's folder);
/// 2. `~/.lodger/NAME-HASH`, in the home directory of the password file, since web servers set no `HOME`;
/// 3. `.ht-lodger` beside the program, with a warning: Apache does not deliver such a name, other web servers might.
///
/// # Errors
///
/// When none of these can be created and written to (`LG0603`); the text says what to create. The answer is found once and kept.
pub fn state_dir() -> io::Result<&'static Path> {
    let found = FOUND.get_or_init(|| find().map_err(|error| error.to_string()));
    found.as_deref().map_err(|error| io::Error::other(error.clone()))
}

fn find() -> io::Result<PathBuf> {
    let program = program()?;
    let folder = program.parent().ok_or(io::ErrorKind::NotFound)?;
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    find_beside(folder, home(&passwd, sys::effective_uid()).as_deref())
}

fn find_beside(folder: &Path, home: Option<&Path>) -> io::Result<PathBuf> {
    let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_else(|| "root".to_owned());
    let ours = format!("lodger-{name}");
    let sibling = folder.parent().and_then(|parent| {
        let private = parent.join("private");
        [(private.clone(), private.join(&ours)), (parent.join(&ours), parent.join(&ours))]
            .into_iter()
            .find(|(given, _)| is_ours(given))
            .map(|(_, state)| state)
    });
    let in_home = home.map(|home| home.join(".lodger").join(format!("{name}-{:08x}", hash(folder))));
    if let Some(state) = sibling.into_iter().chain(in_home).find(|state| make(state).is_ok()) {
        return Ok(state);
    }
    let last = folder.join(".ht-lodger");
    if let Err(error) = make(&last) {
        let place = folder.parent().unwrap_or(folder).display();
        let sentence = format!(
            "{}: there is no folder to keep state in: {place}, the home directory and {} cannot be written to ({error})",
            code::NO_STATE,
            folder.display()
        );
        return Err(io::Error::new(error.kind(), format!("{sentence}; create {place}/{ours} and give it to the user that the program runs as")));
    }
    tracing::warn!(target: "lodger", "{}: the state directory lies beside the program, in {}; create ../lodger-{name} to keep it out of the web space", code::STATE_IN_THE_OPEN, last.display());
    Ok(last)
}

fn is_ours(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.is_dir() && metadata.uid() == sys::effective_uid())
}

/// Creates the folder for us alone and tries it out: a mode does not tell about quotas and read-only mounts.
fn make(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    if !is_ours(path) {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    // A folder that somebody made by FTP may be open to all.
    if fs::metadata(path)?.mode() & 0o077 != 0 {
        fs::set_permissions(path, fs::Permissions::from_mode(0o700))?;
    }
    tempfile::tempfile_in(path).map(drop)
}

/// The home directory in the password file. The file is read as it is: a lookup by libc does not work in static binaries.
fn home(passwd: &str, uid: u32) -> Option<PathBuf> {
    let uid = uid.to_string();
    let line = passwd.lines().find(|line| line.split(':').nth(2) == Some(uid.as_str()))?;
    line.split(':').nth(5).filter(|home| home.starts_with('/') && *home != "/").map(PathBuf::from)
}

/// FNV-1a: tells two folders of one name apart, the same in every build.
fn hash(path: &Path) -> u32 {
    use std::os::unix::ffi::OsStrExt as _;
    path.as_os_str().as_bytes().iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_any_folder_the_error_says_what_to_create() {
        let root = tempfile::tempdir().unwrap();
        // A file where the folder should be: nothing can be created below it, not even by root.
        let folder = root.path().join("file");
        fs::write(&folder, "").unwrap();
        let error = find_beside(&folder, None).unwrap_err().to_string();
        assert!(error.starts_with("LG0603: ") && error.contains("lodger-file"), "{error}");
    }

    #[test]
    fn a_private_sibling_comes_first_then_the_home_then_the_folder_itself() {
        let root = tempfile::tempdir().unwrap();
        let (folder, home) = (root.path().join("www"), root.path().join("home"));
        fs::create_dir(&folder).unwrap();
        assert_eq!(find_beside(&folder, None).unwrap(), folder.join(".ht-lodger"));
        fs::create_dir(&home).unwrap();
        let in_home = find_beside(&folder, Some(&home)).unwrap();
        assert!(in_home.starts_with(home.join(".lodger")) && in_home.file_name().unwrap().to_str().unwrap().starts_with("www-"));
        fs::create_dir(root.path().join("lodger-www")).unwrap();
        assert_eq!(find_beside(&folder, Some(&home)).unwrap(), root.path().join("lodger-www"));
        assert_eq!(fs::metadata(root.path().join("lodger-www")).unwrap().mode() & 0o777, 0o700, "nobody else may look into it");
        fs::create_dir(root.path().join("private")).unwrap();
        let state = find_beside(&folder, Some(&home)).unwrap();
        assert_eq!(state, root.path().join("private/lodger-www"));
        assert_eq!(fs::metadata(state).unwrap().mode() & 0o777, 0o700);
    }

    #[test]
    fn the_home_is_read_from_the_password_file() {
        let passwd = "root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534::/:/none\nuser:x:1000:1000:,,,:/home/user:/bin/sh\n";
        assert_eq!(home(passwd, 1000), Some("/home/user".into()));
        assert_eq!(home(passwd, 65534), None);
        assert_eq!(home(passwd, 7), None);
    }
}
