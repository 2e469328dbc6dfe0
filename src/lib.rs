//! Your axum or tower app behind Apache, LiteSpeed or nginx, on a web space that gives you no port.
//!
//! ```no_run
//! use axum::{Router, routing::get};
//!
//! fn main() -> std::process::ExitCode {
//!     lodger::run(|| Router::new().route("/", get(|| async { "Hello from shared hosting" })))
//! }
//! ```
//!
//! The web server starts the program or hands it a socket; lodger finds out which, turns each exchange into an `http::Request`, calls the
//! app and sends the answer back. No port is ever bound.
//!
//! Which entry is for you:
//!
//! * [`run`](run()): a whole program with a command line. Start here.
//! * [`Program`]: the same with [`Limits`] or threads of your own.
//! * [`serve`](serve()): in a tokio runtime that you have already.
//! * [`RequestExt`]: what the web server said about a request beyond `http::Request`.
//! * [`SendFile`], [`FlushPadding`]: what an app may ask of the web server with a response; [`Profile`]: what the web server is, where it does not say so.
//! * [`Role`], [`Variables`], [`FilterData`]: for programs that guard or filter what something else answers.
//! * [`testing::oneshot`]: a request through all of lodger in a test of your app.
//!
//! * [`Role`], [`Variables`]: a program that guards pages which something else answers.
//! * [`background`], [`state_dir`]: work and files that outlive a response or a process.
//!
//! What the app prints to stdout never reaches a visitor: behind a web server it goes to a log or nowhere. Log with `tracing`; warnings and errors go to the log of the site,
//! and `RUST_LOG` lets more through.
//!
//! Features: `cli` (the command line), `axum08` (`ConnectInfo<SocketAddr>`, `OriginalUri`, and layers of an axum router that are made once: without it, and for a router inside
//! another service, end the router with `.with_state::<()>(())`) and `http` (HTTP/1.1 on the socket that was handed over, WebSockets among it), all on by default. Any tower
//! service works without them.
//!
//! To read the source, follow a request: `gateway` (who started us), `transport` (moves bytes), `proto` (bytes to events), `cgi` (variables to a request
//! and a response to bytes), `app`.

#[cfg(not(target_os = "linux"))]
compile_error!("lodger runs on Linux only: it relies on how its web servers hand over sockets there");

/// The programs of the README compile.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

// In reading order: along the way of a request first.
mod gateway;
mod pairs;
mod proto;
mod cgi;
mod transport;
mod app;
mod body;
mod ext;
mod role;
mod hints;
#[cfg(feature = "site")]
#[cfg_attr(not(feature = "cli"), allow(dead_code, reason = "only the command line prints the table of keys"))]
pub mod config;
#[cfg(feature = "site")]
pub mod handler;
mod limits;
mod page;
mod settings;
mod trust;
mod profile;
mod error;
mod diagnostic;
mod telemetry;
mod life;
#[cfg(feature = "site")]
mod configured;
mod unbuilt;
mod run;
mod serve;
mod process;
#[cfg(feature = "cli")]
mod cli;
mod sys;
pub mod testing;

#[doc(hidden)]
pub use app::shape;
pub use app::{App, IntoApp, ResponseBody};
pub use body::Body;
pub use cgi::CgiVars;
pub use error::{Blame, BoxError, Code, Error};
pub use ext::{Exchange, RequestExt};
pub use gateway::Gateway;
pub use hints::{FlushPadding, SendFile};
pub use life::{background, state_dir};
pub use limits::Limits;
pub use profile::Profile;
pub use proto::Role;
pub use role::{FilterData, VariableError, Variables};
pub use run::{Program, run};
pub use serve::{Serve, serve};
pub use telemetry::log::log_layer;
pub use transport::inbox::BodyError;
