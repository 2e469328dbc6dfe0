//! The command line of a program built with `run`, seen from a terminal.

use crate::peer::testapp;
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn run(args: &[&str]) -> Output {
    Command::new(testapp()).env_clear().args(args).stdin(Stdio::null()).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn by_hand_it_says_what_it_is_and_what_to_type_next() {
    let output = run(&[]);
    let screen = text(&output.stdout);
    assert!(output.status.success());
    assert!(screen.starts_with("testapp is a web application for shared hosting") && screen.contains("testapp request GET /"), "{screen}");
}

#[test]
fn the_stock_binary_shows_the_screen_of_its_fixture() {
    let output = Command::new(env!("CARGO_BIN_EXE_lodger")).env_clear().stdin(Stdio::null()).output().unwrap();
    assert_eq!(text(&output.stdout), include_str!("../../fixtures/cli/screen.txt"));
}

#[test]
fn help_and_version_are_fine_and_nonsense_is_wrong_usage() {
    let help = run(&["--help"]);
    assert!(help.status.success() && text(&help.stdout).contains("request") && text(&help.stdout).contains("Examples:"));
    assert_eq!(text(&run(&["--version"]).stdout), concat!("testapp built with lodger ", env!("CARGO_PKG_VERSION"), "\n"));
    for nonsense in [
        &["reqest"][..],
        &["request"],
        &["request", "GET", "no-slash"],
        &["request", "GET", "/", "-H", "nonsense"],
        &["request", "GET", "/", "--mount", "x"],
    ] {
        assert_eq!(run(nonsense).status.code(), Some(2), "{nonsense:?}");
    }
}

#[test]
fn a_request_goes_through_the_whole_program_both_ways() {
    for via in ["fastcgi", "cgi"] {
        let output = run(&["request", "GET", "/hello", "--via", via]);
        assert_eq!((output.status.code(), text(&output.stdout)), (Some(0), "hello, world\n".to_owned()), "{via}");
        assert!(text(&output.stderr).starts_with("200 OK\n"), "{via}: {}", text(&output.stderr));
        let output = run(&["request", "POST", "/count", "-d", "hello", "--via", via]);
        assert!(text(&output.stdout).starts_with("5 2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"), "{via}");
    }
}

#[test]
fn the_exit_code_tells_errors_and_broken_responses() {
    for via in ["fastcgi", "cgi"] {
        let code = |path: &str| run(&["request", "GET", path, "--via", via]).status.code();
        assert_eq!(code("/status/404"), Some(0), "{via}: a 404 is an answer");
        assert_eq!(code("/panic"), Some(1), "{via}");
        assert_eq!(code("/fail-late?n=200000"), Some(1), "{via}");
        assert_eq!(code("/fail-late?n=200000&cl=1"), Some(1), "{via}");
    }
}

#[test]
fn host_mount_and_headers_reach_the_app() {
    let args = ["request", "GET", "/env?x=1", "--host", "a.example", "--mount", "/sub/app.fcgi", "-H", "X-Tag: one"];
    let seen: serde_json::Value = serde_json::from_slice(&run(&args).stdout).unwrap();
    assert_eq!((&seen["host"], &seen["mount"], &seen["uri"]), (&"a.example".into(), &"/sub/app.fcgi".into(), &"/env?x=1".into()));
    assert!(seen["headers"].as_array().unwrap().contains(&serde_json::json!(["x-tag", "one"])));
}

#[test]
fn a_mount_is_a_folder_or_a_program_and_a_method_may_be_typed_small() {
    for (mount, expect) in [("/sub", "/sub"), ("/sub/", "/sub"), ("/", "")] {
        let seen: serde_json::Value = serde_json::from_slice(&run(&["request", "get", "/env", "--mount", mount]).stdout).unwrap();
        assert_eq!((&seen["mount"], &seen["uri"], &seen["method"]), (&expect.into(), &"/env".into(), &"GET".into()), "{mount}");
    }
}

#[test]
fn verbose_prints_the_records() {
    let output = run(&["request", "GET", "/hello", "-v"]);
    let told = text(&output.stderr);
    assert!(told.contains("sent     BEGIN_REQUEST") && told.contains("received END_REQUEST") && told.contains(" ms "), "{told}");
}

#[test]
fn under_cgi_arguments_are_never_read() {
    let output = Command::new(testapp())
        .env_clear()
        .args(["serve", "--socket", "/nonexistent/socket", "--help"])
        .envs([("REQUEST_METHOD", "GET"), ("REQUEST_URI", "/hello")])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success());
    assert!(text(&output.stdout).starts_with("Status: 200 OK\r\n") && text(&output.stdout).ends_with("hello, world\n"));
}

