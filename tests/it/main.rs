//! Integration tests: the real programs, seen from outside. One binary, a module for each topic.

mod peer;
mod raw;
mod servers;
