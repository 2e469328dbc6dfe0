//! The htpasswd file: a name and a hash in each line.

use super::{MAX_NAME, hash::Hash, mac};
use std::{collections::HashMap, sync::Arc};

/// How long a line may be, in bytes. The longest hash has 512 characters.
const MAX_LINE: usize = 1024;

/// How many bad lines are named; a file of another kind has nothing else.
const NAMED: usize = 10;

/// A user.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) name: Arc<str>,
    pub(super) hash: Hash,
    /// Changes when the password does.
    pub(super) tag: [u8; 32],
}

/// What a file holds.
#[derive(Debug, Default)]
pub(super) struct Table {
    entries: Vec<Entry>,
    by_name: HashMap<Arc<str>, usize>,
    /// The numbers of the first lines that let nobody in.
    pub(super) bad: Vec<usize>,
    /// How many there are of them.
    pub(super) bad_count: usize,
}

impl Table {
    /// Reads a file. Lines that are none are counted and let nobody in; of lines with the same name the first holds, as in Apache.
    pub(super) fn parse(file: &[u8]) -> Self {
        let mut table = Self::default();
        // What editors on Windows put before a text.
        let file = file.strip_prefix(b"\xef\xbb\xbf").unwrap_or(file);
        for (at, line) in file.split(|&byte| byte == b'\n').enumerate() {
            let line = line.trim_ascii();
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            match entry(line) {
                Some(entry) if table.by_name.contains_key(&entry.name) => {}
                Some(entry) => {
                    table.by_name.insert(Arc::clone(&entry.name), table.entries.len());
                    table.entries.push(entry);
                }
                None => {
                    table.bad_count += 1;
                    if table.bad.len() < NAMED {
                        table.bad.push(at + 1);
                    }
                }
            }
        }
        table
    }

    pub(super) fn user(&self, name: &str) -> Option<&Entry> {
        self.by_name.get(name).and_then(|&at| self.entries.get(at))
    }

    /// Some entry, always the same for the same number. None when there is no user at all.
    pub(super) fn any(&self, number: u64) -> Option<&Entry> {
        let at = number.checked_rem(self.entries.len() as u64)?;
        self.entries.get(usize::try_from(at).ok()?)
    }
}

fn entry(line: &[u8]) -> Option<Entry> {
    let line = str::from_utf8(line).ok().filter(|line| line.len() <= MAX_LINE)?;
    let mut fields = line.split(':');
    let (name, hash) = (fields.next()?, fields.next()?);
    if !(1..=MAX_NAME).contains(&name.len()) || name.contains(char::is_control) {
        return None;
    }
    Some(Entry { name: name.into(), hash: Hash::parse(hash)?, tag: mac::digest(hash.as_bytes()) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const APR1: &str = "$apr1$8eUeAGmm$0DDmLiLyJN7/3hXv9bQPt1";
    const SHA: &str = "{SHA}L55TUjtiq8FBorTWAZ0jy6g129A=";

    #[test]
    fn every_line_of_the_fixture_is_a_user() {
        let table = Table::parse(include_bytes!("../../../fixtures/auth/htpasswd"));
        assert_eq!((table.entries.len(), table.bad_count), (13, 0));
        assert!(table.user("jürgen").is_some() && table.user("nobody").is_none() && table.user("").is_none());
    }

    #[test]
    fn bad_lines_are_named_and_let_nobody_in() {
        let table = Table::parse(include_bytes!("../../../fixtures/auth/htpasswd-refused"));
        assert_eq!((table.entries.len(), &table.bad[..]), (0, &[2, 3, 4, 5, 6, 7, 8, 9, 10, 11][..]));
        let many = Table::parse("nonsense\n".repeat(1000).as_bytes());
        assert_eq!((many.bad.len(), many.bad_count), (NAMED, 1000));
    }

    #[test]
    fn a_file_from_windows_with_comments_and_blanks_is_read() {
        let text = format!("\u{feff}# users\r\n\r\n  alice:{APR1}  \r\nbob:{SHA}:more\r\n#carol:{SHA}");
        let table = Table::parse(text.as_bytes());
        assert!(table.user("alice").is_some() && table.user("bob").is_some() && table.user("carol").is_none());
        assert_eq!(table.bad_count, 0);
    }

    #[test]
    fn of_two_lines_with_a_name_the_first_holds() {
        let table = Table::parse(format!("alice:{APR1}\nalice:{SHA}").as_bytes());
        assert!(matches!(table.user("alice").map(|entry| &entry.hash), Some(Hash::Apr1 { .. })));
    }

    #[test]
    fn the_tag_changes_with_the_password() {
        let tag = |hash: &str| Table::parse(format!("alice:{hash}").as_bytes()).user("alice").map(|entry| entry.tag);
        assert_eq!(tag(APR1), tag(APR1));
        assert_ne!(tag(APR1), tag(SHA));
    }

    #[test]
    fn a_number_always_picks_the_same_user() {
        let table = Table::parse(format!("alice:{APR1}\nbob:{SHA}").as_bytes());
        assert_eq!(
            [0, 1, 2, u64::MAX].map(|number| table.any(number).map(|entry| &*entry.name)),
            [Some("alice"), Some("bob"), Some("alice"), Some("bob")]
        );
        assert!(Table::default().any(7).is_none());
    }

    proptest! {
        #[test]
        fn no_file_is_a_panic(file in prop::collection::vec(any::<u8>(), 0..300)) {
            let table = Table::parse(&file);
            prop_assert!(table.bad.len() <= table.bad_count);
        }
    }
}
