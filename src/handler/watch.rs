//! A file that may change while it is in use: looked at with requests, at most once a second, without a thread and without a timer.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime},
};
use tokio::time::Instant;

/// How long after one look at the file the next is taken at the earliest.
const EVERY: Duration = Duration::from_secs(1);

/// What tells one state of a file from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    modified: SystemTime,
    size: u64,
    inode: u64,
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let metadata = fs::metadata(path).ok()?;
        Some(Self { modified: metadata.modified().ok()?, size: metadata.len(), inode: metadata.ino() })
    }

    /// Whether nobody wrote to the file for a while. A clock that is wrong says nothing.
    fn is_old(&self) -> bool {
        self.modified.elapsed().is_ok_and(|age| age >= EVERY)
    }
}

/// A file under watch.
#[derive(Debug)]
pub(crate) struct Watch {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    looked: Instant,
    /// What was taken over.
    taken: Option<Stamp>,
    /// What was seen last.
    seen: Option<Stamp>,
}

impl Watch {
    /// Watches a file that is read next: what changes while it is being read, or later, is a change.
    pub(crate) fn new(path: &Path) -> Self {
        let stamp = Stamp::of(path);
        Self { path: path.to_owned(), state: Mutex::new(State { looked: Instant::now(), taken: stamp, seen: stamp }) }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the file has to be read again: it changed, and nobody has written to it for as long as lies between two looks. An upload may still be under way while a file changes.
    pub(super) fn has_changed(&self) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.looked.elapsed() < EVERY {
            return false;
        }
        state.looked = Instant::now();
        let now = Stamp::of(&self.path);
        let rests = now.is_some_and(|now| now.is_old()) || now.is_some() && now == state.seen;
        state.seen = now;
        let changed = rests && now != state.taken;
        if changed {
            state.taken = now;
        }
        changed
    }
}
