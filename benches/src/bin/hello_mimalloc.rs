//! The hello of lodger with mimalloc.

use axum::{Router, routing::get};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    lodger::run(|| Router::new().route("/hello", get(|| async { "hello, world\n" })))
}
