//! The codes, one line each. `docs/errors.md` has a page for each; a test compares.

/// The code of something that went wrong, such as `LG0301`. `docs/errors.md` tells what each means and what to do.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Code(&'static str);

impl Code {
    /// `LG` and four digits.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.0
    }
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

impl std::fmt::Debug for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

macro_rules! codes {
    ($($(#[$attr:meta])* $name:ident = $code:literal;)*) => {
        $(
            $(#[$attr])*
            #[cfg_attr(not(feature = "site"), allow(dead_code, reason = "their pages stay where there is no `lodger.toml`"))]
            pub(crate) const $name: Code = Code($code);
        )*

        /// All of them, for the test that compares them with their pages.
        #[cfg(test)]
        pub(crate) const ALL: &[Code] = &[$($name),*];
    };
}

codes! {
    // Start
    STARTED_BY_NOBODY = "LG0101";
    APP_DID_NOT_START = "LG0102";
    INSIDE_A_RUNTIME = "LG0103";
    SOCKET = "LG0104";
    ARGUMENTS_IGNORED = "LG0105";
    RUNTIME = "LG0106";
    AS_ROOT = "LG0108";
    ACTIVATION = "LG0109";
    NOTIFY = "LG0110";
    PASSENGER_WANTS_PORT = "LG0113";
    PASSENGER_WANTS_PRELOADER = "LG0114";
    PASSENGER_HANDSHAKE = "LG0115";
    #[cfg_attr(not(feature = "cli"), allow(dead_code, reason = "only `init` writes that file"))]
    PASSENGERFILE = "LG0116";
    // Configuration
    CONFIG_UNREADABLE = "LG0201";
    CONFIG_SYNTAX = "LG0202";
    CONFIG_UNKNOWN_KEY = "LG0203";
    CONFIG_WRONG_VALUE = "LG0204";
    CONFIG_MISSING = "LG0205";
    CONFIG_CONFLICT = "LG0206";
    CONFIG_NOT_FILLED = "LG0207";
    CONFIG_ROUTES = "LG0208";
    CONFIG_HOSTS = "LG0209";
    CONFIG_NO_FILE = "LG0210";
    CONFIG_BROKEN = "LG0211";
    CONFIG_NEEDS_RESTART = "LG0212";
    CONFIG_NO_APP = "LG0213";
    // Protocol
    VIOLATION = "LG0301";
    NOT_A_REQUEST = "LG0302";
    PARAMS_TOO_LARGE = "LG0303";
    PARAMS_MALFORMED = "LG0304";
    UNKNOWN_ROLE = "LG0305";
    BODY_CUT = "LG0306";
    PARAMS_TIMEOUT = "LG0307";
    NO_LENGTH = "LG0308";
    UNKNOWN_PROTOCOL = "LG0309";
    ANOTHER_USER = "LG0311";
    #[cfg_attr(not(feature = "http"), allow(dead_code, reason = "its page stays where HTTP is not spoken"))]
    NO_UPGRADE = "LG0315";
    // Files and routes
    UNKNOWN_HOST = "LG0401";
    WRONG_SNI = "LG0402";
    HOSTILE_PATH = "LG0403";
    FILE_UNREADABLE = "LG0404";
    UPSTREAM_UNREACHABLE = "LG0405";
    UPSTREAM_BROKE = "LG0406";
    CGI_PROGRAM = "LG0408";
    USERS_UNREADABLE = "LG0409";
    PAGE_UNREADABLE = "LG0410";
    MAINTENANCE = "LG0411";
    // Limits
    TOO_MANY_REQUESTS = "LG0501";
    REQUEST_TIMEOUT = "LG0502";
    BODY_TOO_LARGE = "LG0503";
    NO_ROOM_FOR_BODY = "LG0504";
    WRITE_STALLED = "LG0505";
    OUT_OF_DESCRIPTORS = "LG0506";
    ACCEPT = "LG0507";
    RATE = "LG0508";
    CONCURRENCY = "LG0509";
    BANDWIDTH = "LG0510";
    // Life
    DRAIN_DEADLINE = "LG0601";
    STATE_IN_THE_OPEN = "LG0602";
    NO_STATE = "LG0603";
    // The app
    APP_PANICKED = "LG0701";
    APP_FAILED = "LG0702";
    RESPONSE_UNSENDABLE = "LG0703";
    BODY_FAILED = "LG0704";
    BODY_TOO_LONG = "LG0705";
    BODY_TOO_SHORT = "LG0706";
    FAT_HEADER = "LG0707";
    STATUS_REPLACED = "LG0708";
    MEMORY_FAULT = "LG0709";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_its_page_and_every_page_its_code() {
        let pages = include_str!("../../docs/errors.md");
        let mut titled: Vec<&str> = pages.lines().filter_map(|line| line.strip_prefix("## ")).filter_map(|title| title.get(..6)).collect();
        let mut known: Vec<&str> = ALL.iter().map(|code| code.as_str()).collect();
        titled.sort_unstable();
        known.sort_unstable();
        assert_eq!(titled, known);
    }
}
