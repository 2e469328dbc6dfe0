//! Integration tests: the real programs, seen from outside. One binary, a module for each topic.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, reason = "a test that cannot go on has failed")]

mod api;
mod cgi;
mod cli;
#[cfg(feature = "site")]
mod config;
#[cfg(feature = "http")]
mod http;
mod lsapi;
mod passenger_start;
mod peer;
mod ports;
mod raw;
mod readme;
mod reads;
mod start;
mod servers;
#[cfg(feature = "site")]
mod sites;
mod tidy;
#[cfg(feature = "site")]
mod ways_to_sites;
