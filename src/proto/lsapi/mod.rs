//! LSAPI, the protocol of LiteSpeed: packets with a head of eight bytes, one request at a time, a body that follows its request bare.
//!
//! There is no specification. What is written here was seen on the wire of OpenLiteSpeed 1.9.1 (`fixtures/lsapi`) or read in the sources of that server and of its
//! library for applications.

#[cfg(any(test, feature = "cli"))]
pub(crate) mod client;
mod connection;
mod headers;
mod packet;

pub(crate) use connection::Connection;
