//! Files without mistakes, `fixtures/config/ok/*.toml`: together they use every key, and beside each stands what `config show` says of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

use super::{
    Config,
    file::{Section, Value},
    keys::{self, Kind, Table},
    mistakes_tests::{compare, files},
    print,
};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// What stands in secrets of the fixtures, and of nothing else in them.
const SECRET: &str = "nobody-may-see";

pub(super) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/config/ok")
}

fn variables(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn load(path: &Path) -> Config {
    Config::load(path).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

#[test]
fn files_without_mistakes_are_taken_as_they_are() {
    for path in files(&folder(), "toml") {
        let config = load(&path);
        assert!(config.warnings().is_empty(), "{}", config.warnings());
        assert!(config.unknown_apps(&["app"]).is_empty());
    }
}

#[test]
fn show_says_every_value_and_where_it_comes_from() {
    for path in files(&folder(), "toml") {
        compare(&path.with_extension("show"), &print::show(&load(&path), &variables));
    }
}

/// Every key that a file uses, by its table, and every choice that it makes.
fn used(section: &Section, table: Table, used: &mut BTreeSet<(Table, String)>) {
    for (name, found) in &section.values {
        used.insert((table, (*name).to_owned()));
        if let (Kind::Choice(_), Value::Text(text)) = (found.key.kind, &found.value) {
            used.insert((table, format!("{name} = {text}")));
        }
    }
    for (name, sections) in &section.tables {
        used.insert((table, (*name).to_owned()));
        let inner = keys::find(table, name).map(|key| key.kind);
        let Some(Kind::One(inner) | Kind::Many(inner)) = inner else { panic!("{name} is no table") };
        for section in sections {
            self::used(section, inner, used);
        }
    }
}

#[test]
fn every_key_and_every_choice_is_used_by_a_fixture() {
    let mut all = BTreeSet::new();
    for path in files(&folder(), "toml") {
        used(&load(&path).sections(&variables), Table::Root, &mut all);
    }
    for table in Table::ALL {
        for key in keys::of(table) {
            assert!(all.contains(&(table, key.name.to_owned())), "no fixture uses {} of {table:?}", key.name);
            if let Kind::Choice(choices) = key.kind {
                for choice in choices {
                    assert!(all.contains(&(table, format!("{} = {choice}", key.name))), "no fixture chooses {choice} for {}", key.name);
                }
            }
        }
    }
}

#[test]
fn no_secret_is_ever_printed() {
    let whole = folder().join("whole.toml");
    assert!(fs::read_to_string(&whole).unwrap().contains(SECRET), "the test has something to look for");
    for path in files(&folder(), "toml") {
        let config = load(&path);
        let sites = format!("{:?}", config.sites().iter().map(|site| &site.layers).collect::<Vec<_>>());
        let routes = format!("{:?}", config.sites().iter().flat_map(|site| &site.routes).map(|route| &route.layers).collect::<Vec<_>>());
        for printed in [print::show(&config, &variables), format!("{config:?}"), sites, routes] {
            assert!(!printed.contains(SECRET), "{printed}");
        }
    }
}

#[test]
fn no_secret_is_printed_when_its_line_has_a_mistake() {
    let text = fs::read_to_string(folder().join("whole.toml")).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let is_near = |at: &usize| lines[at.saturating_sub(1)..lines.len().min(at + 2)].iter().any(|line| line.contains(SECRET));
    let mut seen = 0;
    // Every line with a secret and its neighbours are broken, in three ways.
    for at in (0..lines.len()).filter(is_near) {
        let line = lines[at];
        for broken in [format!("{line} ]"), line.replacen(' ', "", 1).replacen('=', "x=", 1), line.replacen('"', "", 1)] {
            let changed = [&lines[..at], &[broken.as_str()], &lines[at + 1..]].concat().join("\n");
            if let Err(mistakes) = Config::parse(&changed, folder().join("whole.toml")) {
                seen += 1;
                let printed = mistakes.to_string();
                assert!(!printed.contains(SECRET), "{broken}\n{printed}");
            }
        }
    }
    assert!(seen > 10, "{seen}");
}

#[test]
fn paths_are_relative_to_the_file() {
    let folder = folder();
    let config = load(&folder.join("small.toml"));
    let super::model::Handler::Files(files) = &config.sites()[0].routes[0].handler else { panic!("no files") };
    assert_eq!(files.root, folder.join("public"));
}

#[test]
fn variables_are_filled_in() {
    let text = "[[site]]\nname = \"${SHOP}\"\n";
    let variables = |name: &str| (name == "SHOP").then(|| "flowers".to_owned());
    let config = Config::parse_with(text, Path::new("lodger.toml"), &variables).unwrap();
    assert_eq!(&*config.sites()[0].name, "flowers");
    assert!(print::show(&config, &variables).contains("name = \"${SHOP}\"  # lodger.toml:2"), "{}", print::show(&config, &variables));
}
