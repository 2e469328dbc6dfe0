//! The hello of lodger: an axum router with one route, run the way every program runs it.

use axum::{Router, routing::get};

fn main() -> std::process::ExitCode {
    lodger::run(|| Router::new().route("/hello", get(|| async { "hello, world\n" })))
}
