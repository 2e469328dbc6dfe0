//! The smallest program: an axum router that any web server can start.

use axum::{Router, routing::get};

fn main() -> std::process::ExitCode {
    lodger::run(|| Router::new().route("/", get(|| async { "Hello from shared hosting" })))
}
