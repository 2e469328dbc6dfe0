//! What the server does with bytes, good and bad: records made by hand go in, and what comes back is read byte by byte.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod bare;
mod bare_failure;
mod bodies;
mod contract;
mod departure;
mod every_door;
mod failure;
mod floods;
mod framing;
mod garbage;
mod lifecycle;
mod limits;
mod management;
mod multiplex;
mod order;
mod roles;
mod signals;
mod time;
