//! Rules of the house that a test can check: who may use whom, where `unsafe` and binding may stand, how long a file may grow.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A source file below `src`, without its tests and comments.
struct Source {
    path: String,
    text: String,
    code: String,
}

/// The folders whose files we wrote by hand.
const OURS: [&str; 5] = ["src", "tests", "examples", "benches/src", "benches/tests"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn rust_files(folder: &str) -> Vec<PathBuf> {
    let (mut found, mut open) = (Vec::new(), vec![root().join(folder)]);
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found
}

fn sources(folder: &str) -> Vec<Source> {
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        let path = path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
        let without_tests = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        let code = without_tests.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
        Source { code: if is_test(&path) { String::new() } else { code }, path, text }
    };
    rust_files(folder).into_iter().map(read).collect()
}

/// Files that are only compiled for tests end so.
fn is_test(path: &str) -> bool {
    path.ends_with("_tests.rs") || path.ends_with("/tests.rs")
}

/// The modules of the crate that `code` names, by `crate::x`.
fn uses(code: &str) -> Vec<String> {
    let mut used = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        let ident = |text: &str| text.chars().take_while(|char| char.is_alphanumeric() || *char == '_').collect::<String>();
        if let Some(list) = rest.strip_prefix('{') {
            let (mut depth, mut item) = (1, String::new());
            for char in list.chars() {
                match char {
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    ',' if depth == 1 => used.push(ident(std::mem::take(&mut item).trim())),
                    _ => {}
                }
                if depth == 0 {
                    break;
                }
                if depth == 1 && char != ',' {
                    item.push(char);
                }
            }
            used.push(ident(item.trim()));
        } else {
            used.push(ident(rest));
        }
    }
    used.retain(|name| !name.is_empty());
    used
}

/// Who may use whom; the table of docs/architecture.md.
const MAY_USE: &[(&str, &[&str], &[&str])] = &[
    ("proto", &["proto", "limits", "pairs", "profile"], &["tokio::", "http::", "tracing", "std::net", "std::os"]),
    ("cgi", &["cgi", "limits", "page", "pairs", "profile", "trust"], &["tokio::", "proto::"]),
    ("gateway", &["gateway", "cgi", "diagnostic", "error", "sys", "profile"], &["proto::", "tokio::"]),
    ("config", &["config", "diagnostic", "limits", "profile", "sys"], &["tokio::", "cli::"]),
    ("diagnostic", &["diagnostic", "limits"], &["tokio::", "handler::", "cli::"]),
    (
        "handler",
        &[
            "handler",
            "app",
            "body",
            "cgi",
            "config",
            "diagnostic",
            "error",
            "ext",
            "hints",
            "life",
            "page",
            "profile",
            "proto",
            "sys",
            "telemetry",
            "BodyError",
            "Gateway",
        ],
        &["transport::", "gateway::"],
    ),
    (
        "transport",
        &[
            "transport",
            "app",
            "body",
            "cgi",
            "diagnostic",
            "error",
            "ext",
            "gateway",
            "hints",
            "life",
            "limits",
            "profile",
            "proto",
            "role",
            "settings",
            "sys",
            "telemetry",
            "trust",
        ],
        &[],
    ),
    ("life", &["life", "gateway", "diagnostic", "sys", "Limits"], &["transport::"]),
    ("telemetry", &["telemetry", "run", "serve", "sys"], &["proto::", "transport::", "cgi::"]),
    ("cli", &["cli", "app", "cgi", "config", "configured", "diagnostic", "error", "handler", "run", "serve", "sys", "transport"], &["proto::"]),
];

#[test]
fn modules_use_only_what_the_table_allows() {
    let mut wrong = Vec::new();
    for source in sources("src") {
        let module = source.path.strip_prefix("src/").unwrap().split('/').next().unwrap();
        let Some((_, may, must_not)) = MAY_USE.iter().find(|(name, ..)| *name == module) else { continue };
        wrong.extend(uses(&source.code).into_iter().filter(|used| !may.contains(&used.as_str())).map(|used| format!("{} uses {used}", source.path)));
        for name in *must_not {
            let named = source.code.replace("tokio_util::codec", "").lines().any(|line| line.contains(name));
            if named {
                wrong.push(format!("{} names {name}", source.path));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn unsafe_stands_in_sys_alone() {
    for source in sources("src").into_iter().chain(sources("examples")) {
        let word = source.code.split(|char: char| !char.is_alphanumeric() && char != '_').any(|word| word == "unsafe");
        assert!(!word || source.path == "src/sys.rs", "{} holds unsafe", source.path);
    }
}

#[test]
fn no_internet_address_is_ever_bound() {
    for source in sources("src").into_iter().chain(sources("examples")) {
        for name in ["TcpListener::bind", "TcpSocket", "UdpSocket", "libc::bind", "socket2", "axum::serve"] {
            assert!(!source.code.contains(name), "{} names {name}", source.path);
        }
    }
}

#[test]
fn only_the_command_line_and_stdio_write_to_stdout() {
    for source in sources("src") {
        let writes = source.code.contains("stdout()") || source.code.replace("eprintln!", "").contains("println!");
        let may = source.path.starts_with("src/cli/") || source.path == "src/transport/stdio.rs";
        assert!(!writes || may, "{} writes to stdout", source.path);
    }
}

#[test]
fn clap_is_known_to_the_command_line_alone() {
    for source in sources("src") {
        assert!(!source.code.contains("clap::") || source.path.starts_with("src/cli/"), "{} names clap", source.path);
    }
}

#[test]
fn every_file_says_what_it_is_and_stays_short() {
    for source in OURS.into_iter().flat_map(sources) {
        assert!(source.text.starts_with("//!"), "{} does not begin with a //! line", source.path);
        let lines = source.text.lines().count();
        assert!(lines <= 600, "{} has {lines} lines", source.path);
    }
}

#[test]
fn nothing_is_left_for_later_without_an_issue() {
    let mark = ["TO", "DO"].concat();
    for source in OURS.into_iter().flat_map(sources) {
        assert!(!source.text.contains(&mark), "{} leaves something for later", source.path);
    }
}

#[test]
fn the_table_of_the_architecture_page_is_this_one() {
    let page = fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    for (module, may, _) in MAY_USE {
        let row = page.lines().find(|line| line.starts_with(&format!("| `{module}` |"))).unwrap_or_else(|| panic!("no row for {module}"));
        for used in may.iter().filter(|used| *used != module && !used.starts_with(char::is_uppercase)) {
            assert!(row.contains(&format!("`{used}`")), "the row of {module} does not name {used}");
        }
    }
}
