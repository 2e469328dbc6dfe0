//! The users of a file: read again when it changes, and asked for passwords without letting anybody use up the processor.

use super::{htpasswd::Table, mac};
use crate::{
    diagnostic::codes as code,
    handler::{Answer, failure::Failure},
    sys,
};
use http::StatusCode;
use std::{
    collections::HashMap,
    fs::{File, Metadata},
    io::{self, Read as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Arc, LazyLock, Mutex as StdMutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};
use tokio::{
    sync::{Mutex, OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

/// How large the file may be: ten thousand users, read in a moment.
const MAX_FILE: u64 = 1024 * 1024;

/// How long it is believed that the file has not changed.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// How old a change has to be for its time to tell it from the next: file systems count in steps of up to two seconds.
const SETTLED: Duration = Duration::from_secs(2);

/// How long a password that was right is not computed again: a page and what it loads, and somebody who reads it. A change of the file ends it at once.
const REMEMBER: Duration = Duration::from_secs(5 * 60);

/// How many right passwords are remembered, in about 64 KiB.
const REMEMBERED: usize = 1024;

/// How many passwords are computed at one time, each with up to 64 MiB and a processor of its own.
const CHECKS: usize = 2;

/// How many more wait for that, of all visitors together.
const WAITING: usize = 32;

/// How long they wait.
const WAIT: Duration = Duration::from_secs(2);

/// Why nobody can say whether a password is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The log has the reason.
    Unreadable,
    /// Too many passwords are being checked.
    Busy,
}

impl Trouble {
    pub(super) fn answer(self) -> Answer {
        match self {
            Self::Unreadable => Failure::new(StatusCode::INTERNAL_SERVER_ERROR, code::USERS_UNREADABLE).answer(),
            Self::Busy => Failure::new(StatusCode::SERVICE_UNAVAILABLE, code::TOO_MANY_REQUESTS).answer_later(WAIT),
        }
    }
}

/// Lets few in at one time, some more wait, and sends the rest away.
pub(super) struct Gate {
    places: Arc<Semaphore>,
    checks: Arc<Semaphore>,
}

/// The one of the process.
static GATE: LazyLock<Arc<Gate>> = LazyLock::new(|| Arc::new(Gate::new(CHECKS, WAITING)));

impl Gate {
    fn new(checks: usize, waiting: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(checks + waiting)), checks: Arc::new(Semaphore::new(checks)) }
    }

    /// None: too many are here already, or it took too long.
    async fn enter(&self) -> Option<(OwnedSemaphorePermit, OwnedSemaphorePermit)> {
        let place = Arc::clone(&self.places).try_acquire_owned().ok()?;
        let check = tokio::time::timeout(WAIT, Arc::clone(&self.checks).acquire_owned()).await.ok()?.ok()?;
        Some((place, check))
    }
}

/// The users of a file.
pub(super) struct Users {
    path: PathBuf,
    gate: Arc<Gate>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    looked: Option<Instant>,
    stamp: Option<Stamp>,
    known: Option<Arc<Known>>,
    /// What the log has been told, so that it is told once.
    told: Option<String>,
}

/// What changes when a file does.
type Stamp = (u64, u64, u64, [i64; 4]);

/// What one state of the file says, and what has been found out with it.
pub(super) struct Known {
    pub(super) table: Table,
    file: [u8; 32],
    /// Of this process alone, so that what is remembered is of no use elsewhere.
    key: mac::Key,
    remembered: StdMutex<HashMap<[u8; 32], Instant>>,
}

impl Known {
    fn remembers(&self, proof: &[u8; 32]) -> bool {
        lock(&self.remembered).get(proof).is_some_and(|until| Instant::now() < *until)
    }

    fn remember(&self, proof: [u8; 32]) {
        let (mut all, now) = (lock(&self.remembered), Instant::now());
        if all.len() >= REMEMBERED {
            all.retain(|_, until| now < *until);
        }
        if all.len() >= REMEMBERED
            && let Some(oldest) = all.iter().min_by_key(|(_, until)| **until).map(|(proof, _)| *proof)
        {
            all.remove(&oldest);
        }
        all.insert(proof, now + REMEMBER);
    }

    /// Takes as long for a name that is none: then the hash of some user is computed, always of the same for the same name.
    fn verify(&self, name: &str, password: &[u8]) -> Option<Arc<str>> {
        let [a, b, c, d, e, f, g, h, ..] = mac::mac(&self.key, &[b"decoy", name.as_bytes()]);
        let user = self.table.user(name);
        let entry = user.or_else(|| self.table.any(u64::from_be_bytes([a, b, c, d, e, f, g, h])))?;
        (entry.hash.matches(password) && user.is_some()).then(|| Arc::clone(&entry.name))
    }
}

