//! `check` and `config`: what the command line says of a `lodger.toml`, seen from a terminal.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

/// A file without mistakes.
const GOOD: &str = "[[site]]\nhosts = \"example.org\"\n\n[[site.route]]\npath = \"/\"\nrespond = \"hello\"\n";

/// A file with two.
const BAD: &str = "[server]\nthreds = 1\n\n[[site]]\nhosts = \"https://example.org\"\n";

/// A program of ours in a folder of its own, and a folder elsewhere to start it in.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        for name in ["web", "elsewhere"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        // Not a copy: a child of another test may hold it open for writing, and the kernel starts no such program. Not a symbolic link: the kernel says of a running program where the
        // file itself lies.
        fs::hard_link(env!("CARGO_BIN_EXE_lodger"), folder.path().join("web/lodger")).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(self.path("web/lodger"));
        command.env_clear().args(args).current_dir(self.path("elsewhere")).stdin(Stdio::null());
        command
    }

    /// Starts the program as a web server does for one request.
    fn ask(&self) -> Said {
        let request = [("GATEWAY_INTERFACE", "CGI/1.1"), ("SERVER_PROTOCOL", "HTTP/1.1"), ("REQUEST_METHOD", "GET"), ("REQUEST_URI", "/")];
        Said::of(&self.command(&[]).envs(request).output().unwrap())
    }

    fn run(&self, args: &[&str]) -> Said {
        Said::of(&self.command(args).output().unwrap())
    }
}

