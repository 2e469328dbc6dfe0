//! [`run`](crate::run()): a whole program in one call. Decides who started it first, then makes a runtime of the right size, then serves.

use crate::{
    app::{IntoApp, Requests},
    cgi::CgiVars,
    diagnostic::codes as code,
    error::Error,
    gateway::{Decision, Handed, Ownership, Terms, decide, fd0, http::is_lsnode, passenger::WORK_DIR, systemd, variables},
    limits::Limits,
    process::{Start, serve_cgi, serve_passenger, serve_sockets},
    profile::Profile,
    serve::{arguments, meant_for_another, runtime_error, started_by_nobody},
    settings::Settings,
    sys,
    telemetry::log,
    transport::door::Door,
    unbuilt::Unbuilt,
};
#[cfg(feature = "site")]
use crate::{
    configured::{self, Configured},
    handler::APP,
};
use bytes::Bytes;
use std::{
    ffi::OsString,
    future::pending,
    io,
    marker::PhantomData,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
    pin::Pin,
    process::ExitCode,
};
use tokio::runtime::{Builder, Handle, Runtime};

/// Threads for blocking work. Hosts limit processes and threads, and tokio panics when a thread cannot start.
const BLOCKING_THREADS: usize = 4;

/// How many connections are heard of with one look at the kernel. Room for them is made at every start, and few processes hear of more at once.
const EVENTS: usize = 128;

/// The same for one request, which has two pipes.
const EVENTS_OF_CGI: usize = 8;

/// Runs `app` as a whole program: behind a web server it serves, in a terminal it is a command line.
///
/// Takes an app (any [`tower::Service`] such as an `axum::Router`) or a closure that makes one, with or without `async`, with or without a `Result`. The
/// closure is called inside a tokio runtime, after lodger knows who started the program. When it fails, the program answers 503 and tries again with
/// a later request: a process that exits would cost the site its place with mod_fcgid.
///
/// Warnings and errors that the app logs with `tracing` go to the error log of the site; the variable `RUST_LOG` (`info`, `debug`, `my_app=info,warn`) lets more
/// through. What it prints to stdout never reaches a visitor. A tracing subscriber of your own is installed before `run` is called: once it runs, warnings and errors go to the log of the web server.
///
/// Needs no runtime and must not be called inside one; use [`serve`](crate::serve()) there.
///
/// One thing is done before `main`, in every program that holds lodger: where it was started as CGI and SIGSEGV and SIGBUS have no handler, they get one that tells of a stack that overflows. The one
/// of `std`, which does the same, would cost each request a twentieth of its CPU time.
///
/// ```no_run
/// use axum::{Router, routing::get};
///
/// fn main() -> std::process::ExitCode {
///     lodger::run(|| Router::new().route("/", get(|| async { "Hello from shared hosting" })))
/// }
/// ```
pub fn run<M>(app: impl IntoApp<M>) -> ExitCode {
    Program::new(app).run()
}

/// The long form of [`run`](crate::run()): a program with limits and threads of its own.
///
/// ```no_run
/// # use axum::Router;
/// use std::time::Duration;
///
/// fn main() -> std::process::ExitCode {
///     let limits = lodger::Limits::default().with_request_timeout(Duration::from_secs(10));
///     lodger::Program::new(Router::new).with_limits(limits).run()
/// }
/// ```
#[must_use = "nothing runs until `run` is called"]
pub struct Program<A, M> {
    app: A,
    settings: Settings,
    worker_threads: usize,
    /// The app only says that nobody made one; a tree of sites does without it.
    #[cfg_attr(not(feature = "site"), allow(dead_code, reason = "there is no tree"))]
    is_placeholder: bool,
    shape: PhantomData<fn() -> M>,
}

impl<A, M> std::fmt::Debug for Program<A, M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Program").field("settings", &self.settings).field("worker_threads", &self.worker_threads).finish_non_exhaustive()
    }
}

