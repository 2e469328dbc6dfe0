//! The hello of lodger with nothing that it does not need: no command line, no HTTP on the socket.

use axum::{Router, routing::get};

fn main() -> std::process::ExitCode {
    lodger::run(|| Router::new().route("/hello", get(|| async { "hello, world\n" })))
}
