//! Finds what a path names below the root, without ever opening it: every name on the way is looked at before the next.
//!
//! A symbolic link is followed by the owner rule of Apache's `SymLinksIfOwnerMatch`, and only to what lies below the root and has a public path there. As with Apache, whoever may
//! rename folders below the root can win a race against the check; that is the owner of the site, who may read what lodger may.

use super::path::{self, Names};
use crate::config::model;
use std::{
    ffi::{OsStr, OsString},
    fs::{self, Metadata},
    io,
    os::unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

/// How many rows a listing has at most: a page of about half a megabyte. More are for a person of no use, and cost a look at the disk each.
pub(super) const LISTED: usize = 2000;

/// The end of the year 9999, behind which HTTP has no dates.
const LAST_DATE: Duration = Duration::from_secs(253_402_300_799);

/// What was found.
#[derive(Debug)]
pub(super) enum Found {
    /// A regular file.
    File(Entry),
    /// A folder that was asked for without the slash at its end.
    Redirect,
    /// A folder without an index that is to be listed.
    Listing(Listing),
}

/// Why nothing was found.
#[derive(Debug)]
pub(super) enum Miss {
    /// It is not there, or nobody is told that it is.
    Nothing,
    /// It is there and the system does not let it be read.
    Unreadable(PathBuf, io::Error),
}

impl Miss {
    pub(super) fn of(path: &Path, error: io::Error) -> Self {
        use io::ErrorKind as Kind;
        let loops = error.raw_os_error() == Some(libc::ELOOP);
        match error.kind() {
            Kind::NotFound | Kind::NotADirectory | Kind::InvalidFilename | Kind::InvalidInput => Self::Nothing,
            _ if loops => Self::Nothing,
            _ => Self::Unreadable(path.to_owned(), error),
        }
    }
}

/// Something below the root that may be shown.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// Where it lies; no part of it below the root is a link.
    pub(super) path: PathBuf,
    /// The same from the root on; empty for the root.
    pub(super) relative: PathBuf,
    pub(super) metadata: Metadata,
}

/// What a folder holds.
#[derive(Debug)]
pub(super) struct Listing {
    /// Folders first, then by name.
    pub(super) rows: Vec<Row>,
    /// Whether there is more than [`LISTED`].
    pub(super) more: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) folder: bool,
    pub(super) name: OsString,
    pub(super) size: u64,
    pub(super) modified: Option<SystemTime>,
}

/// Finds what the path names. `may_redirect` is false where the visitor asked with a slash at the end and a rewrite took it away: sending him there again would never end.
pub(super) fn find(files: &model::Files, names: &Names, may_redirect: bool) -> Result<Found, Miss> {
    let root = root(files)?;
    if root.metadata.is_file() {
        return if names.names.is_empty() { Ok(Found::File(root)) } else { Err(Miss::Nothing) };
    }
    let entry = names.names.iter().try_fold(root, |folder, name| look(files, folder.relative.join(name)))?;
    if entry.metadata.is_file() && !names.folder {
        return Ok(Found::File(entry));
    }
    if !entry.metadata.is_dir() {
        return Err(Miss::Nothing);
    }
    let index = index(files, &entry)?;
    // A folder that shows nothing does not say that it is there either.
    if index.is_none() && !files.listing {
        return Err(Miss::Nothing);
    }
    if !names.folder && may_redirect {
        return Ok(Found::Redirect);
    }
    match index {
        Some(file) => Ok(Found::File(file)),
        None => list(files, &entry).map(Found::Listing),
    }
}

/// The file that answers for what is not there.
pub(super) fn fallback(files: &model::Files) -> Result<Entry, Miss> {
    let name = files.fallback.as_deref().and_then(path::of_setting).ok_or(Miss::Nothing)?;
    look_all(files, PathBuf::new(), &name).and_then(regular)
}

/// The precompressed file beside a file, by its ending such as `.br`.
pub(super) fn variant(files: &model::Files, file: &Entry, ending: &str) -> Option<Entry> {
    let mut path = file.path.clone().into_os_string();
    path.push(ending);
    if file.relative.as_os_str().is_empty() {
        // Beside a root that is a file there is no root that a link could stay in.
        let metadata = fs::symlink_metadata(&path).ok()?;
        return metadata.is_file().then(|| Entry { path: path.into(), relative: PathBuf::new(), metadata });
    }
    let mut relative = file.relative.clone().into_os_string();
    relative.push(ending);
    look(files, relative.into()).and_then(regular).ok()
}