impl<M, A: IntoApp<M>> Program<A, M> {
    /// A program that serves `app` with the default limits on one thread.
    pub fn new(app: A) -> Self {
        Self { app, settings: Settings::default(), worker_threads: 1, is_placeholder: false, shape: PhantomData }
    }

    /// A program that is its `lodger.toml` alone, as the stock binary is: `app` answers where there is no such file, and its sites do not know it.
    pub fn of_sites(app: A) -> Self {
        Self { is_placeholder: true, ..Self::new(app) }
    }

    /// Sets the limits.
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.settings.limits = limits;
        self
    }

    /// Says what the web server is, for one that hides it or lies about it; see [`Profile::named`](crate::Profile::named). It holds for every request.
    pub fn with_profile(mut self, profile: &'static Profile) -> Self {
        self.settings.profile = Some(profile);
        self
    }

    /// Sets the number of threads that run the app. One is the default: it measured cheapest, and hosts limit threads.
    pub fn with_worker_threads(mut self, threads: usize) -> Self {
        self.worker_threads = threads.max(1);
        self
    }

    /// Runs the program to its end.
    ///
    /// Behind a web server the exit code is 0 after a stop signal. On the command line: 0 fine, 1 problems found, 2 wrong usage, 3 could not read or write.
    pub fn run(self) -> ExitCode {
        if Handle::try_current().is_ok() {
            let hint = "call `lodger::serve(app).await` there instead, or take `#[tokio::main]` away";
            return report(&Error::new(code::INSIDE_A_RUNTIME, crate::Blame::App, "`lodger::run` was called inside a tokio runtime", hint), 2);
        }
        let copy = Bytes::from(sys::environment());
        let environment = variables(&copy);
        let decision = decide(&fd0::facts(&environment, arguments));
        let is_sure = matches!(decision, Decision::Activated(_) | Decision::Listen | Decision::Connection { certain: true });
        if is_sure {
            // Behind a listener no visitor can set arguments.
            return self.configure(Some(&arguments())).serve(&decision);
        }
        match decision {
            Decision::Passenger(folder) => self.configure(Some(&arguments())).passenger(folder),
            // RFC 3875, 4.4: here arguments may come out of a query string.
            Decision::Cgi => {
                let pairs = environment.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
                self.configure(None).cgi(CgiVars::of_slices(&copy, pairs))
            }
            undecided => self.by_hand(&undecided),
        }
    }

    /// Started by a person, or by somebody who has not said a word.
    #[inline(never)]
    fn by_hand(self, decision: &Decision) -> ExitCode {
        match decision {
            Decision::Socket(path) => self.command_line(&arguments(), Some(path.clone())),
            Decision::CommandLine => match systemd::meant_for_another().filter(|_| arguments().is_empty()) {
                Some(pid) => report(&meant_for_another(pid), 2),
                None => self.command_line(&arguments(), None),
            },
            Decision::Connection { certain: false } if !fd0::somebody_speaks() => self.command_line(&arguments(), None),
            handed => self.configure(Some(&arguments())).serve(handed),
        }
    }

    /// Reads `lodger.toml`, and installs the log as it wants it. Of the arguments only the one that names the file is looked at.
    #[cfg(feature = "site")]
    fn configure(self, args: Option<&[OsString]>) -> Ready {
        let told = args.and_then(configured::argument);
        // Who may not look at arguments serves one request, and a log that has the warnings of a good file with every request is of no use.
        self.configure_with(told.as_deref(), args.is_some())
    }

    #[cfg(feature = "site")]
    fn configure_with(mut self, told: Option<&Path>, warns: bool) -> Ready {
        let configured = Configured::read(told);
        log::install(configured.log().as_deref());
        log::install_panic_hook();
        if warns {
            configured.warn(self.apps());
        }
        configured.apply(&mut self.settings, &mut self.worker_threads);
        let Self { app, settings, worker_threads, is_placeholder, .. } = self;
        // A program that made a tree by itself is that tree.
        let configured = if app.is_tree() { Configured::Nothing } else { configured };
        Ready { app: Unbuilt::new(app, move |app| configured.surround(app, is_placeholder)), settings, worker_threads }
    }

    #[cfg(not(feature = "site"))]
    fn configure(self, _args: Option<&[OsString]>) -> Ready {
        self.configure_with(None, false)
    }

    #[cfg(not(feature = "site"))]
    fn configure_with(self, _told: Option<&Path>, _warns: bool) -> Ready {
        log::install(None);
        log::install_panic_hook();
        Ready { app: Unbuilt::new(self.app, |app| app), settings: self.settings, worker_threads: self.worker_threads }
    }

    /// Listens on a Unix socket of our own. `config` names a `lodger.toml` that lies elsewhere.
    #[cfg(feature = "cli")]
    pub(crate) fn listen_at(self, path: &Path, mode: u32, config: Option<&Path>) -> ExitCode {
        self.configure_with(config, true).listen_at(path, mode)
    }

    #[cfg(feature = "cli")]
    fn command_line(self, args: &[OsString], _socket: Option<PathBuf>) -> ExitCode {
        crate::cli::main(args, self)
    }

    #[cfg(not(feature = "cli"))]
    fn command_line(self, args: &[OsString], socket: Option<PathBuf>) -> ExitCode {
        match socket {
            Some(path) => self.configure(Some(args)).listen_at(&path, crate::gateway::socket_mode_argument(args).unwrap_or(0o660)),
            None => report(&started_by_nobody(), 2),
        }
    }

    /// The apps that routes of a file may name, where that is known.
    #[cfg(feature = "site")]
    pub(crate) fn apps(&self) -> Option<&'static [&'static str]> {
        match self.is_placeholder {
            true => Some(&[]),
            // A tree that was made by hand knows its own.
            false => (!self.app.is_tree()).then_some(&[APP]),
        }
    }
}

