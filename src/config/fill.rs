//! `${NAME}` and `${file:PATH}` in a text: secrets that do not stand in the file.

use super::small::read_small;
use std::path::Path;

/// The largest file that fills in a text, in bytes. 64 KiB: keys and certificates are smaller.
const LARGEST: u64 = 64 * 1024;

/// Where variables come from.
pub(super) type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// What a text says once everything is filled in, and whether something was.
///
/// `$${` stands for `${`. The line end at the end of a file does not belong to its text.
///
/// # Errors
///
/// A sentence that names what is missing, and what to do about it.
pub(super) fn fill(text: &str, folder: &Path, variables: Lookup<'_>) -> Result<(String, bool), (String, &'static str)> {
    let (mut whole, mut rest, mut filled) = (String::with_capacity(text.len()), text, false);
    while let Some(at) = rest.find("${") {
        let (before, name) = rest.split_at(at);
        let Some(escaped) = before.strip_suffix('$') else {
            let (name, after) = name[2..]
                .split_once('}')
                .ok_or_else(|| ("`${` has no end".to_owned(), "close it with `}`, or write `$${` for a dollar sign and a brace"))?;
            whole.push_str(before);
            whole.push_str(&value(name.trim(), folder, variables)?);
            (rest, filled) = (after, true);
            continue;
        };
        whole.push_str(escaped);
        whole.push_str("${");
        rest = &name[2..];
    }
    whole.push_str(rest);
    Ok((whole, filled))
}

/// The files that a text names to be filled in.
pub(super) fn files(text: &str) -> impl Iterator<Item = &str> {
    let starts = text.match_indices("${file:").filter(|(at, _)| !text[..*at].ends_with('$'));
    starts.filter_map(|(at, start)| text[at + start.len()..].split_once('}')).map(|(path, _)| path.trim())
}

fn value(name: &str, folder: &Path, variables: Lookup<'_>) -> Result<String, (String, &'static str)> {
    if let Some(path) = name.strip_prefix("file:") {
        let path = folder.join(path.trim());
        let hint = "make the file, readable for you alone and above the document root";
        let text = read_small(&path, LARGEST).map_err(|error| (format!("{} cannot be read: {error}", path.display()), hint))?;
        return Ok(text.strip_suffix('\n').map_or(text.as_str(), |text| text.strip_suffix('\r').unwrap_or(text)).to_owned());
    }
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return Err((
            format!("`${{{name}}}` is neither a variable nor a file"),
            "write `${NAME}`, `${file:PATH}`, or `$${` for a dollar sign and a brace",
        ));
    }
    let hint = "web servers set hardly any variables; `${file:PATH}` reads a file instead";
    variables(name).ok_or_else(|| (format!("the variable {name} is not set"), hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &str) -> Result<(String, bool), String> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("key"), "s3cret\n").unwrap();
        fill(text, folder.path(), &|name| (name == "USER").then(|| "me".to_owned())).map_err(|(sentence, _)| sentence)
    }

    #[test]
    fn variables_and_files_are_filled_in() {
        for (text, expected, is_filled) in [
            ("plain $ { } text", "plain $ { } text", false),
            ("a ${USER} b", "a me b", true),
            ("${file:key}-${USER}", "s3cret-me", true),
            ("$${USER}", "${USER}", false),
            ("$$${USER}", "$${USER}", false),
            ("", "", false),
        ] {
            assert_eq!(filled(text).unwrap(), (expected.to_owned(), is_filled), "{text}");
        }
    }

    #[test]
    fn the_files_that_a_text_names_are_found() {
        for (text, expected) in [("${file:a}-${file: b/c }", &["a", "b/c"][..]), ("$${file:a} ${A} ${file:b", &[]), ("", &[])] {
            assert_eq!(files(text).collect::<Vec<_>>(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        for (text, sentence) in
            [("${NOPE}", "NOPE is not set"), ("${file:nope}", "cannot be read"), ("${USER", "has no end"), ("${}", "neither"), ("${a b}", "neither")]
        {
            let error = filled(text).unwrap_err();
            assert!(error.contains(sentence), "{text}: {error}");
        }
    }
}