fn lock<T>(mutex: &StdMutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Users {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), gate: Arc::clone(&GATE), state: Mutex::default() }
    }

    /// What the file says now, or said within the last second.
    ///
    /// # Errors
    ///
    /// When it cannot be read, is larger than [`MAX_FILE`] or no file.
    pub(super) async fn known(&self) -> Result<Arc<Known>, Trouble> {
        let mut state = self.state.lock().await;
        if state.looked.is_none_or(|at| at.elapsed() >= LOOK_AGAIN) {
            let (path, stamp, known) = (self.path.clone(), state.stamp, state.known.clone());
            let look = tokio::task::spawn_blocking(move || look(&path, stamp, known)).await;
            match look.unwrap_or_else(|error| Err(io::Error::other(error))) {
                Ok((stamp, known)) => {
                    let bad = bad_lines(&known.table);
                    state.tell(&self.path, bad);
                    (state.stamp, state.known) = (stamp, Some(known));
                }
                Err(error) => {
                    state.tell(&self.path, Some(format!("cannot be read, so nobody is let in: {error}")));
                    (state.stamp, state.known) = (None, None);
                }
            }
            state.looked = Some(Instant::now());
        }
        state.known.clone().ok_or(Trouble::Unreadable)
    }

    /// The name of the user whose password it is; None when it is wrong or there is no such user. With `remember`, a password that was right lately is not computed
    /// again.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or too many passwords are being checked already.
    pub(super) async fn check(&self, name: String, password: Vec<u8>, remember: bool) -> Result<Option<Arc<str>>, Trouble> {
        let known = self.known().await?;
        let proof = mac::mac(&known.key, &[name.as_bytes(), &password]);
        let remembered = || known.table.user(&name).filter(|_| remember && known.remembers(&proof)).map(|entry| Arc::clone(&entry.name));
        if let Some(user) = remembered() {
            return Ok(Some(user));
        }
        let permit = self.gate.enter().await.ok_or(Trouble::Busy)?;
        // What a page loads comes all at once, and the first of it may have been found right by now.
        if let Some(user) = remembered() {
            return Ok(Some(user));
        }
        let asked = Arc::clone(&known);
        // The permit goes along: a visitor who leaves does not end the computation.
        let check = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            asked.verify(&name, &password)
        });
        let user = check.await.unwrap_or_default();
        if remember && user.is_some() {
            known.remember(proof);
        }
        Ok(user)
    }
}

impl State {
    fn tell(&mut self, path: &Path, what: Option<String>) {
        if let Some(what) = what.as_ref().filter(|what| self.told.as_ref() != Some(what)) {
            tracing::warn!(target: "lodger", "{}: {}: {what}", code::USERS_UNREADABLE, path.display());
        }
        self.told = what;
    }
}

/// What the log is told about lines that let nobody in; never what stands in them.
fn bad_lines(table: &Table) -> Option<String> {
    let numbers: Vec<String> = table.bad.iter().map(ToString::to_string).collect();
    let more = if table.bad_count > numbers.len() { format!(" and {} more", table.bad_count - numbers.len()) } else { String::new() };
    let sentence = "no name with a hash of bcrypt, argon2, apr1 or {SHA}, or one that takes too long or too much memory to check";
    (!numbers.is_empty()).then(|| format!("line {}{more}: {sentence}", numbers.join(", ")))
}

/// Reads the file, unless it is as it was.
fn look(path: &Path, old: Option<Stamp>, known: Option<Arc<Known>>) -> io::Result<(Option<Stamp>, Arc<Known>)> {
    // Asked before it is opened: opening a pipe would wait.
    let metadata = std::fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    let stamp = stamp(&metadata);
    if let Some(known) = known.as_ref().filter(|_| stamp.is_some() && stamp == old) {
        return Ok((stamp, Arc::clone(known)));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(io::Error::other(format!("it is larger than {MAX_FILE} bytes")));
    }
    let file = mac::digest(&bytes);
    let known = match known.filter(|known| known.file == file) {
        Some(known) => known,
        None => Arc::new(Known { table: Table::parse(&bytes), file, key: sys::random_bytes()?, remembered: StdMutex::default() }),
    };
    Ok((stamp, known))
}

