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
        &["request", "GET", "/", "--via", "gopher"],
    ] {
        assert_eq!(run(nonsense).status.code(), Some(2), "{nonsense:?}");
    }
}

#[test]
fn a_code_from_the_log_is_explained() {
    for code in ["LG0309", "lg0309", "309"] {
        let page = run(&["explain", code]);
        let said = text(&page.stdout);
        assert!(page.status.success() && said.starts_with("LG0309: a protocol that is not spoken here\n\n"), "{page:?}");
        assert!(said.contains("\n\nWhat to do: "), "{said}");
    }
    let all = text(&run(&["explain"]).stdout);
    let pages = include_str!("../../docs/errors.md");
    assert_eq!(all.lines().count(), pages.lines().filter(|line| line.starts_with("## LG")).count());
    assert!(all.lines().any(|line| line == "LG0309  a protocol that is not spoken here"), "{all}");
    let unknown = run(&["explain", "LG9999"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(text(&unknown.stderr).contains("`explain` alone lists all"), "{unknown:?}");
}

/// Every way into a program that `request` knows.
const WAYS: [&str; 6] = ["fastcgi", "lsapi", "scgi", "uwsgi", "http", "cgi"];

fn request(via: &str, args: &[&str]) -> Output {
    run(&[&["request", "--via", via], args].concat())
}

/// What `/env` says of a request.
fn seen(via: &str, args: &[&str]) -> serde_json::Value {
    let output = request(via, args);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{via}: {error}: {output:?}"))
}

#[test]
fn a_request_goes_through_the_whole_program_every_way() {
    for via in WAYS {
        let output = request(via, &["GET", "/hello"]);
        assert_eq!((output.status.code(), text(&output.stdout)), (Some(0), "hello, world\n".to_owned()), "{via}: {output:?}");
        // Behind LiteSpeed root is warned first.
        assert!(text(&output.stderr).contains("200 OK\n"), "{via}: {}", text(&output.stderr));
        assert_eq!(seen(via, &["GET", "/env"])["gateway"], via);
    }
}

#[test]
fn a_body_goes_up_and_down_every_way() {
    for via in WAYS {
        let output = request(via, &["POST", "/count", "-d", "hello"]);
        assert!(text(&output.stdout).starts_with("5 2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"), "{via}");
        // Close to the longest that one argument may be, and longer than a socket holds.
        let long = "0123456789".repeat(13_000);
        for body in ["hello", &long, ""] {
            let output = request(via, &["POST", "/echo", "-d", body, "-H", "Content-Type: text/x-tag"]);
            assert_eq!((output.status.code(), text(&output.stdout) == body), (Some(0), true), "{via}: {} bytes", body.len());
            assert!(text(&output.stderr).contains("content-type: text/x-tag\n"), "{via}: {}", text(&output.stderr));
        }
    }
}

#[test]
fn a_body_that_nobody_reads_hurts_no_answer() {
    let long = "0123456789".repeat(13_000);
    for via in WAYS {
        let output = request(via, &["POST", "/noread", "-d", &long]);
        assert_eq!((output.status.code(), text(&output.stdout)), (Some(0), "too big\n".to_owned()), "{via}: {}", text(&output.stderr));
    }
}

#[test]
fn a_head_request_has_a_length_and_no_body_every_way() {
    for via in WAYS {
        let output = request(via, &["HEAD", "/hello"]);
        assert_eq!((output.status.code(), text(&output.stdout)), (Some(0), String::new()), "{via}: {output:?}");
        // Behind LiteSpeed root is warned first.
        assert!(text(&output.stderr).contains("200 OK\n"), "{via}: {}", text(&output.stderr));
        assert!(text(&output.stderr).contains("content-length: 13\n"), "{via}: {}", text(&output.stderr));
    }
}

#[test]
fn the_exit_code_tells_errors_and_broken_responses() {
    for via in WAYS {
        let code = |path: &str| request(via, &["GET", path]).status.code();
        assert_eq!(code("/status/404"), Some(0), "{via}: a 404 is an answer");
        assert_eq!(code("/panic"), Some(1), "{via}");
        assert_eq!(code("/fail-late?n=200000&cl=1"), Some(1), "{via}");
        assert_eq!(code("/fail-late?n=200000"), Some(1), "{via}");
    }
}

#[test]
fn a_late_failure_is_told() {
    for via in WAYS {
        let output = request(via, &["GET", "/fail-late?n=2000000"]);
        assert!(text(&output.stderr).contains("the response is broken: "), "{via}: {}", text(&output.stderr));
        assert!(output.stdout.iter().all(|byte| *byte == b'x') && !output.stdout.is_empty(), "{via}: what came before the failure is shown");
    }
}

#[test]
fn host_mount_and_headers_reach_the_app_every_way() {
    for via in WAYS {
        let seen = seen(via, &["GET", "/env?x=1", "--host", "a.example", "--mount", "/sub/app.fcgi", "-H", "X-Tag: one"]);
        assert_eq!((&seen["host"], &seen["mount"], &seen["uri"]), (&"a.example".into(), &"/sub/app.fcgi".into(), &"/env?x=1".into()), "{via}");
        assert!(seen["headers"].as_array().unwrap().contains(&serde_json::json!(["x-tag", "one"])), "{via}");
    }
}

#[test]
fn a_mount_is_a_folder_or_a_program_and_a_method_may_be_typed_small() {
    for (mount, expect) in [("/sub", "/sub"), ("/sub/", "/sub"), ("/", "")] {
        let seen: serde_json::Value = serde_json::from_slice(&run(&["request", "get", "/env", "--mount", mount]).stdout).unwrap();
        assert_eq!((&seen["mount"], &seen["uri"], &seen["method"]), (&expect.into(), &"/env".into(), &"GET".into()), "{mount}");
    }
}

#[test]
fn verbose_prints_what_was_sent_and_received_every_way() {
    let lines = [
        ("fastcgi", ["sent     BEGIN_REQUEST and PARAMS", "sent     STDIN with a body of 3 bytes", "received END_REQUEST"]),
        ("lsapi", ["sent     BEGIN_REQUEST with", "sent     a body of 3 bytes", "received RESP_END"]),
        ("scgi", ["sent     a netstring with", "sent     a body of 3 bytes", "received the end of the connection"]),
        ("uwsgi", ["sent     a packet with", "sent     a body of 3 bytes", "received the end of the connection"]),
        ("http", ["sent     POST /echo HTTP/1.1 with", "a body of 3 bytes", "received the end of the response"]),
        ("cgi", ["started  with", "a body of 3 bytes", "received "]),
    ];
    assert_eq!(lines.map(|(via, _)| via), WAYS);
    for (via, expected) in lines {
        let told = text(&request(via, &["POST", "/echo", "-d", "a=1", "-v"]).stderr);
        assert!(expected.iter().all(|line| told.contains(line)) && told.contains(" ms  "), "{via}: {told}");
    }
}

#[test]
fn a_request_that_a_protocol_cannot_carry_is_wrong_usage() {
    let header = format!("X-Long: {}", "x".repeat(70_000));
    let output = request("uwsgi", &["GET", "/hello", "-H", &header]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("larger than uwsgi can carry"), "{}", text(&output.stderr));
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
