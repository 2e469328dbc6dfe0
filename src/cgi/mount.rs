//! The mount: the part of the path that the web server consumed to find the program. It is stripped, so that an app sees `/hello`
//! wherever it lives.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

/// Our own executable, taken apart once for all requests.
#[derive(Debug, Clone)]
pub(crate) struct Executable {
    path: PathBuf,
    folder: PathBuf,
    name: OsString,
    stem: OsString,
}

impl Executable {
    pub(crate) fn new(path: PathBuf) -> Self {
        let part = |part: Option<&OsStr>| part.unwrap_or_default().to_owned();
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        Self { folder, name: part(path.file_name()), stem: part(path.file_stem()), path }
    }
}

/// What the mount is found from.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct MountFacts<'a> {
    /// A mount that somebody wrote down (`LODGER_MOUNT`).
    pub(super) told: Option<&'a [u8]>,
    /// The path of the request as it stands in the target, encoded.
    pub(super) path: &'a str,
    pub(super) script_name: &'a [u8],
    pub(super) path_info: &'a [u8],
    pub(super) script_filename: &'a [u8],
    /// Our own executable.
    pub(super) program: Option<&'a Executable>,
    /// Whether the server may have made `SCRIPT_NAME` up (Apache with a virtual wrapper).
    pub(super) invents_script_name: bool,
    /// Whether a slash at the end of `SCRIPT_NAME` is that of a mount (LiteSpeed).
    pub(super) ends_mount_with_slash: bool,
}

/// Finds the mount: the prefix of `path`, as it stands there, "" at the top and without a slash at its end.
///
/// The four rules are those of the design page "From variables to a request"; `fixtures/cgi` holds a capture for each.
pub(super) fn find<'a>(facts: &MountFacts<'a>) -> &'a str {
    if let Some(told) = facts.told {
        let told = told.strip_suffix(b"/").unwrap_or(told);
        return raw_prefix(facts.path, told).unwrap_or_default();
    }
    let (directory, segment) = match facts.script_name.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => (&facts.script_name[..slash], &facts.script_name[slash + 1..]),
        None => (&b""[..], facts.script_name),
    };
    if names_program(facts, segment) {
        return raw_prefix(facts.path, facts.script_name).or_else(|| raw_prefix(facts.path, directory)).unwrap_or_default();
    }
    if facts.path_info.is_empty() && facts.ends_mount_with_slash && decoded_eq(facts.path, facts.script_name) {
        // `/app/` itself has no PATH_INFO and is the top of the app. A server that puts every path into SCRIPT_NAME means a page by it.
        return facts.path.strip_suffix('/').unwrap_or_default();
    }
    if !facts.path_info.is_empty() && !facts.invents_script_name {
        // OpenLiteSpeed has the slash both at the end of SCRIPT_NAME and at the start of PATH_INFO.
        let script_name = facts.script_name.strip_suffix(b"/").unwrap_or(facts.script_name);
        if let Some(prefix) = raw_prefix(facts.path, script_name)
            && decoded_eq(&facts.path[prefix.len()..], facts.path_info)
        {
            return prefix;
        }
    }
    ""
}

/// Whether SCRIPT_NAME leads to a program and not to a page: its last `segment` is the name of our executable, bears its stem as a `.fcgi` or `.cgi`
/// file (`app.cgi` beside `app.fcgi`), or is such a file in our folder; or Apache says that it started us for it (`Alias /tool …/app.fcgi`).
///
/// A bare stem is not enough: behind nginx, where SCRIPT_NAME is the whole path, a program `blog` would lose its page `/blog`.
fn names_program(facts: &MountFacts<'_>, segment: &[u8]) -> bool {
    let Some(program) = facts.program.filter(|_| !segment.is_empty()) else { return false };
    let same_name = segment == program.name.as_bytes();
    // A dot at the start begins no extension.
    let dot = segment.iter().rposition(|byte| *byte == b'.').filter(|dot| *dot > 0);
    let (stem, extension) = dot.map_or((segment, None), |dot| (&segment[..dot], segment.get(dot + 1..)));
    let is_program = matches!(extension, Some(b"fcgi" | b"cgi"));
    if same_name && extension.is_some() || is_program && stem == program.stem.as_bytes() {
        return true;
    }
    let in_our_folder =
        || facts.script_filename.strip_suffix(segment).is_some_and(|folder| folder.ends_with(b"/") && is_path(folder, &program.folder));
    (same_name || facts.invents_script_name) && is_path(facts.script_filename, &program.path) || is_program && in_our_folder()
}

