//! The benchmarks themselves work: every answer is checked, the figures mean nothing.

use std::process::Command;

#[test]
fn the_limit_and_lodger_answer_in_every_way() {
    let bench =
        Command::new(env!("CARGO_BIN_EXE_lodger-bench")).args(["socket", "--quick", "--built", "--peers", "lodger,protocols"]).output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&bench.stdout), String::from_utf8_lossy(&bench.stderr));
    assert!(bench.status.success(), "{stderr}");
    for server in ["the limit", "lodger ", "lodger, LSAPI", "lodger, SCGI", "lodger, uwsgi", "lodger, HTTP"] {
        assert!(stdout.lines().any(|line| line.starts_with(&format!("| {server}"))), "no row for {server} in {stdout}");
    }
}
