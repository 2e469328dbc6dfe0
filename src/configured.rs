//! A program with a `lodger.toml`: what the file says about the process, and the app of the program among its sites.

use crate::{
    app::{App as _, BoxApp},
    config::{Config, Mistakes, locate::locate},
    handler::{APP, Tree},
    life,
    profile::Profile,
    settings::Settings,
    trust::Trusted,
};
use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// What was found of a `lodger.toml`.
#[derive(Debug, Default)]
pub(crate) enum Configured {
    /// There is none: the program is its app.
    #[default]
    Nothing,
    Good(Box<Config>),
    /// It cannot be used.
    Broken(PathBuf, Box<Mistakes>),
}

/// The path in `--config PATH` or `--config=PATH` among the arguments of a program that serves. They are read only where no visitor can set them.
pub(crate) fn argument(args: &[OsString]) -> Option<PathBuf> {
    let at = args.iter().position(|arg| arg.to_string_lossy().starts_with("--config"))?;
    let arg = args.get(at)?.to_string_lossy();
    match arg.strip_prefix("--config")? {
        "" => args.get(at + 1).map(PathBuf::from),
        value => value.strip_prefix('=').map(PathBuf::from),
    }
}

impl Configured {
    /// Reads the file that is meant. Nothing is logged: the file says what the log lets through.
    pub(crate) fn read(told: Option<&Path>) -> Self {
        let Some(path) = locate(told) else { return Self::Nothing };
        match Config::load(&path) {
            Ok(config) => {
                if let Some(folder) = &config.server().state_dir {
                    life::use_state_dir(folder);
                }
                Self::Good(Box::new(config))
            }
            Err(mistakes) => Self::Broken(path, Box::new(mistakes)),
        }
    }

    /// What the log lets through.
    pub(crate) fn log(&self) -> Option<&str> {
        match self {
            Self::Good(config) => config.server().log.as_deref(),
            Self::Nothing | Self::Broken(..) => None,
        }
    }

    /// Tells what is odd in a file that is used. `apps` are those of the program, where they are known.
    pub(crate) fn warn(&self, apps: Option<&[&str]>) {
        let Self::Good(config) = self else { return };
        let unknown = apps.map(|apps| config.unknown_apps(apps));
        for mistakes in [config.warnings()].into_iter().chain(&unknown) {
            for mistake in mistakes.iter() {
                let place = mistakes.place(mistake).map(|(line, column)| format!(":{line}:{column}")).unwrap_or_default();
                tracing::warn!(target: "lodger", "{}: {}{place}: {}; {}", mistake.code, config.path().display(), mistake.sentence, mistake.hint);
            }
        }
    }

    /// Puts what the operator says into the place of what the developer said.
    pub(crate) fn apply(&self, settings: &mut Settings, worker_threads: &mut usize) {
        let Self::Good(config) = self else { return };
        let (server, limits) = (config.server(), &mut settings.limits);
        let set = |field: &mut Duration, value: Option<Duration>| *field = value.unwrap_or(*field);
        // A route that may take longer is held to its own time by the tree.
        let longest = config.longest_timeout(limits.request_timeout);
        set(&mut limits.request_timeout, longest);
        set(&mut limits.write_timeout, server.write_timeout);
        set(&mut limits.idle_timeout, server.idle_timeout);
        set(&mut limits.drain_timeout, server.drain_timeout);
        limits.requests = server.max_requests.unwrap_or(limits.requests);
        // One route without a limit lets every body in, and the tree holds the others to theirs.
        limits.body_bytes = config.largest_body().or(limits.body_bytes);
        *worker_threads = server.threads.unwrap_or(*worker_threads);
        settings.profile = server.web_server.as_deref().and_then(Profile::named).or(settings.profile);
        if !server.trusted_proxies.is_empty() {
            let trusted: Arc<[_]> = server.trusted_proxies.as_slice().into();
            settings.trusted = Some(Trusted::new(move |address| trusted.iter().any(|network| network.contains(address))));
        }
    }

    /// The app of the program among the sites of the file; a program without a file is its app. Sites do not know an app that is a placeholder.
    pub(crate) fn surround(self, app: BoxApp, is_placeholder: bool) -> BoxApp {
        let tree = match self {
            Self::Nothing => return app,
            Self::Good(config) => Tree::of(&config),
            Self::Broken(path, mistakes) => Tree::broken(&path, *mistakes),
        };
        if is_placeholder { tree.into_box() } else { tree.with_box(APP, app).into_box() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_named_behind_the_option() {
        for args in [&["serve", "--config", "/x"][..], &["--config=/x"], &["--socket", "/s", "--config", "/x"]] {
            let args: Vec<OsString> = args.iter().map(OsString::from).collect();
            assert_eq!(argument(&args), Some("/x".into()), "{args:?}");
        }
        for args in [&["--config"][..], &["serve"], &["--configuration", "/x"], &["config"]] {
            let args: Vec<OsString> = args.iter().map(OsString::from).collect();
            assert_eq!(argument(&args), None, "{args:?}");
        }
    }
}
