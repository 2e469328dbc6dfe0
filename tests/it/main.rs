//! Integration tests: the real programs, seen from outside. One binary, a module for each topic.

mod api;
mod cli;
mod peer;
mod raw;
mod readme;
mod servers;
mod tidy;
