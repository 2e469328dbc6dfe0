//! The command line that every program built with [`run`](crate::run()) has. The only place that knows clap, and one of two that write to stdout.

mod args;
#[cfg(feature = "site")]
mod config;
mod exit;
mod explain;
mod init;
mod passengerfile;
mod request;
mod screen;

use crate::{app::IntoApp, run::Program, run::report, serve::started_by_nobody};
use std::{ffi::OsString, io::Write as _, process::ExitCode};

/// Does what the arguments ask for.
pub(crate) fn main<M, A: IntoApp<M>>(args: &[OsString], program: Program<A, M>) -> ExitCode {
    let name = program_name();
    let parsed = match args::parse(&name, args) {
        Ok(parsed) => parsed,
        Err(message) => return message.print(),
    };
    match parsed {
        args::Asked::Nothing => print(&screen::text(&name)),
        args::Asked::Serve { socket: Some(path), mode, config } => program.listen_at(&path, mode, config.as_deref()),
        args::Asked::Serve { socket: None, .. } => report(&started_by_nobody(), exit::USAGE),
        args::Asked::Request(asked) => request::run(&asked),
        args::Asked::Init(asked) => init::run(&asked),
        args::Asked::Explain(page) => explain::run(page.as_ref()),
        #[cfg(feature = "site")]
        args::Asked::Check { config } => config::check(config.as_deref(), program.apps()),
        #[cfg(feature = "site")]
        args::Asked::Config { what, config } => config::print(what, config.as_deref()),
    }
}

/// The name that the program was called by.
fn program_name() -> String {
    let path = std::env::args_os().next().map(std::path::PathBuf::from);
    let name = path.as_deref().and_then(std::path::Path::file_name);
    name.map_or_else(|| env!("CARGO_PKG_NAME").to_owned(), |name| name.to_string_lossy().into_owned())
}

/// Writes to stdout; a reader that has gone away is no problem of ours.
fn print(text: &str) -> ExitCode {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => ExitCode::from(exit::IO),
        _ => ExitCode::SUCCESS,
    }
}
