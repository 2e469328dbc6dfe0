//! The path of a request as names of files: decoded once, and refused where a name could mean anything but an entry of its folder.

use crate::config::locate::NAME as OUR_FILE;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
    path::{Component, Path, PathBuf},
};

/// How deep a path may go. Real sites stay below 20; without a limit a link to its own folder would make one request look up thousands of names.
const DEEPEST: usize = 128;

/// The one name with a dot at its front that is public, and only at the top (RFC 8615).
const WELL_KNOWN: &[u8] = b".well-known";

/// Everything but what RFC 3986 section 2.3 leaves as it is. The colon is encoded too, so that no name of a link can become a scheme.
const NAME: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What a path of a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Names {
    /// From the root downwards; every one is [`is_public`].
    pub(super) names: Vec<OsString>,
    /// Whether it ends in a slash, so that only a folder can be meant.
    pub(super) folder: bool,
}

impl Names {
    /// Decodes a path that begins with a slash. None for what is never answered with a file: names that are not [`is_public`], names without a character,
    /// broken percent-encoding, too many names.
    ///
    /// Decoded bytes are taken as they are, since a name of a file is bytes. So an overlong form of a dot or a slash is just a name that nobody has.
    pub(super) fn of(path: &str) -> Option<Self> {
        let mut parts: Vec<&str> = path.strip_prefix('/')?.split('/').take(DEEPEST + 2).collect();
        let folder = parts.pop_if(|last| last.is_empty()).is_some();
        if parts.len() > DEEPEST {
            return None;
        }
        let decoded = parts.iter().enumerate().map(|(at, part)| decode(part).filter(|name| is_public(name, at == 0)).map(OsString::from_vec));
        Some(Self { names: decoded.collect::<Option<_>>()?, folder })
    }

    /// The last name as text, "" at the top.
    pub(super) fn last(&self) -> &OsStr {
        self.names.last().map_or(OsStr::new(""), OsString::as_os_str)
    }
}

fn decode(part: &str) -> Option<Vec<u8>> {
    let mut bytes = part.bytes();
    let mut decoded = Vec::with_capacity(part.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => hex(bytes.next()?)? << 4 | hex(bytes.next()?)?,
            other => other,
        });
    }
    Some(decoded)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// Whether a file of this name may be asked for: no dot at its front (but [`WELL_KNOWN`] at the `top`), no slash, no backslash, no control character; no script of PHP, whose text
/// holds passwords and is meant for nobody, and not our own configuration.
pub(super) fn is_public(name: &[u8], top: bool) -> bool {
    let ending = name.rsplit(|byte| *byte == b'.').next().unwrap_or_default().to_ascii_lowercase();
    let is_script = ending.starts_with(b"php") || matches!(&*ending, b"phtml" | b"pht" | b"phar");
    let hidden = name.first().is_none_or(|first| *first == b'.') && !(top && name == WELL_KNOWN)
        || is_script && name.contains(&b'.')
        || name == OUR_FILE.as_bytes();
    !hidden && !name.iter().any(|byte| matches!(byte, b'/' | b'\\') || byte.is_ascii_control())
}

/// Whether every name of a path below the root is public.
pub(super) fn is_public_path(relative: &Path) -> bool {
    relative.components().enumerate().all(|(at, part)| matches!(part, Component::Normal(name) if is_public(name.as_bytes(), at == 0)))
}

/// A file that the settings name, such as `app/index.html`; not encoded, so a percent sign is one.
pub(super) fn of_setting(name: &str) -> Option<PathBuf> {
    let relative = PathBuf::from(name.trim_matches('/'));
    (relative.components().next().is_some() && is_public_path(&relative)).then_some(relative)
}

/// A name as a part of a URL.
pub(super) fn encode_name(name: &OsStr) -> String {
    percent_encode(name.as_bytes(), NAME).to_string()
}

/// A path below the root as a part of a URL, without a slash at its front.
pub(super) fn encode_path(relative: &Path) -> String {
    relative.iter().map(encode_name).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(path: &str) -> Option<Vec<Vec<u8>>> {
        Names::of(path).map(|found| found.names.into_iter().map(OsString::into_vec).collect())
    }

    #[test]
    fn a_path_is_decoded_once_and_no_more() {
        assert_eq!(names("/a%20b/%2563"), Some(vec![b"a b".to_vec(), b"%63".to_vec()]));
        assert_eq!(names("/%e4"), Some(vec![vec![0xe4]]), "a name is bytes");
        assert_eq!(names("/%c0%ae%c0%ae"), Some(vec![vec![0xc0, 0xae, 0xc0, 0xae]]), "an overlong form stays what it is");
        assert_eq!(names("/"), Some(vec![]));
    }

    #[test]
    fn what_could_leave_its_folder_is_no_name() {
        let refused =
            ["", "a", "//", "/a//b", "/./a", "/..", "/%2e%2e/a", "/a%2fb", "/a%5Cb", "/a\\b", "/%00", "/a%0ab", "/%7f", "/%", "/%4", "/%zz", "/%+1"];
        for path in refused {
            assert_eq!(names(path), None, "{path}");
        }
    }

    #[test]
    fn only_well_known_at_the_top_may_begin_with_a_dot() {
        assert!(names("/.well-known/acme").is_some());
        for path in ["/.Well-Known/acme", "/a/.well-known/acme", "/.well-known2", "/.well-known/.htaccess", "/.htaccess", "/%2Ehtaccess", "/..."] {
            assert_eq!(names(path), None, "{path}");
        }
    }

    #[test]
    fn a_path_of_too_many_names_is_refused() {
        assert!(names(&"/a".repeat(DEEPEST)).is_some());
        assert!(names(&format!("{}/", "/a".repeat(DEEPEST))).is_some());
        assert_eq!(names(&"/a".repeat(DEEPEST + 1)), None);
        assert_eq!(names(&"/a".repeat(DEEPEST * 9)), None);
    }

    #[test]
    fn a_setting_names_a_file_below_the_root() {
        assert_eq!(of_setting("/app/index.html"), Some("app/index.html".into()));
        for name in ["", "/", "../x", "a/../../x", ".env", "a/.env"] {
            assert_eq!(of_setting(name), None, "{name}");
        }
    }
}
