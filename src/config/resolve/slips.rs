//! Habits of other servers that mean something else here, so that a route never answers what it was written for.

use super::{Resolve, Section};
use crate::config::{file::Found, keys, mistakes, path};
use std::path::Path;

/// Names with which other servers fill in a redirect.
const NAMES_OF_OTHERS: [&str; 6] = ["request_uri", "uri", "host", "http_host", "scheme", "args"];

/// What the log may be told to let through.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// How many entries of a folder are looked at.
const MOST: usize = 10_000;

impl Resolve<'_> {
    /// Refuses a word that is no level: the log takes it for the name of a target, and says nothing of all the others.
    pub(super) fn check_levels(&mut self, text: &str, found: &Found) -> Option<()> {
        let words = text.split(',').map(|part| part.rsplit_once('=').map_or(part, |(_, level)| level).trim());
        let is_known = |word: &str| LEVELS.iter().any(|level| level.eq_ignore_ascii_case(word)) || word.contains("::");
        match words.into_iter().find(|word| !word.is_empty() && !is_known(word)) {
            Some(word) => {
                let mistake = mistakes::wrong_choice(found.span.clone(), found.key, word, &LEVELS);
                self.mistakes.push(mistake);
                None
            }
            None => Some(()),
        }
    }

    /// Notes a path that no visitor asks for, or that is one page where a folder was meant.
    pub(super) fn check_slips(&mut self, section: &Section) {
        let Some((path, found)) = section.text("path").filter(|(path, _)| path::of_pattern(path).is_ok()) else { return };
        if self.check_idioms(path, found) || path.ends_with('/') || path.contains("{*") {
            return;
        }
        let has_one = keys::HANDLERS.iter().filter(|name| section.found(name).is_some()).count() == 1;
        let is_folder = section.path("files").is_some_and(|(root, _)| root.is_dir());
        // A script is one page, and so is what is sent on under another path.
        let is_script = path.rsplit('/').next().is_some_and(|name| name.contains('.')) || section.found("rewrite").is_some();
        if has_one && (is_folder || section.found("fastcgi").is_some() && !is_script) {
            let sentence = format!("`{path}` is this one page alone; what lies below it is not in this route");
            let mistake = mistakes::routes(found.span.clone(), sentence, format!("for the folder write `path = \"{path}/\"`"));
            self.mistakes.push(mistake.warning());
        }
    }

    /// Notes signs that stand for anything elsewhere and for themselves here. Says whether there is one.
    fn check_idioms(&mut self, path: &str, found: &Found) -> bool {
        let Some((sign, hint)) = idiom(path) else { return false };
        self.mistakes.push(mistakes::routes(found.span.clone(), format!("`{sign}` means itself here"), hint).warning());
        true
    }

    /// Notes what other servers would fill in.
    pub(super) fn check_fillings(&mut self, to: &str, found: &Found) {
        let signs = to.match_indices(['$', '\\']).map(|(at, sign)| (sign, &to[at + sign.len()..]));
        let filled = signs.filter_map(|(sign, rest)| {
            let end = rest.find(|char: char| !char.is_ascii_alphanumeric() && char != '_').unwrap_or(rest.len());
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let is_name = sign == "$" && NAMES_OF_OTHERS.contains(&&rest[..end]);
            let taken = if is_name { end } else { digits };
            (taken > 0).then(|| format!("{sign}{}", &rest[..taken]))
        });
        for sign in filled.take(1) {
            let hint = "`{path}` is the whole path, `{name}` a part of `path`";
            self.mistakes.push(mistakes::routes(found.span.clone(), format!("`{sign}` means itself here"), hint).warning());
        }
    }
}

/// The first sign of a path that stands for anything elsewhere, and how that is written here.
fn idiom(path: &str) -> Option<(String, String)> {
    if path.ends_with('$') {
        return Some(("$".to_owned(), "a path is no regular expression: leave the `$` out".to_owned()));
    }
    let mut before = String::from("/");
    for segment in path.split('/').skip(1).filter(|segment| !segment.is_empty()) {
        let name = segment.strip_prefix(':').filter(|name| name.starts_with(|char: char| char.is_ascii_alphabetic()));
        if let Some(name) = name.filter(|name| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')) {
            return Some((segment.to_owned(), format!("a part that changes is written `{{{name}}}`")));
        }
        if segment.contains('*') && !segment.starts_with("{*") {
            return Some(("*".to_owned(), format!("everything below is `{before}`, or `{before}{{*rest}}`")));
        }
        before.push_str(segment);
        before.push('/');
    }
    None
}

/// What was meant by a path that leads nowhere: the same in other capitals, or beside the file instead of at the top of the machine.
pub(super) fn near(folder: &Path, path: &Path) -> Option<String> {
    let written = path.file_name()?.to_str()?;
    let alike = |entry: std::fs::DirEntry| entry.file_name().into_string().ok().filter(|name| name.to_lowercase() == written.to_lowercase());
    let entries = path.parent().and_then(|parent| parent.read_dir().ok());
    if let Some(name) = entries.and_then(|entries| entries.take(MOST).flatten().find_map(alike)).filter(|name| name != written) {
        return Some(format!("there is `{name}` in that folder; capitals count"));
    }
    let beside = path.strip_prefix("/").ok().filter(|_| !path.starts_with(folder))?;
    folder
        .join(beside)
        .exists()
        .then(|| format!("did you mean `{}`, without the first slash? paths are relative to the folder of this file", beside.display()))
}
