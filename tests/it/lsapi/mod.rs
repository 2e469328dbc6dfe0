//! LSAPI against the real process: packets made by hand go in, and what comes back is read byte by byte. Nothing here uses the crate's own codec.

mod bad;
pub(crate) mod packets;
mod requests;
