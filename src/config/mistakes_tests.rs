//! Files with mistakes in them, `fixtures/config/err/*.toml`, and beside each what its owner is told. `LODGER_WRITE=1` writes that anew.

use super::{Config, Mistakes};
use crate::diagnostic::codes;
use std::{
    fs,
    path::{Path, PathBuf},
};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/config/err")
}

/// The files of the folder that end so, in the order of their names.
pub(super) fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let all = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = all.filter(|path| path.extension().is_some_and(|found| found == extension)).collect();
    files.sort();
    files
}

/// Compares a text with a file, or writes the file.
pub(super) fn compare(path: &Path, text: &str) {
    if std::env::var("LODGER_WRITE").as_deref() == Ok("1") {
        fs::write(path, text).unwrap();
    }
    let expected = fs::read_to_string(path).unwrap_or_default();
    assert_eq!(text, expected, "{} is not as LODGER_WRITE=1 would write it", path.display());
}

/// Everything that `check` would tell of a file, for a program whose app is called `app`.
fn told(path: &Path) -> Vec<Mistakes> {
    match Config::load(path) {
        Ok(config) => vec![config.warnings().clone(), config.unknown_apps(&["app"])],
        Err(mistakes) => vec![mistakes],
    }
}

fn rendered(path: &Path) -> String {
    let told: Vec<String> = told(path).iter().filter(|mistakes| !mistakes.is_empty()).map(Mistakes::to_string).collect();
    told.join("\n").replace(&format!("{}/", folder().display()), "")
}

#[test]
fn every_mistake_is_told_as_its_fixture_says() {
    for path in files(&folder(), "toml") {
        compare(&path.with_extension("txt"), &rendered(&path));
    }
    for path in files(&folder(), "toml") {
        assert_ne!(rendered(&path), "", "{} has no mistake", path.display());
    }
}

#[test]
fn every_mistake_has_a_place_a_sentence_and_a_cure() {
    for path in files(&folder(), "toml") {
        for mistake in told(&path).iter().flat_map(Mistakes::iter) {
            let name = path.display();
            assert!(!mistake.sentence.is_empty() && !mistake.sentence.ends_with('.'), "{name}: {mistake:?}");
            assert!(!mistake.hint.is_empty() && mistake.hint != mistake.sentence, "{name}: {mistake:?}");
            assert!(mistake.span.is_some(), "{name}: {mistake:?}");
        }
    }
}

#[test]
fn no_secret_is_told_with_a_mistake() {
    let (mut seen, secret) = (0, "hush");
    for path in files(&folder(), "toml") {
        seen += usize::from(fs::read(&path).unwrap().windows(secret.len()).any(|window| window == secret.as_bytes()));
        assert!(!rendered(&path).contains(secret), "{}", path.display());
    }
    assert!(seen >= 4, "{seen} fixtures have a secret");
}

#[test]
fn every_code_of_a_configuration_has_a_fixture() {
    let texts: String = files(&folder(), "txt").iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    // These three are of a file that cannot be read, and of one that was changed while it is used.
    let elsewhere = [codes::CONFIG_UNREADABLE, codes::CONFIG_BROKEN, codes::CONFIG_NEEDS_RESTART];
    for code in codes::ALL.iter().filter(|code| code.as_str().starts_with("LG02") && !elsewhere.contains(code)) {
        assert!(texts.contains(code.as_str()), "no fixture has {code}");
    }
}

/// The texts between quotes of the code of a file, as they would be printed.
fn sentences(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    let code = code.split("#[cfg(test)]").next().unwrap_or_default();
    for line in code.lines().map(str::trim).filter(|line| !line.starts_with("//")) {
        let line = line.replace("\\\"", "\u{1}");
        found.extend(line.split('"').skip(1).step_by(2).map(|text| text.replace('\u{1}', "\"")));
    }
    found
}

/// A piece of text that is printed as it stands: the longest between the braces of a format string.
fn longest_piece(text: &str) -> String {
    let without = text.replace("{{", "{").replace("}}", "}");
    let mut pieces = vec![String::new()];
    let mut inside = false;
    for char in without.chars() {
        match char {
            '{' => inside = true,
            '}' if inside => {
                inside = false;
                pieces.push(String::new());
            }
            char if !inside => pieces.last_mut().unwrap().push(char),
            _ => {}
        }
    }
    pieces.into_iter().max_by_key(String::len).unwrap_or_default()
}

