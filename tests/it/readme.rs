//! The README tells the truth: its commands are run, its code is compiled (as documentation tests of the crate), its links lead somewhere.

use std::{path::Path, process::Command};

const README: &str = include_str!("../../README.md");
const FOLDER: &str = env!("CARGO_MANIFEST_DIR");

/// A command with the output that the README shows for it.
#[derive(Debug, Default)]
struct Shown {
    command: String,
    output: Vec<String>,
}

fn shown() -> Vec<Shown> {
    let (mut all, mut inside) = (Vec::<Shown>::new(), false);
    for line in README.lines() {
        match line {
            "```console" => inside = true,
            "```" => inside = false,
            _ if !inside => {}
            line => match line.strip_prefix("$ ") {
                Some(command) => all.push(Shown { command: command.to_owned(), ..Shown::default() }),
                None => all.last_mut().expect("output without a command").output.push(line.to_owned()),
            },
        }
    }
    all
}

/// Whether `lines` are as shown; a line `…` stands for any number of lines.
fn matches(shown: &[String], lines: &[&str]) -> bool {
    match shown {
        [] => lines.is_empty(),
        [first, rest @ ..] if first == "…" => (0..=lines.len()).any(|skip| matches(rest, &lines[skip..])),
        [first, rest @ ..] => lines.first() == Some(&first.as_str()) && matches(rest, &lines[1..]),
    }
}

fn has_musl_target() -> bool {
    let sysroot = Command::new("rustc").args(["--print", "sysroot"]).output().unwrap();
    let sysroot = String::from_utf8(sysroot.stdout).unwrap();
    Path::new(sysroot.trim()).join("lib/rustlib/x86_64-unknown-linux-musl/lib").is_dir()
}

#[test]
#[ignore = "builds programs and starts a real Apache: make test"]
fn every_command_does_what_the_readme_shows() {
    let all = shown();
    assert!(all.len() >= 5, "the commands were not found: {all:?}");
    for Shown { command, output } in all {
        let result = Command::new("bash").args(["-c", &command]).current_dir(FOLDER).output().unwrap();
        let (stdout, stderr) = (String::from_utf8_lossy(&result.stdout), String::from_utf8_lossy(&result.stderr));
        if command.contains("-musl") && !has_musl_target() {
            // The README says what to do where this target is missing; here it is, and cargo has to say so too.
            assert!(!result.status.success() && stderr.contains("target may not be installed"), "`{command}`: {stderr}");
            continue;
        }
        assert!(result.status.success(), "`{command}` failed: {stdout}{stderr}");
        assert!(
            matches(&output, &stdout.lines().collect::<Vec<_>>()) || output.is_empty(),
            "`{command}` printed {stdout}, the README shows {output:?}"
        );
    }
}

#[test]
fn every_link_leads_to_a_file() {
    for (at, _) in README.match_indices("](") {
        let target = README[at + 2..].split(')').next().unwrap();
        assert!(target.starts_with("http") || Path::new(FOLDER).join(target).exists(), "{target} does not exist");
    }
}

#[test]
fn the_first_program_is_the_example() {
    let example = include_str!("../../examples/hello.rs");
    let program = README.split("```rust,no_run\n").nth(1).unwrap().split("```").next().unwrap();
    assert!(example.ends_with(program), "README and examples/hello.rs differ");
}
