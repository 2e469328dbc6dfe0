//! Speed and size of lodger beside its peers, all measured in one run.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for a terminal")]

mod context;
mod families;
mod load;
mod process;
mod programs;
mod report;

use context::Context;
use report::{Result, Section};
use std::process::{Command, ExitCode};

const USAGE: &str = "usage: lodger-bench [FAMILY…] [--quick] [--built] [--peers NAME,…] [--in-flight N] [--rounds N]";

/// A family of benchmarks.
type Family = fn(&Context) -> Result<Section>;

/// All families, in the order of the report.
const FAMILIES: &[(&str, Family)] =
    &[("socket", families::socket::run), ("cgi", families::cgi::run), ("bodies", families::bodies::run), ("sizes", families::sizes::run)];

fn main() -> ExitCode {
    match bench() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("lodger-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn bench() -> Result<()> {
    let mut context = Context::new()?;
    let mut wanted = Vec::new();
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value\n{USAGE}"));
        match arg.as_str() {
            "--quick" => (context.quick, context.rounds) = (true, 1),
            "--built" => context.built = true,
            "--peers" => context.peers = value()?.split(',').map(str::to_owned).collect(),
            "--in-flight" => context.in_flight = value()?.parse()?,
            "--rounds" => context.rounds = value()?.parse()?,
            name => wanted.push(*FAMILIES.iter().find(|(family, _)| *family == name).ok_or_else(|| format!("what is {name}?\n{USAGE}"))?),
        }
    }
    if wanted.is_empty() {
        wanted = FAMILIES.to_vec();
    }
    if !context.built {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        context
            .build(Command::new(cargo).args(["build", "--release", "--package", "lodger-bench", "--bin", "hello"]).current_dir(Context::root()))?;
    }
    for (name, family) in wanted {
        eprintln!("lodger-bench: {name}");
        println!("{}", family(&context)?.markdown());
    }
    Ok(())
}
