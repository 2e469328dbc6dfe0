//! What lodger and the app tell the one who runs them.

pub(crate) mod log;
