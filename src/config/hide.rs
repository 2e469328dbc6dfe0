//! Secrets in what people are told: mistakes show the lines that they stand in, and such a line may hold a password.

use super::{keys, mistakes::did_you_mean};
use crate::diagnostic::Mistake;
use std::ops::Range;

/// A text that was filled in, where it stands, and how it is written there.
#[derive(Debug)]
pub(super) struct Filled {
    pub(super) span: Range<usize>,
    pub(super) text: String,
    pub(super) written: String,
}

/// Whether the value behind a name is a secret, also where the name is written wrongly or stands in the wrong table.
pub(super) fn is_secret(name: &str) -> bool {
    let near = did_you_mean(name.trim_matches(['"', '\'']), keys::KEYS.iter().map(|key| key.name));
    near.is_some_and(|near| keys::KEYS.iter().any(|key| key.secret && key.name == near))
}

/// A text with its secrets hidden: those at `spans`, and those that stand in a line behind their name. Every byte keeps its place.
pub(super) fn secrets(text: &str, mut spans: Vec<Range<usize>>) -> String {
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let last = |names: &str| is_secret(names.rsplit(['.', '{', ',', '#']).next().unwrap_or(names).trim());
        if let Some((_, value)) = line.split_once('=').filter(|(names, _)| last(names)) {
            spans.push(start + line.len() - value.len()..start + line.len());
        }
        start += line.len();
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
            ("auth = { kind = \"session\", secret = \"x\" }", "auth = { kind = \"session\", secret = \"x\" }"),
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