#[test]
fn the_command_line_can_be_forced_where_a_request_method_is_set() {
    let output = Command::new(testapp()).env_clear().envs([("REQUEST_METHOD", "GET"), ("LODGER_CLI", "1")]).stdin(Stdio::null()).output().unwrap();
    assert!(text(&output.stdout).starts_with("testapp is a web application"));
}

#[test]
fn serve_without_a_socket_says_how_to_go_on() {
    let output = run(&["serve"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("LG0101") && text(&output.stderr).contains("hint:"));
}

/// Runs `init --panel passenger` of the stock binary on `folder`, with its paths replaced by words.
fn init(folder: &Path, more: &[&str]) -> (Option<i32>, String, String) {
    let program = env!("CARGO_BIN_EXE_lodger");
    let output = Command::new(program).args(["init", "--panel", "passenger"]).args(more).arg(folder).stdin(Stdio::null()).output().unwrap();
    let words = |bytes: &[u8]| text(bytes).replace(program, "PROGRAM").replace(folder.to_str().unwrap(), "DIR");
    (output.status.code(), words(&output.stdout), words(&output.stderr))
}

#[test]
fn init_writes_the_file_by_which_passenger_finds_the_program() {
    let folder = tempfile::tempdir().unwrap();
    let (code, told, _) = init(folder.path(), &[]);
    assert_eq!((code, told.as_str()), (Some(0), include_str!("../../fixtures/cli/init-passenger.txt")));
    let written: serde_json::Value = serde_json::from_slice(&fs::read(folder.path().join("Passengerfile.json")).unwrap()).unwrap();
    let expect = serde_json::json!({ "app_start_command": env!("CARGO_BIN_EXE_lodger"), "app_supports_kuria_protocol": true });
    assert_eq!(written, expect);
    let (again, ..) = init(folder.path(), &[]);
    assert_eq!(again, Some(0), "a second time it is the same");
}

#[test]
fn init_can_be_tried_without_a_change() {
    let folder = tempfile::tempdir().unwrap();
    let (code, told, _) = init(folder.path(), &["--dry-run"]);
    assert_eq!((code, told.as_str()), (Some(0), include_str!("../../fixtures/cli/init-passenger-dry-run.txt")));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn what_init_tells_is_what_the_sample_says() {
    let sample = include_str!("../../htaccess-samples/passenger.htaccess");
    let lines: Vec<_> = sample.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    assert_eq!(lines, ["PassengerEnabled on"]);
    assert!(include_str!("../../fixtures/cli/init-passenger.txt").contains("\nPassengerEnabled on\n"));
}

#[test]
fn init_destroys_no_file_and_says_what_is_wrong_with_it() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("Passengerfile.json"), "{ half").unwrap();
    let (code, told, error) = init(folder.path(), &[]);
    assert_eq!((code, told.as_str()), (Some(3), ""));
    assert!(error.starts_with("error[LG0116]: DIR/Passengerfile.json cannot be written: ") && error.contains("hint:"), "{error}");
    assert_eq!(fs::read_to_string(folder.path().join("Passengerfile.json")).unwrap(), "{ half");
    let (code, _, error) = init(&folder.path().join("none"), &[]);
    assert_eq!(code, Some(3), "{error}");
}

#[test]
fn a_panel_that_init_does_not_know_is_wrong_usage_and_those_it_knows_are_named() {
    for args in [&["init", "--panel", "webmin"][..], &["init"]] {
        let output = run(args);
        assert_eq!(output.status.code(), Some(2));
    }
    assert!(text(&run(&["init", "--panel", "webmin"]).stderr).contains("[possible values: passenger]"));
}
