//! Routes by their paths: a tree with a level for each segment, in which a prefix may stand beside parameters.
//!
//! At each segment what is written out goes before a parameter, and that before what takes all that follows. Where the way of a better segment ends in nothing the next best is
//! tried, so the nearest prefix above a path always holds; a lock on it could be walked around otherwise.

use std::collections::HashMap;

/// What is known at one level.
#[derive(Debug)]
pub(super) struct Table<T> {
    literal: HashMap<Box<str>, Self>,
    parameter: Option<Box<Self>>,
    /// The path ends here, without a slash.
    exact: Option<Entry<T>>,
    /// `…/{*name}`: what follows, be it nothing. Were the folder itself another route's, a lock on all below it would not hold for its first page.
    rest: Option<Entry<T>>,
    /// `…/`: this folder and all that is below it.
    prefix: Option<Entry<T>>,
}

#[derive(Debug)]
struct Entry<T> {
    value: T,
    /// The names of the parameters on the way here.
    names: Box<[Box<str>]>,
}

/// What was found for a path.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Hit<'a, T> {
    pub(super) value: &'a T,
    pub(super) params: Vec<(String, String)>,
    pub(super) rest: Rest,
}

/// What of a path follows the prefix of its route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Rest {
    /// Nothing: the route is that one path.
    Nothing,
    /// This, with a slash at its front.
    Path(String),
    /// The path is the prefix without its last slash.
    SlashMissing,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { literal: HashMap::new(), parameter: None, exact: None, rest: None, prefix: None }
    }
}

impl<T> Table<T> {
    /// Puts a value at a pattern in its normal form. The first one at a place stays.
    pub(super) fn put(&mut self, pattern: &str, value: T) {
        let (mut node, mut names) = (self, Vec::new());
        let mut segments = pattern.split('/').skip(1).peekable();
        while let Some(segment) = segments.next() {
            let name = segment.strip_prefix('{').and_then(|name| name.strip_suffix('}'));
            if let Some(name) = name.and_then(|name| name.strip_prefix('*')) {
                names.push(name.into());
                node.rest.get_or_insert(Entry { value, names: names.into() });
                return;
            }
            if segment.is_empty() && segments.peek().is_none() {
                node.prefix.get_or_insert(Entry { value, names: names.into() });
                return;
            }
            names.extend(name.map(Into::into));
            node = match name {
                Some(_) => node.parameter.get_or_insert_default(),
                None => node.literal.entry(segment.into()).or_default(),
            };
        }
        node.exact.get_or_insert(Entry { value, names: names.into() });
    }

    /// Finds what answers for a path in its normal form, of what `accept` lets through. No level is looked at twice, however long the path is.
    pub(super) fn find(&self, path: &str, accept: impl Fn(&T) -> bool) -> Option<Hit<'_, T>> {
        self.find_below(path, &mut Vec::new(), &accept)
    }

    fn find_below<'p>(&self, left: &'p str, values: &mut Vec<&'p str>, accept: &impl Fn(&T) -> bool) -> Option<Hit<'_, T>> {
        let taken = |entry: &&Entry<T>| accept(&entry.value);
        let (exact, prefix, all) = (self.exact.as_ref().filter(taken), self.prefix.as_ref().filter(taken), self.rest.as_ref().filter(taken));
        let Some(after) = left.strip_prefix('/') else {
            let hit = exact.map(|exact| exact.hit(values, Rest::Nothing)).or_else(|| prefix.map(|prefix| prefix.hit(values, Rest::SlashMissing)));
            return hit.or_else(|| all.map(|all| all.hit(&[values.as_slice(), &[""]].concat(), Rest::SlashMissing)));
        };
        let (segment, next) = after.split_at(after.find('/').unwrap_or(after.len()));
        if !segment.is_empty() {
            if let Some(hit) = self.literal.get(segment).and_then(|node| node.find_below(next, values, accept)) {
                return Some(hit);
            }
            if let Some(node) = &self.parameter {
                values.push(segment);
                if let Some(hit) = node.find_below(next, values, accept) {
                    return Some(hit);
                }
                values.pop();
            }
        }
        let path = || Rest::Path(left.to_owned());
        let below = || all.map(|all| all.hit(&[values.as_slice(), &[after]].concat(), path()));
        let here = || prefix.map(|prefix| prefix.hit(values, path()));
        // The folder itself is rather that of the route which names it.
        if after.is_empty() { here().or_else(below) } else { below().or_else(here) }
    }
}

impl<T> Entry<T> {
    fn hit(&self, values: &[&str], rest: Rest) -> Hit<'_, T> {
        let params = self.names.iter().zip(values).map(|(name, value)| (name.to_string(), (*value).to_owned())).collect();
        Hit { value: &self.value, params, rest }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(patterns: &[&str]) -> Table<String> {
        let mut table = Table::default();
        for pattern in patterns {
            table.put(pattern, (*pattern).to_owned());
        }
        table
    }

    /// The pattern that was found, its parameters and the rest.
    fn found(table: &Table<String>, path: &str) -> String {
        let Some(hit) = table.find(path, |_| true) else { return "nothing".to_owned() };
        let params: Vec<String> = hit.params.iter().map(|(name, value)| format!("{name}={value}")).collect();
        format!("{} [{}] {:?}", hit.value, params.join(" "), hit.rest)
    }

    #[test]
    fn the_best_way_that_leads_somewhere_is_taken() {
        let table = table(&["/", "/a", "/{x}", "/{y}/b", "/a/{z}/c", "/a/", "/f/{*rest}", "/{x}/deep/"]);
        for (path, expected) in [
            ("/", "/ [] Path(\"/\")"),
            ("/a", "/a [] Nothing"),
            ("/q", "/{x} [x=q] Nothing"),
            ("/q/", "/ [] Path(\"/q/\")"),
            ("/q/b", "/{y}/b [y=q] Nothing"),
            ("/q/r", "/ [] Path(\"/q/r\")"),
            ("/a/b", "/a/ [] Path(\"/b\")"),
            ("/a/1/c", "/a/{z}/c [z=1] Nothing"),
            ("/a/1/d", "/a/ [] Path(\"/1/d\")"),
            ("/a/deep/x", "/a/ [] Path(\"/deep/x\")"),
            ("/f/1/2/", "/f/{*rest} [rest=1/2/] Path(\"/1/2/\")"),
            ("/f/", "/f/{*rest} [rest=] Path(\"/\")"),
            ("/f", "/f/{*rest} [rest=] SlashMissing"),
            ("/q/deep", "/{x}/deep/ [x=q] SlashMissing"),
            ("/q/deep/er", "/{x}/deep/ [x=q] Path(\"/er\")"),
        ] {
            assert_eq!(found(&table, path), expected, "{path}");
        }
    }

    #[test]
    fn without_a_prefix_above_it_a_path_may_be_nowhere() {
        let table = table(&["/a/b", "/c/{x}"]);
        for path in ["/", "/a", "/a/", "/a/b/", "/c", "/c/", "/c/1/", "/d"] {
            assert_eq!(found(&table, path), "nothing", "{path}");
        }
    }

    #[test]
    fn the_first_of_two_at_one_place_stays() {
        let table = table(&["/{a}", "/{b}"]);
        assert_eq!(found(&table, "/1"), "/{a} [a=1] Nothing");
    }
}
