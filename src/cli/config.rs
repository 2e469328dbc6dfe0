//! `check` and `config`: what stands in `lodger.toml`, and what may.

use super::{args::ConfigVerb, exit};
use crate::{
    config::{Config, Mistakes, locate::locate, print as printed},
    diagnostic::{Severity, codes as code},
    error::{Blame, Error},
    run::report,
};
use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Reads the file and tells every mistake in it. `apps` are those of the program, where they are known. The exit code is 1 when there is one, if only a warning.
pub(super) fn check(told: Option<&Path>, apps: Option<&[&str]>) -> ExitCode {
    let path = match find(told) {
        Ok(path) => path,
        Err(code) => return code,
    };
    let config = match Config::load(&path) {
        Ok(config) => config,
        Err(mistakes) => return refuse(&mistakes),
    };
    let unknown = apps.map(|apps| config.unknown_apps(apps));
    let found = config.warnings().len() + unknown.as_ref().map_or(0, Mistakes::len);
    if found == 0 {
        let (sites, routes) = (config.sites().len(), config.sites().iter().map(|site| site.routes.len()).sum::<usize>());
        return super::print(&format!("{} is fine: {} and {}\n", path.display(), counted(sites, "site"), counted(routes, "route")));
    }
    tell(config.warnings());
    unknown.iter().for_each(tell);
    let _ = writeln!(io::stderr(), "{}: {}; the site is served all the same", path.display(), counted(found, "warning"));
    ExitCode::from(exit::PROBLEMS)
}

/// Prints the template, the schema, or what a file says.
pub(super) fn print(what: ConfigVerb, told: Option<&Path>) -> ExitCode {
    match what {
        ConfigVerb::Reference => super::print(&printed::template()),
        ConfigVerb::Schema => super::print(&printed::schema()),
        ConfigVerb::Page => super::print(&printed::page()),
        ConfigVerb::Show => {
            let path = match find(told) {
                Ok(path) => path,
                Err(code) => return code,
            };
            match Config::load(&path) {
                Ok(config) => super::print(&printed::show(&config, &|name| std::env::var(name).ok())),
                Err(mistakes) => refuse(&mistakes),
            }
        }
    }
}

fn find(told: Option<&Path>) -> Result<PathBuf, ExitCode> {
    locate(told, std::env::current_exe).ok_or_else(|| {
        let hint = "put one beside the program (`config reference` prints one to begin with), or name one with `--config PATH`";
        report(&Error::new(code::CONFIG_UNREADABLE, Blame::Operator, "there is no lodger.toml beside the program", hint), exit::IO)
    })
}

/// Tells why a file cannot be used.
fn refuse(mistakes: &Mistakes) -> ExitCode {
    tell(mistakes);
    let warnings = mistakes.iter().filter(|mistake| mistake.severity == Severity::Warning).count();
    let errors = counted(mistakes.len() - warnings, "mistake");
    let found = if warnings == 0 { errors } else { format!("{errors} and {}", counted(warnings, "warning")) };
    let _ = writeln!(io::stderr(), "{}: {}", mistakes.path().display(), found);
    let unreadable = mistakes.iter().any(|mistake| mistake.code == code::CONFIG_UNREADABLE);
    ExitCode::from(if unreadable { exit::IO } else { exit::PROBLEMS })
}

fn tell(mistakes: &Mistakes) {
    if !mistakes.is_empty() {
        // Nobody is left to be told when stderr is gone.
        let _ = writeln!(io::stderr(), "{mistakes}");
    }
}

fn counted(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}
