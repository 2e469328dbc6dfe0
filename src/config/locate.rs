//! Where the file lies.

use std::{
    env, io,
    path::{Path, PathBuf},
};

/// The name of the file, beside the program.
pub(crate) const NAME: &str = "lodger.toml";

/// The variable that names the file, for a web server that can set variables and no arguments.
const VARIABLE: &str = "LODGER_CONFIG";

/// The file that is meant: the one that was told, else that of `LODGER_CONFIG`, else the one beside the program if there is one.
pub(crate) fn locate(told: Option<&Path>) -> Option<PathBuf> {
    if let Some(told) = told {
        return Some(told.to_owned());
    }
    if let Some(named) = env::var_os(VARIABLE).filter(|named| !named.is_empty()) {
        return Some(named.into());
    }
    beside_program().ok().filter(|path| path.exists())
}

/// Where the file lies when nobody names another.
pub(crate) fn beside_program() -> io::Result<PathBuf> {
    env::current_exe().map(|program| program.with_file_name(NAME))
}