/// How a command ended and what it said.
#[derive(Debug)]
struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Said {
    fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        Self { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

#[test]
fn a_file_without_mistakes_is_fine() {
    let place = Place::new();
    let path = place.write("web/lodger.toml", GOOD);
    let said = place.run(&["check"]);
    assert_eq!((said.code, said.out), (Some(0), format!("{} is fine: 1 site and 1 route\n", shown(&path))));
    assert_eq!(said.err, "");
}

#[test]
fn every_mistake_is_told_with_its_place_and_its_cure() {
    let place = Place::new();
    let path = shown(&place.write("web/lodger.toml", BAD));
    let said = place.run(&["check"]);
    assert_eq!((said.code, said.out.as_str()), (Some(1), ""), "{said:?}");
    for part in [
        "error[LG0203]",
        &format!("{path}:2:1"),
        "did you mean `threads`?",
        "error[LG0209]",
        &format!("{path}:5:9"),
        &format!("{path}: 2 mistakes\n"),
    ] {
        assert!(said.err.contains(part), "{part} is not in {}", said.err);
    }
}

#[test]
fn warnings_are_not_counted_as_mistakes() {
    let place = Place::new();
    place.write("web/lodger.toml", "[server]\nthreads = 0\n\n[[site]]\n\n[[site.route]]\npath = \"/*\"\nrespond = \"x\"\n");
    let said = place.run(&["check"]);
    assert_eq!(said.code, Some(1), "{}", said.err);
    assert!(said.err.ends_with(": 1 mistake and 1 warning\n"), "{}", said.err);
}

#[test]
fn a_warning_is_a_problem_and_the_site_is_served_all_the_same() {
    let place = Place::new();
    place.write("web/lodger.toml", "[[site]]\nroute = [{ path = \"/\", files = \"public\" }]\n");
    let said = place.run(&["check"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.err.contains("warning[LG0210]") && said.err.contains("1 warning; the site is served all the same"), "{}", said.err);
}

#[test]
fn the_stock_program_has_no_app_that_a_route_could_name() {
    let place = Place::new();
    place.write("web/lodger.toml", "[[site]]\nroute = [{ path = \"/\", app = \"app\" }]\n");
    let said = place.run(&["check"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.err.contains("LG0213") && said.err.contains("this program has no app"), "{}", said.err);
}

#[test]
fn the_option_goes_before_the_variable_and_the_variable_before_what_lies_beside_the_program() {
    let place = Place::new();
    place.write("web/lodger.toml", BAD);
    let second = place.write("second/lodger.toml", GOOD);
    let third = place.write("third/site.toml", GOOD);
    let by_variable = Said::of(&place.command(&["check"]).env("LODGER_CONFIG", &second).output().unwrap());
    assert!(by_variable.code == Some(0) && by_variable.out.starts_with(&shown(&second)), "{by_variable:?}");
    let by_option = Said::of(&place.command(&["check", "--config", &shown(&third)]).env("LODGER_CONFIG", "/nowhere").output().unwrap());
    assert!(by_option.code == Some(0) && by_option.out.starts_with(&shown(&third)), "{by_option:?}");
    let by_empty_variable = Said::of(&place.command(&["check"]).env("LODGER_CONFIG", "").output().unwrap());
    assert_eq!(by_empty_variable.code, Some(1), "an empty variable names nothing: {by_empty_variable:?}");
}

#[test]
fn a_file_that_is_not_there_or_cannot_be_read_is_told_so() {
    let place = Place::new();
    let nowhere = shown(&place.path("nowhere.toml"));
    let folder = shown(&place.path("elsewhere"));
    for verb in [&["check"][..], &["config", "show"]] {
        for name in [&nowhere, &folder] {
            let said = place.run(&[verb, &["--config", name]].concat());
            assert!(said.code == Some(3) && said.err.contains("LG0201") && said.err.contains(name), "{said:?}");
        }
        let said = place.run(verb);
        assert!(said.code == Some(3) && said.err.contains("there is no lodger.toml beside the program"), "{said:?}");
    }
}

#[test]
fn wrong_arguments_are_wrong_usage() {
    let place = Place::new();
    for args in [&["check", "--cofnig", "x"][..], &["check", "x"], &["config"], &["config", "shwo"], &["check", "--config"]] {
        let said = place.run(args);
        assert_eq!((said.code, said.out.as_str()), (Some(2), ""), "{args:?}: {said:?}");
    }
}

#[test]
fn the_reference_is_a_file_that_check_takes() {
    let place = Place::new();
    let said = place.run(&["config", "reference"]);
    assert_eq!(said.code, Some(0));
    place.write("web/lodger.toml", &said.out);
    assert_eq!(place.run(&["check"]).code, Some(0));
    assert!(said.out.contains("\n#[[site.route]]\n") && said.out.contains("\n#request-timeout = \"30s\"\n"), "{}", said.out);
}

#[test]
fn the_page_and_the_schema_need_no_file() {
    let place = Place::new();
    let page = place.run(&["config", "page"]);
    assert_eq!((page.code, page.out.as_str()), (Some(0), include_str!("../../docs/configuration.md")));
    let schema = place.run(&["config", "schema"]);
    let parsed: serde_json::Value = serde_json::from_str(&schema.out).unwrap();
    assert_eq!(parsed["title"], "lodger.toml");
}

#[test]
fn show_says_where_a_value_comes_from() {
    let place = Place::new();
    place.write("web/lodger.toml", &format!("{GOOD}timeout = \"3s\"\n"));
    let said = place.run(&["config", "show"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    for line in ["request-timeout = \"30s\"  # default", "respond = \"hello\"  # lodger.toml:6", "timeout = \"3s\"  # lodger.toml:7"] {
        assert!(said.out.lines().any(|found| found == line), "{line} is not in {}", said.out);
    }
    place.write("web/lodger.toml", BAD);
    assert_eq!(place.run(&["config", "show"]).code, Some(1));
}

#[test]
fn paths_are_relative_to_the_file_wherever_the_program_was_started() {
    let place = Place::new();
    place.write("second/public/index.html", "here");
    place.write("second/lodger.toml", "[[site]]\nroute = [{ path = \"/\", files = \"public\" }]\n");
    // Named from the folder above and from the folder itself, without anything before it.
    for (folder, name) in [("elsewhere", "../second/lodger.toml"), ("second", "lodger.toml")] {
        let output = place.command(&["check", "--config", name]).current_dir(place.path(folder)).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{:?}", Said::of(&output));
    }
}

#[test]
fn no_secret_is_printed() {
    let place = Place::new();
    place.write("private/token", "a-token-that-nobody-may-see\n");
    place.write("private/short", "may-see\n");
    let site = |tokens: &str| format!("[[site]]\nauth = {{ kind = \"bearer\", tokens = {tokens} }}\n");
    let fine = "[\"${file:../private/token}\", \"${TOKEN}\", \"literal-that-nobody-may-see\"]";
    for (tokens, code) in
        [(fine, 0), ("[\"${file:../private/short}\"]", 1), ("\"may-see\"", 1), ("[\"literal-that-nobody-may-see\", 1]", 1), ("may-see", 1)]
    {
        place.write("web/lodger.toml", &site(tokens));
        for verb in [&["check"][..], &["config", "show"]] {
            let said = Said::of(&place.command(verb).env("TOKEN", "variable-that-nobody-may-see").output().unwrap());
            assert_eq!(said.code, Some(code), "{said:?}");
            assert!(!said.out.contains("may-see") && !said.err.contains("may-see"), "{said:?}");
        }
    }
}

#[test]
fn a_variable_that_is_not_set_is_named() {
    let place = Place::new();
    place.write("web/lodger.toml", "[[site]]\nname = \"${SHOP}\"\n");
    let said = place.run(&["check"]);
    assert!(said.code == Some(1) && said.err.contains("the variable SHOP is not set") && said.err.contains("lodger.toml:2:8"), "{said:?}");
}

#[test]
fn a_program_that_serves_one_request_does_not_repeat_the_warnings_of_its_file() {
    let place = Place::new();
    place.write("web/lodger.toml", "[[site]]\nroute = [{ path = \"/\", respond = \"hi\" }, { path = \"/a/\", files = \"public\" }]\n");
    let said = place.ask();
    assert!(said.code == Some(0) && said.out.ends_with("\r\n\r\nhi"), "{said:?}");
    assert!(!said.err.contains("LG0210"), "{}", said.err);
}

#[test]
fn a_file_with_mistakes_has_them_told_in_the_state_directory_that_it_names() {
    let place = Place::new();
    let path = place.write("web/lodger.toml", &format!("[server]\nstate-dir = \"../state\"\n{}", BAD.replace("[server]\n", "")));
    let said = place.ask();
    assert!(said.out.contains("503"), "{said:?}");
    let told = fs::read_to_string(place.path("state/config-errors.txt")).unwrap();
    assert!(told.contains(&format!(" GMT: {} cannot be used\n\n", shown(&path))) && told.contains("did you mean `threads`?"), "{told}");
}
