//! A file that may change while it is in use: looked at with requests, at most once a second, without a thread and without a timer.

use std::{
    fs::{self, Metadata},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
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
    fn of(metadata: &Metadata) -> Self {
        Self { modified: (metadata.mtime(), metadata.mtime_nsec()), size: metadata.len(), inode: metadata.ino() }
    }
}

/// Whether nobody has touched the file for as long as it takes from one look to the next. Programs that upload may set the time of the change back, which is why the time counts that
/// nobody can set; a clock that was set back tells nothing.
fn has_rested(metadata: &Metadata) -> bool {
    let since = u64::try_from(metadata.ctime()).ok().zip(u32::try_from(metadata.ctime_nsec()).ok()).map(|(secs, nanos)| Duration::new(secs, nanos));
    let touched = since.and_then(|since| SystemTime::UNIX_EPOCH.checked_add(since));
    touched.and_then(|touched| touched.elapsed().ok()).is_some_and(|rested| rested >= EVERY)
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
        let stamp = fs::metadata(path).ok().as_ref().map(Stamp::of);
        Self { path: path.to_owned(), state: Mutex::new(State { looked: Instant::now(), taken: stamp, seen: stamp }) }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the file has to be read again: it changed, and stayed as it is since the look before or for as long. An upload may still be under way while a file changes, and a
    /// process that nobody asked for hours is not to serve its next visitor what was replaced in the meantime.
    pub(super) fn has_changed(&self) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.looked.elapsed() < EVERY {
            return false;
        }
        state.looked = Instant::now();
        let metadata = fs::metadata(&self.path).ok();
        let now = metadata.as_ref().map(Stamp::of);
        let rests = now.is_some() && now == state.seen || metadata.as_ref().is_some_and(has_rested);
        state.seen = now;
        let changed = rests && now != state.taken;
        if changed {
            state.taken = now;
        }
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file that was changed and then lay there for longer than a look takes to come round, without anybody looking.
    fn changed_long_ago() -> (tempfile::TempDir, Watch) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lodger.toml");
        fs::write(&path, "one").unwrap();
        let watch = Watch::new(&path);
        fs::write(&path, "another").unwrap();
        let changed = Instant::now();
        while changed.elapsed() < EVERY + Duration::from_millis(50) {
            std::thread::sleep(Duration::from_millis(10));
        }
        (folder, watch)
    }

    #[test]
    fn the_first_visitor_long_after_an_upload_sees_what_was_uploaded() {
        let (_folder, watch) = changed_long_ago();
        assert!(watch.has_changed());
        assert!(!watch.has_changed(), "it is taken over once");
    }

    #[test]
    fn a_file_that_is_being_written_is_left_alone() {
        let (_folder, watch) = changed_long_ago();
        fs::write(watch.path(), "an upload that goes on").unwrap();
        assert!(!watch.has_changed());
    }
}
