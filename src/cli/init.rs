//! `init`: writes the files by which a web server finds this program, and says what else is to be done.

use super::{
    args::{InitArgs, Panel},
    exit,
    passengerfile::{NAME, Passengerfile},
};
use crate::{
    diagnostic::codes as code,
    error::{Blame, Error},
    run::report,
};
use std::process::ExitCode;

/// Writes what the panel wants.
pub(super) fn run(args: &InitArgs) -> ExitCode {
    let done = match args.panel {
        Panel::Passenger => passenger(args),
    };
    match done {
        Ok(text) => super::print(&text),
        Err(error) => report(&error, exit::IO),
    }
}

/// `Passengerfile.json`, and what else Passenger needs.
fn passenger(args: &InitArgs) -> Result<String, Error> {
    let program = std::env::current_exe().map_err(|error| unwritten("the path of this program cannot be found").with_source(error))?;
    let path = args.folder.join(NAME);
    let sentence = || format!("{} cannot be written", path.display());
    let file = Passengerfile::read(&args.folder, &program).map_err(|error| unwritten(sentence()).with_source(error))?;
    if args.dry_run {
        return Ok(format!("{} would be:\n\n{}\n{NEXT}", path.display(), file.text()));
    }
    file.write(&args.folder).map_err(|error| unwritten(sentence()).with_source(error))?;
    Ok(format!("Wrote {}, by which Passenger starts {}.\n\n{NEXT}", path.display(), program.display()))
}

/// What the sample `passenger.htaccess` says as well.
const NEXT: &str = "\
The folder has to be the one above the document root (often public_html), and has
to belong to you: Passenger runs the program as the owner of that folder.

Put this line into the file .htaccess of the document root:

PassengerEnabled on

Passenger keeps the path of the program until it is restarted itself. To go over
to a new upload under the same path, create or touch the file tmp/restart.txt in
the folder; it is seen within ten seconds. Never edit Passengerfile.json by hand: a mistake in it ends processes
of the web server. Use this command again instead.
";

fn unwritten(sentence: impl Into<String>) -> Error {
    let hint = "name the folder above the document root, where you may write; a file there that is no JSON object has to be taken away first";
    Error::new(code::PASSENGERFILE, Blame::Operator, sentence, hint)
}
