//! Exit codes of the command line. 0 is fine.

/// Problems were found: a response of 500 and above, or one that broke off.
pub(super) const PROBLEMS: u8 = 1;

/// The arguments make no sense, or no web server started the program.
pub(super) const USAGE: u8 = 2;

/// Something could not be read or written.
pub(super) const IO: u8 = 3;
