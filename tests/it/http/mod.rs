//! The HTTP door, as a web server sees it that passes requests on: HTTP/1.1 by hand over the socket of the real process.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod alike;
mod bodies;
mod client;
mod departure;
mod failure;
mod garbage;
mod requests;
mod time;
mod upgrade;
