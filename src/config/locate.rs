//! Where the file lies.

use crate::sys;
use std::{
    env, io,
    path::{Path, PathBuf},
};

/// The name of the file, beside the program.
pub(crate) const NAME: &str = "lodger.toml";

/// The variable that names the file, for a web server that can set variables and no arguments.
const VARIABLE: &str = "LODGER_CONFIG";

/// The file that is meant: the one that was told, else that of `LODGER_CONFIG`, else the one beside `program` if there is one.
#[inline]
pub(crate) fn locate(told: Option<&Path>, program: impl FnOnce() -> io::Result<PathBuf>) -> Option<PathBuf> {
    if let Some(told) = told {
        return Some(told.to_owned());
    }
    if let Some(named) = env::var_os(VARIABLE).filter(|named| !named.is_empty()) {
        return Some(named.into());
    }
    Some(beside(program().ok()?)).filter(|path| exists(path))
}

/// Where the file of a program lies when nobody names another.
#[inline]
pub(crate) fn beside(program: PathBuf) -> PathBuf {
    let mut path = program;
    path.set_file_name(NAME);
    path
}

/// Where there is nothing, which is so at most starts, this asks the kernel once: `std` would ask for what it knows about the file, and then whether it has that call at all.
#[inline]
fn exists(path: &Path) -> bool {
    !sys::is_missing(path) && path.exists()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_file_beside_the_program_is_found_where_there_is_one() {
        let folder = tempfile::tempdir().unwrap();
        let found = || locate(None, || Ok(folder.path().join("app.cgi")));
        let path = folder.path().join(NAME);
        assert_eq!(found(), None);
        std::os::unix::fs::symlink("nowhere", &path).unwrap();
        assert_eq!(found(), None, "a link to nothing");
        fs::write(folder.path().join("nowhere"), "").unwrap();
        assert_eq!(found(), Some(path.clone()), "a link to a file");
        fs::remove_file(&path).unwrap();
        fs::write(&path, "").unwrap();
        assert_eq!(found(), Some(path), "a file");
    }
}
