//! Instructions per request on the hot paths, in times those of a bare axum loop; and the test that compares them with what is written down in `benches/instructions.toml`.

use crate::{
    callgrind,
    context::Context,
    load::{Exchange, Protocol, vars},
    report::{Result, Section, Table, ratio},
};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// How far a figure may be from the one that is written down.
#[cfg(test)]
const TOLERANCE: f64 = 0.05;

#[cfg(test)]
const HEAD: &str = "\
# Instructions that lodger needs for a request, in times those of a bare axum loop that is handed the same request
# (benches/src/bin/axum_loop.rs), both counted by callgrind. `make test` counts anew and fails when a figure is more than
# 5 % away from the one here, to either side. `LODGER_WRITE=1 make test-cost` writes this file.
";

/// A hot path: the name of its figure, and what is asked.
struct Hot {
    name: &'static str,
    what: &'static str,
    exchange: Exchange,
}

/// What a request costs on one hot path.
struct Count {
    name: &'static str,
    what: &'static str,
    instructions: f64,
    /// In times the bare axum loop.
    times: f64,
}

fn hot_paths() -> Result<Vec<Hot>> {
    let vars = vars::browser("/srv/www/site/hello.fcgi");
    let hot = |name, what, protocol, keep| Ok(Hot { name, what, exchange: Exchange::new(protocol, keep, &vars)? });
    [
        hot("new", "FastCGI, new connection per request", Protocol::FastCgi, false),
        hot("kept", "FastCGI, kept connection", Protocol::FastCgi, true),
        Ok(Hot { name: "multiplexed", what: "FastCGI, 8 in one write", exchange: Exchange::multiplexed(8, &vars) }),
        hot("lsapi", "LSAPI, kept connection", Protocol::Lsapi, true),
        hot("scgi", "SCGI, new connection per request", Protocol::Scgi, false),
        hot("uwsgi", "uwsgi, new connection per request", Protocol::Uwsgi, false),
        hot("http", "HTTP, kept connection", Protocol::Http, true),
    ]
    .into_iter()
    .collect()
}

/// Counts the instructions of every hot path, and of the bare loop: its figure comes first.
fn count(context: &Context, hello: &Path, axum_loop: &Path) -> Result<(f64, Vec<Count>)> {
    let bare = callgrind::of_program(context, axum_loop)?;
    let count = |Hot { name, what, exchange }| {
        let instructions = callgrind::of_server(context, hello, &[], &exchange)?;
        Ok(Count { name, what, instructions, times: instructions / bare })
    };
    Ok((bare, hot_paths()?.into_iter().map(count).collect::<Result<_>>()?))
}

/// Prints the counts beside those that are written down.
pub(crate) fn run(context: &Context) -> Result<Section> {
    let (bare, counts) = count(context, &Context::program("hello")?, &Context::program("axum_loop")?)?;
    let written = written_down()?;
    let mut table = Table::new("", &["", "instructions", "× bare loop", "written down"]);
    table.rows.push(vec!["bare axum loop".into(), format!("{bare:.0}"), ratio(1.0), "–".into()]);
    for Count { name, what, instructions, times } in counts {
        let written = find(&written, name).map_or("–".into(), ratio);
        table.rows.push(vec![what.into(), format!("{instructions:.0}"), ratio(times), written]);
    }
    let about = "Instructions per request outside the kernel, counted by callgrind, which nothing else on the machine changes. The bare loop builds the same `http::Request`, \
                 calls the same axum router and writes the response into a buffer: what is above it is lodger's. `make test` fails when a ratio is more than 5 % away from the one \
                 that is written down in `benches/instructions.toml`.";
    Ok(Section { title: "Instructions per request".into(), about: about.into(), tables: vec![table], ..Section::default() })
}

fn file() -> PathBuf {
    Context::root().join("benches/instructions.toml")
}

/// Name and figure of each line of the file that is no comment.
fn written_down() -> Result<Vec<(String, f64)>> {
    let text = fs::read_to_string(file()).unwrap_or_default();
    let figure = |line: &str| {
        let (name, figure) = line.split_once('=').ok_or_else(|| format!("what does \"{line}\" mean in {}?", file().display()))?;
        Ok((name.trim().to_owned(), figure.trim().parse()?))
    };
    text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(figure).collect()
}

fn find(written: &[(String, f64)], name: &str) -> Option<f64> {
    written.iter().find(|(known, _)| known == name).map(|(_, figure)| *figure)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fmt::Write as _, process::Command};

    /// Builds the programs in the profile in which people run them, whatever the one of this test is, and tells where they lie.
    fn release(context: &Context) -> PathBuf {
        let programs = ["--bin", "hello", "--bin", "axum_loop"];
        context.build(Command::new(env!("CARGO")).args(["build", "--release", "--package", "lodger-bench"]).args(programs)).unwrap();
        std::env::current_exe().unwrap().ancestors().nth(3).unwrap().join("release")
    }

    /// What is wrong with a figure, and what to type.
    fn complaint(what: &str, times: f64, written: f64) -> Option<String> {
        let change = (times / written - 1.0) * 100.0;
        let sentence = |change: f64, word: &str, then: &str| {
            let figures = format!(
                "{what}: {times:.3} times the instructions of a bare axum loop, and {written:.3} are written down in benches/instructions.toml"
            );
            format!("{figures}. That is {change:.1} % {word}; {then}: LODGER_WRITE=1 make test-cost")
        };
        if change > TOLERANCE * 100.0 {
            Some(sentence(change, "more", "make it cheaper again, or, if it has to be, write it down"))
        } else if change < -TOLERANCE * 100.0 {
            Some(sentence(-change, "less, which is good and should not be lost again", "write it down"))
        } else {
            None
        }
    }

    #[test]
    #[ignore = "needs valgrind and a release build: make test-cost"]
    fn a_request_costs_what_is_written_down() {
        let context = Context::new().unwrap();
        let programs = release(&context);
        let (_, counts) = count(&context, &programs.join("hello"), &programs.join("axum_loop")).unwrap();
        if std::env::var("LODGER_WRITE").as_deref() == Ok("1") {
            let mut text = HEAD.to_owned();
            for Count { name, what, times, .. } in counts {
                writeln!(text, "\n# {what}\n{name} = {times:.3}").unwrap();
            }
            fs::write(file(), text).unwrap();
            return;
        }
        let written = written_down().unwrap();
        let mut complaints: Vec<_> = counts
            .iter()
            .filter_map(|Count { name, what, times, .. }| match find(&written, name) {
                Some(written) => complaint(what, *times, written),
                None => Some(format!("{what}: nothing is written down for {name}. Write it down: LODGER_WRITE=1 make test-cost")),
            })
            .collect();
        let forgotten = written.iter().filter(|(name, _)| counts.iter().all(|count| count.name != name));
        complaints
            .extend(forgotten.map(|(name, _)| format!("nothing is counted any more for {name}. Write that down: LODGER_WRITE=1 make test-cost")));
        assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    }

    #[test]
    fn a_figure_may_be_five_percent_away_to_either_side() {
        assert_eq!(complaint("kept", 2.09, 2.0), None);
        assert_eq!(complaint("kept", 1.91, 2.0), None);
        let more = complaint("kept", 2.2, 2.0).unwrap();
        for part in ["kept: 2.200 ", " 2.000 ", " 10.0 % more", "LODGER_WRITE=1 make test-cost"] {
            assert!(more.contains(part), "{more}");
        }
        assert!(complaint("kept", 1.8, 2.0).unwrap().contains("10.0 % less"));
    }
}