/// Whether a path that the web server tells is one of ours. They are compared by their parts: behind a root that ends with a slash, two slashes stand before the name.
fn is_path(told: &[u8], ours: &Path) -> bool {
    // To take paths apart is dear, and most that differ do so in their last letter. A slash or a dot there may be no part of the path.
    let last = told.strip_suffix(b"/").unwrap_or(told).last();
    let may_be = matches!(last, None | Some(b'/' | b'.')) || last == ours.as_os_str().as_bytes().last();
    may_be && Path::new(OsStr::from_bytes(told)) == ours
}

/// The part of `raw` that decodes to `prefix` and ends where a segment ends.
fn raw_prefix<'a>(raw: &'a str, prefix: &[u8]) -> Option<&'a str> {
    if !raw.contains('%') {
        let rest = raw.as_bytes().strip_prefix(prefix)?;
        return raw.get(..prefix.len()).filter(|_| matches!(rest, [] | [b'/', ..]));
    }
    let mut decoded = decode_with_positions(raw);
    let mut end = 0;
    for &expect in prefix {
        let (byte, next) = decoded.next()?;
        if byte != expect {
            return None;
        }
        end = next;
    }
    let (head, rest) = raw.split_at_checked(end)?;
    (rest.is_empty() || rest.starts_with('/')).then_some(head)
}

fn decoded_eq(raw: &str, decoded: &[u8]) -> bool {
    decode_with_positions(raw).map(|(byte, _)| byte).eq(decoded.iter().copied())
}

