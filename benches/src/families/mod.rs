//! The families of benchmarks, each in a file of its own with one function, `run`.

pub(crate) mod socket;
