//! Secrets in what people are told: mistakes show the lines that they stand in, and such a line may hold a password.

use super::{keys, mistakes::did_you_mean};
use crate::diagnostic::Mistake;
use std::{collections::HashMap, ops::Range};

/// A text that was filled in, where it stands, and how it is written there.
#[derive(Debug)]
pub(super) struct Filled {
    pub(super) span: Range<usize>,
    pub(super) text: String,
    pub(super) written: String,
}

/// Whether the value behind a name is a secret, also where the name is written wrongly or stands in the wrong table.
pub(super) fn is_secret(name: &str) -> bool {
    let name = name.trim_matches(['"', '\'']);
    // Likeness is dear, and hardly any name needs it.
    match keys::KEYS.iter().any(|key| key.name == name) {
        true => keys::KEYS.iter().any(|key| key.secret && key.name == name),
        false => did_you_mean(name, keys::KEYS.iter().filter(|key| key.secret).map(|key| key.name)).is_some(),
    }
}

/// A text with its secrets hidden: those at `spans`, those that stand in a line behind their name, and those in the lines of a table of secrets. Every byte
/// keeps its place.
pub(super) fn secrets(text: &str, mut spans: Vec<Range<usize>>) -> String {
    let mut known = HashMap::new();
    let mut is_secret = |name| *known.entry(name).or_insert_with(|| is_secret(name));
    let (mut start, mut table) = (0, Lines::Open);
    for line in text.split_inclusive('\n') {
        let end = start + line.len();
        if let Some(header) = line.trim_start().strip_prefix('[') {
            let path = header.trim_start_matches('[').split([']', '#', '\n']).next().unwrap_or_default();
            table = if path.rsplit('.').next().is_some_and(|name| is_secret(name.trim())) { Lines::Values } else { Lines::Open };
        } else if table != Lines::Open {
            // A text of several lines looks like keys and values, and is none.
            if line.contains("\"\"\"") || line.contains("'''") {
                table = Lines::Secret;
            }
            let name = line.split_once('=').map(|(name, _)| name).filter(|name| table == Lines::Values && is_bare(name.trim()));
            spans.push(start + name.map_or(0, |name| name.len() + 1)..end);
        }
        for (at, _) in line.match_indices('=') {
            let names = line.get(..at).and_then(|before| before.rsplit(['{', ',', '#']).next()).unwrap_or_default();
            if names.split('.').any(|name| is_secret(name.trim())) {
                spans.push(start + at + 1..end);
                break;
            }
        }
        start = end;
    }
    spans.sort_by_key(|span| span.start);
    let (mut hidden, mut done) = (String::with_capacity(text.len()), 0);
    for span in spans {
        let (from, to) = (span.start.max(done), span.end.min(text.len()));
        let Some((before, secret)) = text.get(done..from).zip(text.get(from..to)) else { continue };
        hidden.push_str(before);
        hide(secret, &mut hidden);
        done = to;
    }
    hidden.push_str(text.get(done..).unwrap_or_default());
    hidden
}

/// What the lines of a table show.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lines {
    /// Everything.
    Open,
    /// The names, as its values are secrets.
    Values,
    /// Nothing: where a value ends is not known.
    Secret,
}

/// Whether a text is the name of a key that needs no quotes.
fn is_bare(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// Writes stars for letters. Names of variables and files in `${…}` are no secrets, and neither are quotes and brackets.
fn hide(secret: &str, hidden: &mut String) {
    let mut rest = secret;
    while let Some(char) = rest.chars().next() {
        let fill = rest.strip_prefix("${").and_then(|name| name.find(['}', '\n', '"', '\''])).filter(|end| rest[2 + end..].starts_with('}'));
        let taken = fill.map_or(char.len_utf8(), |end| end + 3);
        match char.len_utf8() {
            _ if fill.is_some() || char.is_whitespace() || "\"'[]{},".contains(char) => hidden.push_str(&rest[..taken]),
            1 => hidden.push('*'),
            2 => hidden.push('·'),
            3 => hidden.push('•'),
            _ => hidden.push('🔒'),
        }
        rest = &rest[taken..];
    }
}

/// Takes what was filled in out of mistakes about it.
pub(super) fn filled(mistakes: &mut [Mistake], filled: &[Filled]) {
    for mistake in mistakes {
        let about = filled.iter().find(|filled| !filled.text.is_empty() && mistake.span.as_ref() == Some(&filled.span));
        if let Some(Filled { text, written, .. }) = about {
            mistake.sentence = mistake.sentence.replace(text, written);
            mistake.hint = mistake.hint.replace(text, written);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_become_stars_and_every_byte_keeps_its_place() {
        for (text, expected) in [
            ("secret = \"hush\"\nrealm = \"x\"", "secret = \"****\"\nrealm = \"x\""),
            ("tokens = [\"a\", \"${file:t}b\"]", "tokens = [\"*\", \"${file:t}*\"]"),
            ("  token=abc", "  token=***"),
            ("auth = { kind = \"session\", secret = \"x }", "auth = { kind = \"session\", secret = \"* }"),
            ("env.PASSWORD = \"x", "env.PASSWORD = \"*"),
            ("[site.route.env]\nA = \"x\nxy\n[site]\nA = 1", "[site.route.env]\nA = \"*\n**\n[site]\nA = 1"),
            ("[[ site.env ]] # x\nA = \"\"\"\nB=x\n", "[[ site.env ]] # x\n* * \"\"\"\n***\n"),
            ("[site.environment]\nA = 1", "[site.environment]\nA = *"),
            ("[site.error-pages]\nA = 1", "[site.error-pages]\nA = 1"),
            ("redirect = \"/a?token=b\"", "redirect = \"/a?token=b\""),
            ("secret = \"äx€\"", "secret = \"·*•\""),
            ("secret = \"${no end\"", "secret = \"*{** ***\""),
            ("name = \"shop\"", "name = \"shop\""),
        ] {
            let hidden = secrets(text, Vec::new());
            assert_eq!((hidden.as_str(), hidden.len()), (expected, text.len()));
        }
        assert_eq!(secrets("a = [\n\"x\",\n]", std::iter::once(4..11).collect()), "a = [\n\"*\",\n]");
    }
}
