//! What keeps a process a good lodger: it leaves when told without losing a request, holds little while it is idle, tells systemd how it is, and knows where its files may lie.

mod drain;
mod litespeed;
mod notify;
mod rest;
mod state;
mod work;

pub use drain::background;
pub(crate) use drain::{Signals, background_tasks, hang_up, has_background_tasks};
pub(crate) use litespeed::{leave_alone, warn_of_root};
pub(crate) use notify::Notify;
pub(crate) use rest::Rest;
pub(crate) use state::program;
pub use state::state_dir;
#[cfg(feature = "site")]
pub(crate) use state::use_state_dir;
pub(crate) use work::Work;
