//! `docs/compatibility.md`: read, compared, and written when `LODGER_WRITE=1` is set. Rows are what is asked, columns are
//! doors, and footnotes say what a site owner can do.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::door::Door;
use super::notes::FOOTNOTES;
use super::routes::CASES;

/// Tests run side by side, and each writes its own column.
static FILE: Mutex<()> = Mutex::new(());

/// What stands in a column that nobody has measured yet.
const UNKNOWN: &str = "?";

const INTRODUCTION: &str = "# What works behind which web server

Measured by the tests (`make test-servers`) with the programs that Debian 12 ships, in their usual configuration. Each row is something that a visitor or an app
may do, with the test application in `examples/testapp.rs`; each column is a way to reach it. `ok` means that the visitor, or the app, gets what was meant.
Everything else is said in a word, and the footnote says why, and what a site owner can do about it. How to set each of them up: [web-servers.md](web-servers.md).

This file is written by the tests: `LODGER_WRITE=1 make test-servers`.
";

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/compatibility.md")
}

/// The heads of all columns, in order.
fn columns() -> Vec<&'static str> {
    let mut columns: Vec<_> = Door::ALL.iter().map(|door| door.column()).collect();
    columns.dedup();
    columns
}

/// The cells of the file, by row and by column as they are now; what the file does not know is [`UNKNOWN`].
fn read() -> Vec<Vec<String>> {
    let text = fs::read_to_string(path()).unwrap_or_default();
    let lines: Vec<Vec<&str>> = text.lines().filter(|line| line.starts_with('|')).map(fields).collect();
    let head = lines.first().cloned().unwrap_or_default();
    let cell = |row: &str, column: &str| {
        let at = head.iter().position(|name| *name == column)?;
        let line = lines.iter().find(|line| line.first() == Some(&row))?;
        Some((*line.get(at)?).to_owned())
    };
    let known = |row, column| cell(row, column).unwrap_or_else(|| UNKNOWN.to_owned());
    CASES.iter().map(|(row, _)| columns().into_iter().map(|column| known(row, column)).collect()).collect()
}

fn fields(line: &str) -> Vec<&str> {
    line.trim_matches('|').split('|').map(str::trim).collect()
}

fn render(cells: &[Vec<String>]) -> String {
    let columns = columns();
    let mut text = format!("{INTRODUCTION}\n| | {} |\n| --- |{}\n", columns.join(" | "), " --- |".repeat(columns.len()));
    for ((row, _), cells) in CASES.iter().zip(cells) {
        text.push_str(&format!("| {row} | {} |\n", cells.join(" | ")));
    }
    let used: BTreeSet<_> = cells.iter().flatten().filter_map(|cell| cell.split_once("[^")?.1.strip_suffix(']')).collect();
    for (key, note) in FOOTNOTES.iter().filter(|(key, _)| used.contains(key)) {
        text.push_str(&format!("\n[^{key}]: {note}\n"));
    }
    text
}

/// Compares the cells of one column with the file, or writes them to it.
pub(crate) fn settle(column: &str, measured: &[String]) {
    let at = columns().iter().position(|name| *name == column).unwrap();
    // A test that failed with the lock in its hand has written nothing.
    let _alone = FILE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut cells = read();
    if std::env::var("LODGER_WRITE").as_deref() == Ok("1") {
        for (row, cell) in cells.iter_mut().zip(measured) {
            row[at].clone_from(cell);
        }
        fs::write(path(), render(&cells)).unwrap();
        return;
    }
    let differs: Vec<_> = CASES
        .iter()
        .zip(cells.iter().zip(measured))
        .filter(|(_, (row, measured))| row[at] != **measured)
        .map(|((name, _), (row, measured))| format!("{name}: the table says \"{}\", measured \"{measured}\"", row[at]))
        .collect();
    assert!(differs.is_empty(), "{column} in docs/compatibility.md (LODGER_WRITE=1 writes it anew):\n{}", differs.join("\n"));
}

/// Fails unless the file has every row, every column and every footnote, with the texts that the tests know.
pub(crate) fn check_frame() {
    let _alone = FILE.lock().unwrap_or_else(PoisonError::into_inner);
    let cells = read();
    let unknown = cells.iter().flatten().filter(|cell| *cell == UNKNOWN).count();
    assert_eq!(unknown, 0, "cells that nobody has measured");
    let text = fs::read_to_string(path()).unwrap();
    assert_eq!(text, render(&cells), "docs/compatibility.md is not as LODGER_WRITE=1 would write it");
    for (key, _) in FOOTNOTES {
        assert!(text.contains(&format!("[^{key}]:")), "no cell has the footnote {key}");
    }
}