#[test]
fn every_sentence_of_the_source_is_told_by_a_fixture() {
    let told: String = files(&folder(), "txt").iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    let told = told.split_whitespace().collect::<Vec<_>>().join(" ");
    let sources = [
        include_str!("mistakes.rs"),
        include_str!("file.rs"),
        include_str!("syntax.rs"),
        include_str!("resolve/mod.rs"),
        include_str!("resolve/exposed.rs"),
        include_str!("resolve/handler.rs"),
        include_str!("resolve/layers.rs"),
        include_str!("resolve/policy.rs"),
        include_str!("resolve/site.rs"),
        include_str!("resolve/slips.rs"),
        include_str!("resolve/template.rs"),
    ];
    // Of a file that cannot be read, of a program without an app, and of what no file is known to cause.
    let elsewhere = [
        "this is no TOML",
        "there is no lodger.toml beside the program (",
        "put one there, or name it with the variable LODGER_CONFIG",
        "the file is larger than ",
        "see whether it is the right file",
        "the file cannot be read: ",
        "see that it exists and may be read by this user",
        "this program has no app: give the route another handler",
        " is no path of a route: ",
        "it stands at the top of the file",
    ];
    // Texts that are no sentences: words of the parser, headers, and what lies between two quotes that are characters.
    let others = ["unquoted key", "literal string, expected", "public, max-age=", "; includeSubDomains", ").to_owned()"];
    let all = sources.iter().flat_map(|source| sentences(source));
    let missing: Vec<String> = all
        .map(|sentence| longest_piece(&sentence))
        .filter(|piece| piece.trim().contains(' ') && !others.iter().any(|other| piece.contains(other)))
        .filter(|piece| !elsewhere.iter().any(|other| piece.trim_matches('`') == *other))
        .filter(|piece| !told.contains(piece.split_whitespace().collect::<Vec<_>>().join(" ").as_str()))
        .collect();
    assert!(missing.is_empty(), "no fixture tells:\n{}", missing.join("\n"));
}

#[test]
fn a_file_that_is_not_there_is_told_with_its_path() {
    let folder = tempfile::tempdir().unwrap();
    for path in [folder.path().join("lodger.toml"), folder.path().to_owned()] {
        let told = Config::load(&path).unwrap_err().to_string();
        assert!(told.contains("LG0201") && told.contains(&path.display().to_string()) && told.contains("cannot be read"), "{told}");
    }
}

#[test]
fn a_program_without_a_file_is_told_so_in_one_line() {
    // No file lies beside the program of these tests.
    let told = Config::find().unwrap_err().to_string();
    assert!(told.starts_with("LG0201: there is no lodger.toml beside the program (/"), "{told}");
    assert!(!told.contains('\n'), "{told}");
}

#[test]
fn a_file_that_is_far_too_large_is_not_read_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lodger.toml");
    // A file with a hole: it takes no room.
    fs::File::create(&path).unwrap().set_len(1 << 40).unwrap();
    let told = Config::load(&path).unwrap_err().to_string();
    assert!(told.contains("LG0201") && told.contains("larger than 64 MiB"), "{told}");
}

#[test]
fn the_state_directory_is_known_of_a_file_with_mistakes_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lodger.toml");
    for (text, state) in [
        ("[server]\nstate-dir = \"state\"\nthreds = 1\n", Some("state")),
        ("[server]\nstate-dir = \"state\"\n[[site]\nhosts =\n", Some("state")),
        ("\u{FEFF}[server]\nstate-dir = \"/state\"\nthreads = 0\n", Some("/state")),
        ("[server]\nstate-dir = \"${NOBODY_SETS_THIS}\"\n", None),
        ("[server]\nstate-dir = 1\n", None),
        ("[[site]]\nstate-dir = \"state\"\n", None),
    ] {
        fs::write(&path, text).unwrap();
        assert!(Config::load(&path).is_err(), "{text}");
        assert_eq!(super::state_dir_of(&path), state.map(|state| folder.path().join(state)), "{text}");
    }
    assert_eq!(super::state_dir_of(folder.path()), None);
}
