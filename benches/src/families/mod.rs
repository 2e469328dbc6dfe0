//! The families of benchmarks, each in a file of its own with one function, `run`.

pub(crate) mod allocators;
pub(crate) mod bodies;
pub(crate) mod cgi;
pub(crate) mod instructions;
pub(crate) mod memory;
pub(crate) mod scale;
pub(crate) mod sizes;
pub(crate) mod socket;
pub(crate) mod threads;