/// The time of the last change, where HTTP has a date for it. The crates that write dates panic on others.
pub(super) fn modified(metadata: &Metadata) -> Option<SystemTime> {
    metadata.modified().ok().filter(|time| time.duration_since(SystemTime::UNIX_EPOCH).is_ok_and(|since| since <= LAST_DATE))
}

/// Whoever wrote the settings chose the root, so that it may be a link itself.
fn root(files: &model::Files) -> Result<Entry, Miss> {
    let metadata = fs::metadata(&files.root).map_err(|error| Miss::of(&files.root, error))?;
    Ok(Entry { path: files.root.clone(), relative: PathBuf::new(), metadata })
}

fn regular(entry: Entry) -> Result<Entry, Miss> {
    if entry.metadata.is_file() { Ok(entry) } else { Err(Miss::Nothing) }
}

/// Looks at one entry of a folder that was looked at before.
fn look(files: &model::Files, relative: PathBuf) -> Result<Entry, Miss> {
    let path = files.root.join(&relative);
    let metadata = fs::symlink_metadata(&path).map_err(|error| Miss::of(&path, error))?;
    if metadata.is_symlink() { follow(files, &path, &metadata).ok_or(Miss::Nothing) } else { Ok(Entry { path, relative, metadata }) }
}

fn look_all(files: &model::Files, folder: PathBuf, names: &Path) -> Result<Entry, Miss> {
    let mut found = Err(Miss::Nothing);
    let mut below = folder;
    for name in names {
        let entry = look(files, below.join(name))?;
        below.clone_from(&entry.relative);
        found = Ok(entry);
    }
    found
}

/// None for every link that is not to be followed, for whatever reason: what lies outside is nobody's business, whether it can be read or not.
fn follow(files: &model::Files, link: &Path, metadata: &Metadata) -> Option<Entry> {
    if !files.symlinks {
        return None;
    }
    let owner = metadata.uid();
    let target = fs::canonicalize(link).ok()?;
    let relative = target.strip_prefix(fs::canonicalize(&files.root).ok()?).ok()?.to_owned();
    let metadata = fs::symlink_metadata(&target).ok()?;
    // The path is said from the root as it was configured, because that is what a web server compares with its own folders.
    let path = if relative.as_os_str().is_empty() { files.root.clone() } else { files.root.join(&relative) };
    (path::is_public_path(&relative) && metadata.uid() == owner).then_some(Entry { path, relative, metadata })
}

fn index(files: &model::Files, folder: &Entry) -> Result<Option<Entry>, Miss> {
    for name in files.index.iter().filter_map(|name| path::of_setting(name)) {
        match look_all(files, folder.relative.clone(), &name).and_then(regular) {
            Err(Miss::Nothing) => {}
            found => return found.map(Some),
        }
    }
    Ok(None)
}

fn list(files: &model::Files, folder: &Entry) -> Result<Listing, Miss> {
    let unreadable = |error| Miss::of(&folder.path, error);
    let mut listing = Listing { rows: Vec::new(), more: false };
    for name in fs::read_dir(&folder.path).map_err(unreadable)? {
        let Some(row) = row(files, folder, &name.map_err(unreadable)?.file_name()) else { continue };
        if listing.rows.len() == LISTED {
            listing.more = true;
            break;
        }
        listing.rows.push(row);
    }
    listing.rows.sort_by(|one, other| other.folder.cmp(&one.folder).then_with(|| one.name.cmp(&other.name)));
    Ok(listing)
}

/// None for what a request for it would not find.
fn row(files: &model::Files, folder: &Entry, name: &OsStr) -> Option<Row> {
    if !path::is_public(name.as_bytes(), false) {
        return None;
    }
    let entry = look(files, folder.relative.join(name)).ok()?;
    let (is_folder, is_file) = (entry.metadata.is_dir(), entry.metadata.is_file());
    (is_folder || is_file).then(|| Row { folder: is_folder, name: name.to_owned(), size: entry.metadata.len(), modified: modified(&entry.metadata) })
}
