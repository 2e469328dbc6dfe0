//! `lodger.toml`: what may stand in it, what it means, and every mistake in it with its place.
//!
//! In reading order: `keys` is the table of what may stand in a file, `file` walks a file along it, `resolve` finds out what the values mean together, `model` is what comes of it.

pub(crate) mod address;
mod file;
mod fill;
mod hide;
pub(crate) mod host;
pub(crate) mod keys;
pub(crate) mod locate;
mod mistakes;
pub(crate) mod model;
pub(crate) mod path;
#[cfg(feature = "cli")]
pub(crate) mod print;
mod resolve;
pub(crate) mod secret;
pub(crate) mod small;
mod syntax;
#[cfg(all(test, feature = "cli"))]
mod fixture_tests;
#[cfg(all(test, feature = "cli"))]
mod keys_tests;
#[cfg(test)]
mod guide_tests;
#[cfg(test)]
mod mistakes_tests;
#[cfg(all(test, feature = "cli"))]
mod property_tests;

pub use crate::diagnostic::Mistakes;

#[cfg(feature = "cli")]
use crate::diagnostic::Lines;
use crate::diagnostic::{Mistake, codes};
#[cfg(feature = "cli")]
use file::Section;
use file::{Value, Walk};
use model::{Policy, Server, Site};
use std::{
    fs, io,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// The largest file that is read, in bytes. 64 MiB: ten thousand sites with a hundred routes each stay below it.
const LARGEST: usize = 64 * 1024 * 1024;

/// How much later than the time of a route the process itself gives up a request: the route has a page for it, and gives up first.
const AHEAD: Duration = Duration::from_secs(1);

/// What a `lodger.toml` says: sites, their routes and the settings of the process.
///
/// `lodger::run` reads the file beside the program by itself. Load one to give it to a [`Tree`](crate::handler::Tree) of your own.
#[derive(Clone)]
pub struct Config {
    path: PathBuf,
    text: Arc<str>,
    /// Found once somebody asks for them.
    #[cfg(feature = "cli")]
    lines: std::sync::OnceLock<Lines>,
    server: Server,
    sites: Vec<Arc<Site>>,
    apps: Vec<(String, Range<usize>)>,
    /// Where secrets stand in the text.
    secrets: Vec<Range<usize>>,
    warnings: Mistakes,
}

impl std::fmt::Debug for Config {
    /// Without its text and its values, some of which are secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sites: Vec<&str> = self.sites.iter().map(|site| &*site.name).collect();
        f.debug_struct("Config").field("path", &self.path).field("sites", &sites).field("warnings", &self.warnings).finish_non_exhaustive()
    }
}

impl Config {
    /// Reads the file that the program is meant to have: the one that the variable `LODGER_CONFIG` names, else `lodger.toml` beside the program.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load), and when there is none.
    pub fn find() -> Result<Self, Mistakes> {
        if let Some(path) = locate::locate(None, std::env::current_exe) {
            return Self::load(path);
        }
        let path = std::env::current_exe().map_or_else(|_| locate::NAME.into(), locate::beside);
        let mistake = mistakes::none_beside_program(&path);
        Err(Mistakes::of_no_file(path, mistake))
    }

