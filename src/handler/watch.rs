//! A file that may change while it is in use: looked at with requests, at most once a second, without a thread and without a timer.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How long after one look at the file the next is taken at the earliest.
const EVERY: Duration = Duration::from_secs(1);

/// What tells one state of a file from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    modified: (i64, i64),
    size: u64,
    inode: u64,
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let metadata = fs::metadata(path).ok()?;
        Some(Self { modified: (metadata.mtime(), metadata.mtime_nsec()), size: metadata.len(), inode: metadata.ino() })
    }
}

/// A file under watch.
#[derive(Debug)]
pub(super) struct Watch {
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
    /// Watches a file that is being read just now.
    pub(super) fn new(path: &Path) -> Self {
        let stamp = Stamp::of(path);
        Self { path: path.to_owned(), state: Mutex::new(State { looked: Instant::now(), taken: stamp, seen: stamp }) }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the file has to be read again: it changed, and stayed as it is since the look before. An upload may still be under way while a file changes.
    pub(super) fn has_changed(&self) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.looked.elapsed() < EVERY {
            return false;
        }
        state.looked = Instant::now();
        let now = Stamp::of(&self.path);
        let rests = now.is_some() && now == state.seen;
        state.seen = now;
        let changed = rests && now != state.taken;
        if changed {
            state.taken = now;
        }
        changed
    }
}
