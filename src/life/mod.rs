//! What keeps a process a good lodger: it leaves when told without losing a request, and knows where its files may lie.

mod drain;
mod state;

pub use drain::background;
pub(crate) use drain::{Signals, background_tasks, hang_up};
pub use state::state_dir;