    /// Reads a file. Relative paths in it are relative to its folder.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), lodger::BoxError> {
    /// let config = lodger::config::Config::load("lodger.toml")?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// When it cannot be read or cannot be used; then with every mistake in it. What does not keep it from being used is among [`warnings`](Self::warnings).
    pub fn load(path: impl AsRef<Path>) -> Result<Self, Mistakes> {
        let path = path.as_ref();
        let alone = |mistake| Mistakes::new(path, "", vec![mistake]);
        let bytes = read(path).map_err(|error| alone(mistakes::unreadable(&error)))?.ok_or_else(|| alone(mistakes::too_large(LARGEST)))?;
        // Editors of Windows begin a file so.
        let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&bytes);
        let text = std::str::from_utf8(bytes).map_err(|error| {
            // What is no letter is shown as one of three bytes.
            let span = error.valid_up_to()..error.valid_up_to() + '\u{FFFD}'.len_utf8();
            Mistakes::new(path, String::from_utf8_lossy(bytes).as_ref(), vec![mistakes::not_utf8(span)])
        })?;
        Self::parse(text, path)
    }

    /// The same for a text that would stand in the file `path`.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    pub fn parse(text: &str, path: impl AsRef<Path>) -> Result<Self, Mistakes> {
        Self::parse_with(text, path.as_ref(), &|name| std::env::var(name).ok())
    }

    pub(crate) fn parse_with(text: &str, path: &Path, variables: &dyn Fn(&str) -> Option<String>) -> Result<Self, Mistakes> {
        let folder = folder_of(path);
        let mut walk = Walk::new(&folder, variables);
        let root = walk.read(text);
        let mut resolved = resolve::resolve(&root, &folder, &walk.files);
        let mut list = walk.mistakes;
        // What cannot be read is not there for those who look at it as a whole.
        if !list.iter().any(|mistake| mistake.code == codes::CONFIG_SYNTAX) {
            list.append(&mut resolved.mistakes);
        }
        hide::filled(&mut list, &walk.filled);
        let mistakes = told(path, text, &walk.secrets, list);
        if mistakes.are_errors() {
            return Err(mistakes);
        }
        Ok(Self {
            path: path.to_owned(),
            text: text.into(),
            #[cfg(feature = "cli")]
            lines: std::sync::OnceLock::default(),
            server: resolved.server,
            sites: resolved.sites,
            apps: resolved.apps,
            secrets: walk.secrets,
            warnings: mistakes,
        })
    }

    /// The line of a byte, counted from 1.
    #[cfg(feature = "cli")]
    fn line(&self, at: usize) -> usize {
        self.lines.get_or_init(|| Lines::of(&self.text)).line(at)
    }

    /// The file as it stands, read once more.
    #[cfg(feature = "cli")]
    fn sections(&self, variables: fill::Lookup<'_>) -> Section {
        Walk::new(&folder_of(&self.path), variables).read(&self.text)
    }

    /// What is wrong and keeps nothing from being served, such as a file that is not there.
    #[must_use]
    pub fn warnings(&self) -> &Mistakes {
        &self.warnings
    }

    /// The file that it was read from.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn server(&self) -> &Server {
        &self.server
    }

    pub(crate) fn sites(&self) -> &[Arc<Site>] {
        &self.sites
    }

    /// The longest time that a handler is given, where `usual` is that of one without a word about it.
    pub(crate) fn longest_timeout(&self, usual: Duration) -> Option<Duration> {
        let usual = self.server.request_timeout.unwrap_or(usual);
        self.policies().filter_map(|policy| policy.timeout).map(|timeout| timeout + AHEAD).chain([usual]).max()
    }

    /// The largest body that any route takes; `None` where one takes every body.
    pub(crate) fn largest_body(&self) -> Option<u64> {
        let bodies: Option<Vec<u64>> = self.policies().map(|policy| policy.max_body).collect();
        bodies?.into_iter().max()
    }

    fn policies(&self) -> impl Iterator<Item = &Policy> {
        self.sites.iter().flat_map(|site| site.routes.iter().map(|route| &route.policy).chain([&site.default_policy]))
    }

    /// The routes to apps that are not among `known`.
    pub(crate) fn unknown_apps(&self, known: &[&str]) -> Mistakes {
        let unknown = self.apps.iter().filter(|(name, _)| !known.contains(&name.as_str()));
        let list: Vec<Mistake> = unknown.map(|(name, span)| mistakes::no_app(span.clone(), name, known)).collect();
        told(&self.path, &self.text, &self.secrets, list)
    }
}

/// Mistakes with the text that they stand in, without its secrets. Where there is none, nobody looks at the text.
fn told(path: &Path, text: &str, secrets: &[Range<usize>], list: Vec<Mistake>) -> Mistakes {
    let text = if list.is_empty() { String::new() } else { hide::secrets(text, secrets.to_vec()) };
    Mistakes::new(path, text, list)
}

/// The state directory that a file names, though it may have mistakes elsewhere.
pub(crate) fn state_dir_of(path: &Path) -> Option<PathBuf> {
    let bytes = read(path).ok()??;
    let folder = folder_of(path);
    let variable = |name: &str| std::env::var(name).ok();
    let root = Walk::new(&folder, &variable).read(&String::from_utf8_lossy(&bytes));
    match &root.tables.get("server")?.first()?.values.get("state-dir")?.value {
        Value::Path(folder) => Some(folder.clone()),
        _ => None,
    }
}

/// The folder that paths in a file are relative to, absolute where that can be found out.
fn folder_of(path: &Path) -> PathBuf {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned())
}

/// The bytes of a file; `None` for one that is too large.
fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    use io::Read as _;
    let file = fs::File::open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    let mut bytes = Vec::new();
    file.take(LARGEST as u64 + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() <= LARGEST).then_some(bytes))
}
