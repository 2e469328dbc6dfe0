//! A program with a `lodger.toml`: what the file says about the process, and the app of the program among its sites.

use crate::{
    app::{App as _, BoxApp},
    config::{
        self, Config, Mistakes,
        locate::{beside, locate},
    },
    handler::{self, APP, Tree, Watch},
    life,
    profile::Profile,
    settings::Settings,
    telemetry::log::REQUESTS,
    trust::Trusted,
};
use std::{
    ffi::OsString,
    io,
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
    Good(Box<Config>, Box<Watch>),
    /// It cannot be used.
    Broken(Box<Mistakes>, Box<Watch>),
}

fn program() -> io::Result<PathBuf> {
    life::program().map(Path::to_owned)
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
    #[inline]
    pub(crate) fn read(told: Option<&Path>) -> Self {
        locate(told, program).map_or(Self::Nothing, |path| Self::read_from(&path))
    }

    /// Stays a function of its own: what it needs of the stack is not touched where there is no file.
    #[inline(never)]
    fn read_from(path: &Path) -> Self {
        // Before it is read: until the app is built the file may change, and be mended.
        let watch = Box::new(Watch::new(path));
        match Config::load(path) {
            Ok(config) => {
                config.server().state_dir.as_deref().into_iter().for_each(life::use_state_dir);
                Self::Good(Box::new(config), watch)
            }
            Err(mistakes) => {
                // There its operator looks for what is wrong.
                config::state_dir_of(path).as_deref().into_iter().for_each(life::use_state_dir);
                Self::Broken(Box::new(mistakes), watch)
            }
        }
    }

    /// What the log lets through; `None` where the file says nothing about it.
    #[inline]
    pub(crate) fn log(&self) -> Option<String> {
        let Self::Good(config, _) = self else { return None };
        let level = config.server().log.as_deref();
        if config.sites().iter().any(|site| site.log_requests) {
            return Some(format!("{},{REQUESTS}=info", level.unwrap_or("warn")));
        }
        level.map(ToOwned::to_owned)
    }

    /// Tells what is odd in a file that is used. `apps` are those of the program, where they are known.
    pub(crate) fn warn(&self, apps: Option<&[&str]>) {
        let Self::Good(config, _) = self else { return };
        handler::warn(config.warnings());
        if let Some(apps) = apps {
            handler::warn(&config.unknown_apps(apps));
        }
    }

    /// Puts what the operator says into the place of what the developer said.
    #[inline]
    pub(crate) fn apply(&self, settings: &mut Settings, worker_threads: &mut usize) {
        let Self::Good(config, _) = self else { return };
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

    /// The app of the program among the sites of the file; a program without a file is its app, a placeholder until there is one. Sites do not know an app that is a placeholder.
    pub(crate) fn surround(self, app: BoxApp, is_placeholder: bool) -> BoxApp {
        let tree = match self {
            // Who uploads the program first and the file then sees the site without a new process.
            Self::Nothing if is_placeholder => match program() {
                Ok(program) => return Tree::until(Watch::new(&beside(program)), app).into_box(),
                Err(_) => return app,
            },
            Self::Nothing => return app,
            Self::Good(config, watch) => Tree::of(Ok(&config), *watch),
            Self::Broken(mistakes, watch) => Tree::of(Err(*mistakes), *watch),
        };
        if is_placeholder { tree.into_box() } else { tree.with_box(APP, app).into_box() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::BoxError;

    async fn status_of(app: &BoxApp) -> u16 {
        app.call(http::Request::default()).await.unwrap().status().as_u16()
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_that_changes_while_the_app_starts_is_taken_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lodger.toml");
        let write =
            |status: &str| std::fs::write(&path, format!("[[site]]\n[[site.route]]\npath = \"/\"\nrespond = \"\"\nstatus = {status}\n")).unwrap();
        write("200");
        let configured = Configured::read(Some(&path));
        write("404 # changed");
        // A time to come does not say that the file rests, however busy the machine is.
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(std::time::SystemTime::now() + Duration::from_secs(60)).unwrap();
        let app = configured.surround(tower::service_fn(async |_| Ok::<_, BoxError>(http::Response::new(String::new()))).into_box(), true);
        assert_eq!(status_of(&app).await, 200);
        for expected in [200, 404] {
            tokio::time::advance(Duration::from_secs(1)).await;
            assert_eq!(status_of(&app).await, expected);
        }
    }

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