/// Each decoded byte of `raw` with the position behind it.
fn decode_with_positions(raw: &str) -> impl Iterator<Item = (u8, usize)> {
    let bytes = raw.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        let byte = *bytes.get(at)?;
        let hex = |at: usize| bytes.get(at).and_then(|digit| char::from(*digit).to_digit(16)).and_then(|digit| u8::try_from(digit).ok());
        let byte = match (byte, hex(at + 1), hex(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                at += 3;
                high << 4 | low
            }
            _ => {
                at += 1;
                byte
            }
        };
        Some((byte, at))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mount(path: &str, script_name: &str, path_info: &str, script_filename: &str) -> String {
        find(&MountFacts {
            path,
            script_name: script_name.as_bytes(),
            path_info: path_info.as_bytes(),
            script_filename: script_filename.as_bytes(),
            program: Some(&Executable::new("/www/sub/app.fcgi".into())),
            ..MountFacts::default()
        })
        .to_owned()
    }

    #[test]
    fn the_program_or_its_folder_is_stripped() {
        assert_eq!(mount("/sub/app.fcgi/x", "/sub/app.fcgi", "/x", "/www/sub/app.fcgi"), "/sub/app.fcgi");
        assert_eq!(mount("/sub/x", "/sub/app.fcgi", "", "/www/sub/app.fcgi"), "/sub");
        assert_eq!(mount("/other", "/sub/app.fcgi", "", "/www/sub/app.fcgi"), "");
        assert_eq!(mount("/x", "/app.fcgi", "", "/www/app.fcgi"), "");
    }

    #[test]
    fn a_copy_under_another_name_counts_as_the_program() {
        assert_eq!(mount("/sub/x", "/sub/app.cgi", "", "/www/sub/app.cgi"), "/sub");
        assert_eq!(mount("/sub/x", "/sub/other.cgi", "", "/www/sub/other.cgi"), "/sub");
        assert_eq!(mount("/else/x", "/else/other.cgi", "", "/www/else/other.cgi"), "");
        assert_eq!(mount("/sub/x", "/sub/other.cgi", "", "/www//sub//other.cgi"), "/sub", "a root that ends with a slash");
        for untidy in ["/www/sub/./other.cgi", "/www/./sub/other.cgi", "/www/sub///other.cgi"] {
            assert_eq!(mount("/sub/x", "/sub/other.cgi", "", untidy), "/sub", "{untidy}");
        }
        for elsewhere in ["/www/sub/another.cgi", "/www/hub/other.cgi", "/sub/other.cgi", "//other.cgi", "other.cgi", ""] {
            assert_eq!(mount("/sub/x", "/sub/other.cgi", "", elsewhere), "", "{elsewhere:?}");
        }
    }

    #[test]
    fn a_program_at_the_top_of_the_file_system_has_a_folder_too() {
        let program = Executable::new("/app.fcgi".into());
        for (script_filename, expected) in [("/other.cgi", "/sub"), ("//other.cgi", "/sub"), ("/./other.cgi", "/sub"), ("/x/other.cgi", "")] {
            let facts =
                MountFacts { path: "/sub/x", script_name: b"/sub/other.cgi", script_filename: script_filename.as_bytes(), ..MountFacts::default() };
            assert_eq!(find(&MountFacts { program: Some(&program), ..facts }), expected, "{script_filename}");
        }
    }

    #[test]
    fn a_page_that_bears_the_name_of_the_program_stays() {
        assert_eq!(mount("/app", "/app", "", "/www/app"), "");
        assert_eq!(mount("/hello", "/hello", "", "/www/sub/hello"), "");
        assert_eq!(mount("/static/app.js", "/static/app.js", "", "/www/static/app.js"), "");
        assert_eq!(mount("/hello", "/hello", "", "/www/sub/app.fcgi"), "", "nginx with a fixed SCRIPT_FILENAME");
    }

    #[test]
    fn the_prefix_is_taken_as_it_stands_in_the_target() {
        assert_eq!(mount("/a%20b/x", "/a b/app.fcgi", "", "/www/a b/app.fcgi"), "/a%20b");
        assert_eq!(mount("/subway", "/sub/app.fcgi", "", "/www/sub/app.fcgi"), "");
    }

    #[test]
    fn script_name_and_path_info_that_make_up_the_path_give_the_mount() {
        assert_eq!(mount("/app/x", "/app", "/x", ""), "/app");
        assert_eq!(mount("/app/x", "/app/", "/x", ""), "/app");
        assert_eq!(mount("/app/x", "/app", "/y", ""), "");
    }

    #[test]
    fn the_top_of_a_litespeed_context_is_no_page() {
        let facts = MountFacts { path: "/app/", script_name: b"/app/", ends_mount_with_slash: true, ..MountFacts::default() };
        assert_eq!(find(&facts), "/app");
        assert_eq!(find(&MountFacts { path_info: b"/", ..facts }), "/app");
        assert_eq!(find(&MountFacts { path: "/", script_name: b"/", ..facts }), "");
        assert_eq!(find(&MountFacts { path: "/page", script_name: b"/page", ..facts }), "");
        assert_eq!(find(&MountFacts { ends_mount_with_slash: false, ..facts }), "", "nginx");
    }

    #[test]
    fn a_mount_that_was_written_down_wins_where_it_fits() {
        let facts = MountFacts { told: Some(b"/shop/"), path: "/shop/x", ..MountFacts::default() };
        assert_eq!(find(&facts), "/shop");
        assert_eq!(find(&MountFacts { path: "/x", ..facts }), "");
    }
}