/// None while a further change might get the same.
fn stamp(metadata: &Metadata) -> Option<Stamp> {
    let settled = metadata.modified().is_ok_and(|at| SystemTime::now().duration_since(at).is_ok_and(|age| age > SETTLED));
    let times = [metadata.mtime(), metadata.mtime_nsec(), metadata.ctime(), metadata.ctime_nsec()];
    settled.then(|| (metadata.dev(), metadata.ino(), metadata.size(), times))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        fs,
        sync::atomic::{AtomicUsize, Ordering},
    };
    use tracing_subscriber::layer::SubscriberExt as _;

    const ALICE: &str = "alice:{SHA}L55TUjtiq8FBorTWAZ0jy6g129A=\n";
    const BOB: &str = "bob:{SHA}L55TUjtiq8FBorTWAZ0jy6g129A=\n";

    fn folder(users: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users");
        fs::write(&path, users).unwrap();
        (folder, path)
    }

    /// A gate of its own keeps the tests apart.
    fn users(path: &Path, checks: usize, waiting: usize) -> Arc<Users> {
        Arc::new(Users { gate: Arc::new(Gate::new(checks, waiting)), ..Users::new(path) })
    }

    async fn ask(users: &Users, name: &str, password: &str) -> Result<Option<String>, Trouble> {
        let user = users.check(name.to_owned(), password.as_bytes().to_vec(), true).await?;
        Ok(user.map(|name| name.to_string()))
    }

    #[tokio::test(start_paused = true)]
    async fn a_changed_file_is_seen_after_a_second_and_not_before() {
        let (_folder, path) = folder(ALICE);
        let users = users(&path, 2, 8);
        assert_eq!(ask(&users, "alice", "correct horse").await, Ok(Some("alice".to_owned())));
        fs::write(&path, BOB).unwrap();
        assert_eq!(ask(&users, "alice", "correct horse").await, Ok(Some("alice".to_owned())));
        tokio::time::advance(LOOK_AGAIN).await;
        assert_eq!(ask(&users, "alice", "correct horse").await, Ok(None));
        assert_eq!(ask(&users, "bob", "correct horse").await, Ok(Some("bob".to_owned())));
    }

    #[tokio::test(start_paused = true)]
    async fn a_missing_file_lets_nobody_in_not_even_who_is_remembered() {
        let (_folder, path) = folder(ALICE);
        let users = users(&path, 2, 8);
        assert_eq!(ask(&users, "alice", "correct horse").await, Ok(Some("alice".to_owned())));
        fs::remove_file(&path).unwrap();
        tokio::time::advance(LOOK_AGAIN).await;
        assert_eq!(ask(&users, "alice", "correct horse").await, Err(Trouble::Unreadable));
        fs::create_dir(&path).unwrap();
        tokio::time::advance(LOOK_AGAIN).await;
        assert_eq!(ask(&users, "alice", "correct horse").await, Err(Trouble::Unreadable));
        fs::remove_dir(&path).unwrap();
        fs::write(&path, ALICE).unwrap();
        tokio::time::advance(LOOK_AGAIN).await;
        assert_eq!(ask(&users, "alice", "correct horse").await, Ok(Some("alice".to_owned())));
    }

    #[tokio::test]
    async fn a_file_without_end_is_not_read() {
        let (_folder, path) = folder(&"x".repeat(MAX_FILE as usize + 1));
        assert_eq!(ask(&users(&path, 2, 8), "alice", "correct horse").await, Err(Trouble::Unreadable));
        assert_eq!(ask(&users(Path::new("/dev/zero"), 2, 8), "alice", "correct horse").await, Err(Trouble::Unreadable));
    }

    #[tokio::test]
    async fn a_right_password_is_remembered_and_a_wrong_one_is_not() {
        let (_folder, path) = folder(ALICE);
        let users = users(&path, 1, 0);
        assert_eq!(ask(&users, "alice", "correct horse").await, Ok(Some("alice".to_owned())));
        assert_eq!(ask(&users, "alice", "wrong").await, Ok(None));
        // Nothing can be computed while the only place is taken.
        let _taken = users.gate.enter().await.unwrap();
        assert_eq!(ask(&users, "alice", "correct horse").await, Ok(Some("alice".to_owned())));
        assert_eq!(ask(&users, "alice", "wrong").await, Err(Trouble::Busy));
        assert_eq!(ask(&users, "ALICE", "correct horse").await, Err(Trouble::Busy));
        let again = users.check("alice".to_owned(), b"correct horse".to_vec(), false).await;
        assert_eq!(again, Err(Trouble::Busy), "the form always computes");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_remembered_is_forgotten_after_its_time_and_with_the_file() {
        let (_folder, path) = folder(ALICE);
        let users = users(&path, 1, 0);
        let count = async || lock(&users.known().await.unwrap().remembered).len();
        ask(&users, "alice", "correct horse").await.unwrap();
        tokio::time::advance(LOOK_AGAIN).await;
        assert_eq!(count().await, 1, "the file is as it was");
        tokio::time::advance(REMEMBER).await;
        {
            let _taken = users.gate.enter().await.unwrap();
            assert_eq!(ask(&users, "alice", "correct horse").await, Err(Trouble::Busy));
        }
        ask(&users, "alice", "correct horse").await.unwrap();
        fs::write(&path, format!("{ALICE}{BOB}")).unwrap();
        tokio::time::advance(LOOK_AGAIN).await;
        assert_eq!(count().await, 0);
    }

    #[tokio::test]
    async fn the_memory_does_not_grow_without_end() {
        let (_folder, path) = folder(ALICE);
        let known = users(&path, 1, 0).known().await.unwrap();
        for number in 0..REMEMBERED as u64 + 100 {
            known.remember(mac::mac(&known.key, &[&number.to_be_bytes()]));
        }
        assert_eq!(lock(&known.remembered).len(), REMEMBERED);
        assert!(known.remembers(&mac::mac(&known.key, &[&(REMEMBERED as u64 + 99).to_be_bytes()])));
    }

    #[tokio::test]
    async fn a_flood_is_sent_away_and_the_rest_gets_its_turn() {
        let (_folder, path) = folder(ALICE);
        let users = users(&path, 1, 3);
        let taken = users.gate.enter().await.unwrap();
        let asked: Vec<_> = (0..10)
            .map(|_| {
                tokio::spawn({
                    let users = Arc::clone(&users);
                    async move { ask(&users, "alice", "wrong").await }
                })
            })
            .collect();
        while users.gate.places.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let busy = users.clone();
        assert_eq!(ask(&busy, "alice", "wrong").await, Err(Trouble::Busy));
        drop(taken);
        let mut answers = Vec::new();
        for one in asked {
            answers.push(one.await.unwrap());
        }
        assert!(answers.iter().filter(|answer| **answer == Ok(None)).count() >= 3, "{answers:?}");
        let answer = Trouble::Busy.answer();
        assert_eq!((answer.status().as_u16(), answer.headers()["retry-after"].to_str().unwrap()), (503, "2"));
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_too_long_is_sent_away() {
        let (_folder, path) = folder(ALICE);
        let users = users(&path, 1, 3);
        let _taken = users.gate.enter().await.unwrap();
        assert_eq!(ask(&users, "alice", "correct horse").await, Err(Trouble::Busy));
    }

    #[tokio::test]
    async fn a_name_that_is_none_costs_a_computation_and_no_password_fits() {
        let (_folder, path) = folder(ALICE);
        let users = users(&path, 1, 0);
        assert_eq!(ask(&users, "nobody", "correct horse").await, Ok(None));
        let _taken = users.gate.enter().await.unwrap();
        assert_eq!(ask(&users, "nobody", "correct horse").await, Err(Trouble::Busy));
    }

    #[tokio::test]
    async fn a_name_that_is_none_takes_as_long_as_one_that_is() {
        let (_folder, path) = folder(include_str!("../../../fixtures/auth/htpasswd").lines().find(|line| line.starts_with("bcrypt:")).unwrap());
        let known = users(&path, 1, 0).known().await.unwrap();
        let fastest = |name: &str| {
            let time = |_| {
                let start = std::time::Instant::now();
                assert_eq!(known.verify(name, b"wrong"), None);
                start.elapsed()
            };
            (0..5).map(time).min().unwrap()
        };
        // Without a computation it would be a thousandth.
        let (user, nobody) = (fastest("bcrypt"), fastest("nobody"));
        assert!(nobody > user / 10, "{nobody:?} {user:?}");
    }

    #[test]
    fn the_log_is_told_once_until_something_else_happens() {
        struct Count(Arc<AtomicUsize>);
        impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Count {
            fn on_event(&self, _: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
        let (mut state, count) = (State::default(), Arc::new(AtomicUsize::new(0)));
        let subscriber = tracing_subscriber::registry().with(Count(Arc::clone(&count)));
        tracing::subscriber::with_default(subscriber, || {
            for (what, total) in [(Some("one"), 1), (Some("one"), 1), (Some("two"), 2), (None, 2), (Some("two"), 3)] {
                state.tell(Path::new("users"), what.map(str::to_owned));
                assert_eq!(count.load(Ordering::Relaxed), total, "{what:?}");
            }
        });
    }

    #[test]
    fn the_log_hears_of_numbers_of_lines_and_nothing_of_what_stands_there() {
        let table = Table::parse(b"alice:secret-in-plain\n\nmallory");
        let text = bad_lines(&table).unwrap();
        assert!(text.starts_with("line 1, 3: ") && !text.contains("secret") && !text.contains("mallory"), "{text}");
        assert_eq!(bad_lines(&Table::parse(ALICE.as_bytes())), None);
        assert!(bad_lines(&Table::parse("x\n".repeat(12).as_bytes())).unwrap().contains(" and 2 more"));
    }
}