/// A program that knows who started it and what its file says.
///
/// The ways to serve are functions of their own, so that each touches as much of the stack as it needs and not as much as the largest.
struct Ready {
    app: Unbuilt,
    settings: Settings,
    worker_threads: usize,
}

/// What a program does to its end.
type Serving = Pin<Box<dyn Future<Output = Result<ExitCode, Error>> + Send>>;

impl Ready {
    /// Serves what was handed over.
    #[inline(never)]
    fn serve(self, handed: &Decision) -> ExitCode {
        let start = match Start::take(handed, Terms::take()) {
            Ok(start) => start,
            Err(error) => return report(&error, 1),
        };
        // Only now: what was handed over is told by its missing FD_CLOEXEC.
        sys::close_on_exec_from(3);
        note_arguments(&arguments());
        match start {
            Some(start) => self.accept(start),
            None => report(&started_by_nobody(), 2),
        }
    }

    fn accept(self, start_with: Start) -> ExitCode {
        let Self { app, settings, worker_threads } = self;
        let serving = async move { serve_sockets(start_with, app.start(Requests::Many), settings, pending()).await.map(|()| ExitCode::SUCCESS) };
        block_on(worker_threads, EVENTS, Box::pin(serving))
    }

    #[inline(never)]
    fn cgi(self, vars: CgiVars) -> ExitCode {
        sys::close_on_exec_from(3);
        if vars.get("HTTP_PROXY").is_some() {
            sys::forget_http_proxy();
        }
        let Self { app, settings, .. } = self;
        let serving = async move {
            let whole = serve_cgi(vars, app.start(Requests::One), settings).await?;
            Ok(if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        };
        // One request needs one thread.
        block_on(1, EVENTS_OF_CGI, Box::pin(serving))
    }

    /// Behind Phusion Passenger, which shows the operator why an app does not start; so it is told, and the process ends.
    #[inline(never)]
    fn passenger(self, folder: PathBuf) -> ExitCode {
        sys::close_on_exec_from(3);
        // A program of this kind that the app starts was not started by Passenger.
        sys::forget_variables([WORK_DIR.into()]);
        let Self { app, settings, worker_threads } = self;
        let serving = async move { serve_passenger(folder, app.start_or_fail(), settings, pending()).await.map(|()| ExitCode::SUCCESS) };
        block_on(worker_threads, EVENTS, Box::pin(serving))
    }

    /// Listens on a Unix socket of our own.
    fn listen_at(self, path: &Path, mode: u32) -> ExitCode {
        let open = Door::open(path, mode).map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())));
        let unusable = |error| {
            let hint = "name a path of less than 100 bytes in a folder that exists and that you may write to, where nobody else listens and no other file lies";
            Error::new(code::SOCKET, crate::Blame::Operator, "the socket cannot be made", hint).with_source(error)
        };
        match open.map_err(unusable) {
            Ok((door, listener)) => {
                tell_person(path);
                let code = self.accept(Start { sockets: vec![Handed::listener(listener)], ownership: Ownership::Own, terms: Terms::take() });
                drop(door);
                code
            }
            Err(error) => report(&error, 3),
        }
    }
}

