//! Speed and size of lodger beside its peers, all measured in one run.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for a terminal")]

mod callgrind;
mod chart;
mod context;
mod families;
mod load;
mod page;
mod peers;
mod process;
mod programs;
mod report;

use context::Context;
use report::{Result, Section};
use std::process::ExitCode;

const USAGE: &str = "\
usage: lodger-bench [FAMILY…] [OPTION…]

  --quick           tiny counts, to see whether everything works
  --write           write docs/benchmarks.md and the table of the README
  --built           the Rust programs are built already
  --peers NAME,…    only these: lodger, protocols, libfcgi, tokio-fastcgi, go, php, axum
  --in-flight N     connections at a time, 8 if not told
  --rounds N        how often everything is measured, 5 if not told
  --one-core        server and load on the same core: steadier where others use the machine";

/// A family of benchmarks.
type Family = fn(&Context) -> Result<Section>;

/// All families, in the order of the report.
const FAMILIES: &[(&str, Family)] = &[
    ("socket", families::socket::run),
    ("front", families::front::run),
    ("cgi", families::cgi::run),
    ("bodies", families::bodies::run),
    ("memory", families::memory::run),
    ("sizes", families::sizes::run),
    ("allocators", families::allocators::run),
    ("instructions", families::instructions::run),
    ("scale", families::scale::run),
    ("threads", families::threads::run),
];

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
    let (mut wanted, mut write) = (Vec::new(), false);
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value\n\n{USAGE}"));
        match arg.as_str() {
            "--quick" => (context.quick, context.rounds) = (true, 1),
            "--write" => write = true,
            "--built" => context.built = true,
            "--peers" => context.peers = value()?.split(',').map(str::to_owned).collect(),
            "--in-flight" => context.in_flight = value()?.parse()?,
            "--rounds" => context.rounds = value()?.parse()?,
            "--one-core" => context.share_a_core()?,
            name => wanted.push(*FAMILIES.iter().find(|(family, _)| *family == name).ok_or_else(|| format!("what is {name}?\n\n{USAGE}"))?),
        }
    }
    if wanted.is_empty() {
        wanted = FAMILIES.to_vec();
    }
    build(&context)?;
    let mut sections = Vec::new();
    for (name, family) in wanted {
        eprintln!("lodger-bench: {name}");
        sections.push(family(&context)?);
    }
    let run = page::Run::here(&context)?;
    println!("{}", run.page(&sections));
    if write { run.write(&sections) } else { Ok(()) }
}

/// Builds the programs that are measured as cargo links them by default. `make bench` builds them along with this one.
fn build(context: &Context) -> Result<()> {
    if context.built {
        return Ok(());
    }
    let mut command = programs::cargo();
    command.args(["build", "--release", "--package", "lodger-bench"]).current_dir(Context::root());
    context.build(command.args(["--bin", "hello", "--bin", "axum_loop"]))
}
