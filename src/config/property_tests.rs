//! Whatever stands in a file, it is a tree of sites or a list of mistakes that can be told; it is never the end of the process.

use super::{Config, Mistakes};
use proptest::prelude::*;
use std::{fs, path::Path, sync::OnceLock};

/// The text of every fixture, with mistakes and without.
fn fixtures() -> &'static [String] {
    static TEXTS: OnceLock<Vec<String>> = OnceLock::new();
    TEXTS.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/config");
        let files = ["ok", "err"].into_iter().flat_map(|name| super::mistakes_tests::files(&root.join(name), "toml"));
        files.filter_map(|path| fs::read_to_string(path).ok()).collect()
    })
}

fn assert_told(text: &str, mistakes: &Mistakes) {
    for mistake in mistakes.iter() {
        if let Some(span) = &mistake.span {
            assert!(text.get(span.clone()).is_some(), "{span:?} does not lie in the text: {mistake:?}");
        }
        assert!(!mistake.sentence.is_empty() && !mistake.hint.is_empty(), "{mistake:?}");
    }
    let told = mistakes.to_string();
    assert!(mistakes.is_empty() || told.contains("LG02"), "{told}");
}

/// Reads a text, and looks at everything that comes of it.
fn read(text: &str) {
    match Config::parse(text, "lodger.toml") {
        Ok(config) => {
            assert_told(text, config.warnings());
            assert_told(text, &config.unknown_apps(&["app"]));
            let _ = (super::print::show(&config, &|_| None), format!("{config:?}"));
        }
        Err(mistakes) => {
            assert!(mistakes.are_errors());
            assert_told(text, &mistakes);
        }
    }
}

/// A place in a text, on a border of characters.
fn border(text: &str, at: usize) -> usize {
    (0..=at % (text.len() + 1)).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default()
}

/// A piece of TOML that is half right.
fn piece() -> impl Strategy<Value = String> {
    let names = super::keys::KEYS.iter().map(|key| key.name).collect::<Vec<_>>();
    let examples = super::keys::KEYS.iter().map(|key| key.example).collect::<Vec<_>>();
    let headers = vec!["[server]", "[[site]]", "[[site.route]]", "[site.auth]", "[site.route.auth]", "[site.error-pages]", "[site]", "[[site.cors]]"];
    let values = prop_oneof![
        proptest::sample::select(examples).prop_map(str::to_owned),
        "\"[^\"\\\\\n]{0,12}\"",
        "-?[0-9]{1,25}",
        "[\\[\\]{}\"'=,.#0-9a-z]{0,8}"
    ];
    prop_oneof![
        1 => proptest::sample::select(headers).prop_map(|header| format!("{header}\n")),
        4 => (proptest::sample::select(names), values).prop_map(|(name, value)| format!("{name} = {value}\n")),
    ]
}

proptest! {
    #[test]
    fn any_bytes_are_a_file(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lodger.toml");
        fs::write(&path, &bytes).unwrap();
        if let Err(mistakes) = Config::load(&path) {
            prop_assert!(mistakes.to_string().contains("LG02"));
        }
    }

    #[test]
    fn any_text_is_a_file(text in any::<String>()) {
        read(&text);
    }

    #[test]
    fn keys_and_tables_in_any_order_are_a_file(pieces in proptest::collection::vec(piece(), 0..30)) {
        read(&pieces.concat());
    }

    #[test]
    fn a_file_with_a_piece_cut_out_doubled_or_put_elsewhere_is_a_file(
        (fixture, other) in (any::<proptest::sample::Index>(), any::<proptest::sample::Index>()),
        places in proptest::array::uniform4(any::<usize>()),
        splice in "[\\x00-\\x7f€\u{feff}]{0,6}",
    ) {
        let (text, other) = (fixture.get(fixtures()), other.get(fixtures()));
        let [a, b] = [border(text, places[0]), border(text, places[1])];
        let (start, end) = (a.min(b), a.max(b));
        let [c, d] = [border(other, places[2]), border(other, places[3])];
        let foreign = &other[c.min(d)..c.max(d)];
        for changed in [
            format!("{}{}", &text[..start], &text[end..]),
            format!("{}{}{}", &text[..end], &text[start..end], &text[end..]),
            format!("{}{splice}{}", &text[..start], &text[start..]),
            format!("{}{foreign}{}", &text[..start], &text[end..]),
        ] {
            read(&changed);
        }
    }
}

#[test]
fn tables_in_tables_do_not_end_the_process() {
    for depth in [100, 100_000] {
        for text in [
            format!("a = {}{}", "[".repeat(depth), "]".repeat(depth)),
            format!("a = {}1{}", "{a=".repeat(depth), "}".repeat(depth)),
            format!("[{}a]", "a.".repeat(depth)),
            format!("{}a = 1", "a.".repeat(depth)),
            format!("site = [{{ route = {} }}]", "[".repeat(depth)),
        ] {
            assert!(Config::parse(&text, "lodger.toml").is_err());
        }
    }
}

#[test]
fn a_file_with_thousands_of_sites_is_read_in_no_time() {
    let site = |at: usize| format!("[[site]]\nhosts = \"site-{at}.example\"\n[[site.route]]\npath = \"/\"\nrespond = \"x\"\n");
    let text: String = (0..5_000).map(site).collect();
    let began = std::time::Instant::now();
    assert_eq!(Config::parse(&text, "lodger.toml").unwrap().sites().len(), 5_000);
    // Generous: this tells a second from the minutes that something quadratic takes.
    assert!(began.elapsed() < std::time::Duration::from_secs(20), "{:?}", began.elapsed());
}

#[test]
fn thousands_of_mistakes_are_told_in_no_time() {
    let text = "[[site]]\nhots = 1\n".repeat(9_000);
    let began = std::time::Instant::now();
    let mistakes = Config::parse(&text, "lodger.toml").unwrap_err();
    let shown = mistakes.to_string();
    assert!(shown.contains("lodger.toml:60:1") && shown.ends_with(&format!("\n\nand {} more\n", mistakes.len() - 100)));
    assert_eq!(mistakes.iter().last().and_then(|last| mistakes.place(last)), Some((18_000, 1)));
    // Generous, as above.
    assert!(began.elapsed() < std::time::Duration::from_secs(20), "{:?}", began.elapsed());
}
