//! The real web servers in front of the real test application: every route through every door, and what only a real
//! server can show.
//!
//! Every test starts servers of its own on free ports of the loopback address, in folders of its own. They need root
//! for nothing but suexec. A program that is missing is a failure and never a skip; `make test-servers` sets up what is
//! missing and runs these tests alone.

#![allow(clippy::print_stdout, reason = "figures that `--nocapture` shows")]

mod apache;
mod authorizer;
mod big_bodies;
mod caddy;
mod client;
mod cures;
mod door;
mod every_route;
mod forged;
mod generous_limits;
mod h2o;
mod haproxy;
mod hostile_paths;
mod lighttpd;
mod limits;
mod live_pages;
mod nginx;
mod no_port;
mod notes;
mod padding;
mod passenger;
mod php;
mod process;
mod proxied;
mod redirect_loop;
mod reload;
mod restarts;
mod routes;
mod samples;
mod send_file;
mod server;
mod side_door;
mod site;
mod sites;
mod slow_handlers;
mod table;
mod ways_in;
mod websocket;
