//! The hello of axum over HTTP, the way its guide goes. The listening socket is fd 0.

use axum::{Router, routing::get};
use std::os::{fd::AsFd as _, unix};
use tokio::net::UnixListener;

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let listener = unix::net::UnixListener::from(std::io::stdin().as_fd().try_clone_to_owned()?);
    listener.set_nonblocking(true)?;
    let app = Router::new().route("/hello", get(|| async { "hello, world\n" }));
    axum::serve(UnixListener::from_std(listener)?, app).await
}
