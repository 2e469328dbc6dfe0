//! Mistakes of those who have written other languages than TOML, or have written it with a word processor.

use crate::diagnostic::{Lines, Mistake, codes as code};
use std::ops::Range;

/// What a parser calls a mistake, in the words of those who make it.
pub(super) fn mistake(text: &str, error: &toml::de::Error) -> Mistake {
    let Some(span) = error.span() else {
        return Mistake::of_all(code::CONFIG_SYNTAX, first_line(error), "see whether it is the right file");
    };
    if let Some((span, sentence, hint)) = habit(text, &span) {
        return Mistake::at(code::CONFIG_SYNTAX, span, sentence, hint);
    }
    let sentence = first_line(error);
    let says = |words: &[&str]| words.iter().any(|word| sentence.contains(word));
    let hint = match () {
        () if says(&["duplicate"]) => "it stands further up already: keep one of the two",
        () if says(&["escape", "unicode"]) => "a backslash begins an escape: write two of them, or put the text in single quotes",
        () if says(&["unclosed table"]) => "close the bracket, as in `[server]` and `[[site]]`",
        () if says(&["array"]) => "a list stands in brackets, with commas between its texts: [\"a\", \"b\"]",
        () if says(&["key with no value", "unquoted key", "key-value pair"]) => "write `key = value`, with an equals sign between",
        () if says(&["basic string", "literal string, expected"]) => "close the quotes in the same line",
        () => "text stands in quotes, durations and sizes too; lists in brackets",
    };
    Mistake::at(code::CONFIG_SYNTAX, span, sentence, hint)
}

fn first_line(error: &toml::de::Error) -> &str {
    error.message().lines().next().unwrap_or("this is no TOML").trim()
}

/// What the line shows that the parser stumbled in: where, what it is, and how it is written here.
fn habit(text: &str, span: &Range<usize>) -> Option<(Range<usize>, String, String)> {
    let before = text.get(..span.start)?;
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    let line = text.get(start..)?.lines().next()?;
    let found = |at: usize, len: usize, sentence: &str, hint: &str| Some((start + at..start + at + len, sentence.to_owned(), hint.to_owned()));
    let trimmed = line.trim();
    let (head, indent) = (line.trim_start(), line.len() - line.trim_start().len());
    if let Some(sign) = ["//", ";"].into_iter().find(|sign| head.starts_with(sign)) {
        return found(indent, sign.len(), "a comment begins with `#`", &format!("write `#` where `{sign}` stands"));
    }
    let heading = trimmed.strip_prefix("[[").and_then(|rest| rest.strip_suffix(']')).filter(|name| !name.contains([']', '=']));
    if let Some(name) = heading {
        return found(indent, trimmed.len(), "the heading is not closed", &format!("write `[[{name}]]`, with two brackets on each side"));
    }
    // Where the parser stands, and what is left of the line.
    let rest = line.get(span.start - start..)?;
    let stumbled = |sign: char| rest.starts_with(sign) || text.get(span.clone()).is_some_and(|text| text.contains(sign));
    if let Some(at) = rest.find('\u{A0}').filter(|_| stumbled('\u{A0}')) {
        return found(span.start - start + at, '\u{A0}'.len_utf8(), "an invisible no-break space stands here", "delete it and type a plain space");
    }
    let value = line.find('=').map_or(0, |at| at + 1);
    let quote = line.get(value..)?.char_indices().find(|(_, char)| "“”„‟‘’‚«»".contains(*char));
    let is_text = line.get(value..).is_some_and(|text| text.trim_start().starts_with(is_quote));
    // In a text with straight quotes all others are letters, unless one was to end it.
    if let Some((at, char)) = quote.filter(|_| !is_text || rest.is_empty()) {
        return found(value + at, char.len_utf8(), "these are quotes as word processors make them", "write the straight quote `\"`");
    }
    let word = text.get(span.clone()).unwrap_or_default();
    if ["yes", "no", "on", "off", "true", "false"].iter().any(|known| known.eq_ignore_ascii_case(word)) {
        let at = span.start - start;
        return found(at, word.len(), &format!("`{word}` is no value"), "write `true` or `false`, in small letters and without quotes");
    }
    let rest = rest.trim_start();
    if rest.starts_with("//") {
        return found(line.len() - rest.len(), 2, "a comment begins with `#`", "write `#` where `//` stands");
    }
    let at = span.start - start + word.trim_end().len();
    match () {
        () if rest.starts_with(';') => found(line.len() - rest.len(), 1, "nothing stands behind a value", "take the `;` away"),
        () if !word.contains(is_quote) && word.trim_end().len() > 1 && word.trim_end().ends_with(';') => {
            found(at - 1, 1, "nothing stands behind a value", "take the `;` away")
        }
        () => None,
    }
}

/// Where a list begins that has no end, so that the parser takes the lines that follow for values in it.
pub(super) fn list_left_open(text: &str, lines: &Lines, errors: &[toml::de::Error]) -> Option<Range<usize>> {
    let stumbled = errors.iter().find(|error| error.message().contains("array") && !error.message().contains("unclosed"))?.span()?;
    let after = lines.line(stumbled.start);
    let line = |number: usize| lines.start(number).and_then(|start| text.get(start..)?.lines().next());
    let begins_anew = |text: &str| is_key(text) || text.trim_start().starts_with("[[") || is_heading(text);
    if !line(after).is_some_and(begins_anew) {
        return None;
    }
    // The nearest line above that begins a list and nothing between that ends it.
    for number in (1..after).rev() {
        let above = line(number)?;
        if let Some((key, value)) = above.split_once('=').filter(|_| is_key(above)) {
            let is_open = value.trim_start().starts_with('[') && !value.contains(']');
            let at = lines.start(number)? + key.len() + 1 + (value.len() - value.trim_start().len());
            return is_open.then(|| at..at + 1);
        }
        if above.contains(']') && !begins_anew(above) {
            return None;
        }
    }
    None
}

pub(super) fn open_list(span: Range<usize>) -> Mistake {
    Mistake::at(code::CONFIG_SYNTAX, span, "the list that begins here is not closed", "put a `]` at its end")
}

fn is_quote(char: char) -> bool {
    "\"'".contains(char)
}

/// Whether a line looks like `key = …`.
fn is_key(line: &str) -> bool {
    let name = line.split_once('=').map(|(name, _)| name.trim());
    name.is_some_and(|name| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')))
}

/// Whether a line looks like `[table]`.
fn is_heading(line: &str) -> bool {
    let name = line.trim().strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    name.is_some_and(|name| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')))
}