/// Makes a runtime and goes on until the program ends. What it does lies in one place: on the stack it would be moved, and each new page of that costs a CGI program a hundredth of its time.
fn block_on(threads: usize, events: usize, serving: Serving) -> ExitCode {
    let runtime = match runtime(threads, events) {
        Ok(runtime) => runtime,
        Err(error) => return report(&runtime_error(error.to_string()), 1),
    };
    // What `block_on` runs itself stays outside the workers of several threads, and would wake one of them up for each connection.
    let result = if threads > 1 {
        let served = runtime.block_on(runtime.spawn(serving));
        served.unwrap_or_else(|error| Err(runtime_error(error.to_string())))
    } else {
        runtime.block_on(serving)
    };
    if runtime.metrics().num_alive_tasks() == 0 {
        // There is nobody left whom its end would concern, and the kernel takes it down faster.
        std::mem::forget(runtime);
    } else {
        // What still runs was waited for as long as the host allows.
        runtime.shutdown_background();
    }
    result.unwrap_or_else(|error| report(&error, 1))
}

fn runtime(worker_threads: usize, events: usize) -> io::Result<Runtime> {
    let mut builder = if worker_threads > 1 { Builder::new_multi_thread() } else { Builder::new_current_thread() };
    if worker_threads > 1 {
        builder.worker_threads(worker_threads);
    }
    builder.enable_all().max_blocking_threads(BLOCKING_THREADS).max_io_events_per_tick(events).build()
}

/// Behind a listener arguments are read late and never end the program: lsnode passes a path, FcgidWrapper passes options.
fn note_arguments(args: &[OsString]) {
    let understood = match args {
        [] => true,
        [verb] if verb == "serve" => true,
        #[cfg(feature = "site")]
        args if configured::argument(args).is_some() => true,
        _ => is_lsnode(),
    };
    if !understood {
        tracing::warn!(target: "lodger", "{}: the program serves the socket that it was given and takes no notice of its arguments", code::ARGUMENTS_IGNORED);
    }
}

/// A person who started the program in a terminal would wonder at its silence.
fn tell_person(path: &Path) {
    use std::io::{IsTerminal as _, Write as _};
    let mut stderr = io::stderr();
    if stderr.is_terminal() {
        let _ = writeln!(stderr, "listening on {}; Ctrl-C ends it", path.display());
    }
}

/// Tells a person, or the error log, why the program ends.
pub(crate) fn report(error: &Error, exit: u8) -> ExitCode {
    use std::io::Write as _;
    // There is nobody left to tell when even stderr is gone.
    let _ = writeln!(io::stderr(), "{}", error.report());
    ExitCode::from(exit)
}
