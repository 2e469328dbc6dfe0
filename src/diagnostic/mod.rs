//! What people are told when something is wrong: a code, the place, a sentence and a cure.

pub(crate) mod codes;
