//! `lodger.toml`: what may stand in it, what it means, and every mistake in it with its place.

pub(crate) mod address;
pub(crate) mod model;
pub(crate) mod secret;
