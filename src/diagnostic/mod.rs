//! What people are told when something is wrong: a code, the place, a sentence and a cure.

pub(crate) mod codes;
#[cfg(feature = "site")]
mod lines;
#[cfg(feature = "site")]
mod mistake;
#[cfg(feature = "site")]
mod render;

#[cfg(feature = "site")]
pub(crate) use lines::Lines;
#[cfg(feature = "site")]
pub use mistake::Mistakes;
#[cfg(feature = "site")]
pub(crate) use mistake::{Mistake, Severity};
