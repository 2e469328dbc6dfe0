//! What the developer has set: the limits, and the web server where it does not say what it is.

use crate::{limits::Limits, profile::Profile, trust::Trusted};

/// The settings of a server.
#[derive(Debug, Clone, Default)]
pub(crate) struct Settings {
    pub(crate) limits: Limits,
    /// Takes the place of the profile that would be recognised.
    pub(crate) profile: Option<&'static Profile>,
    /// Whose `X-Forwarded-*` headers are believed beside those of this machine.
    pub(crate) trusted: Option<Trusted>,
}
