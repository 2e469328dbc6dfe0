//! The real web servers in front of the real test application: every route through every door, and what only a real
//! server can show.
//!
//! Every test starts servers of its own on free ports of the loopback address, in folders of its own. They need root
//! for nothing but suexec. A program that is missing is a failure and never a skip; `make test-servers` sets up what is
//! missing and runs these tests alone.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "clippy.toml allows these in tests, but takes only the test functions themselves for tests"
)]

mod apache;
mod big_bodies;
mod client;
mod door;
mod every_route;
mod generous_limits;
mod nginx;
mod no_port;
mod process;
mod restarts;
mod routes;
mod samples;
mod server;
mod side_door;
mod site;
mod slow_handlers;
mod ways_in;
