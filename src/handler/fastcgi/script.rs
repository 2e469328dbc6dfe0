//! Which script a path means. What is run has to be a script that lies below the root, whatever the path says.

use crate::handler::cgi::vars::decoded;
use std::{
    ffi::OsStr,
    fs, io,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

/// What a script's name ends in. PHP-FPM runs any file that it is told, an uploaded picture too.
const SUFFIX: &[u8] = b".php";

/// The one name with a dot in front that is meant for visitors (RFC 8615).
const WELL_KNOWN: &[u8] = b".well-known";

/// A script, and how it was named.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Script {
    /// Where it lies, without symbolic links.
    pub(super) file: PathBuf,
    /// The root, without symbolic links.
    pub(super) root: PathBuf,
    /// Its path in the URL below the route's prefix, decoded.
    pub(super) name: Vec<u8>,
    /// What follows it in the path, decoded; empty, or it begins with a slash.
    pub(super) path_info: Vec<u8>,
}

/// What a path means.
#[derive(Debug)]
pub(super) enum Found {
    Script(Script),
    /// A folder that has a script of its own and was named without a slash at its end, on which relative addresses depend.
    WithoutSlash,
    /// A file that is no script, or nothing at all and no script that answers for it.
    Nothing,
    /// Somebody tries to get out.
    Hostile,
    /// The script, or the root itself, cannot be looked at.
    Unreadable(PathBuf, io::Error),
}

/// Looks for the script that `path` means, which begins with a slash or is empty, and is still encoded.
///
/// The first segment that names an existing script ends its path; the rest is its PATH_INFO. A folder is answered by its `index`, and what does not exist by that of
/// the root. The few looks at folders are done in place: hosts limit threads, and the kernel knows the answers.
pub(super) fn find(root: &Path, path: &str, index: &str) -> Found {
    let segments: Vec<Vec<u8>> = path.split('/').map(decoded).collect();
    // Once more between slashes that were encoded.
    let mut names = segments.iter().flat_map(|segment| segment.split(|byte| *byte == b'/'));
    if names.any(|name| matches!(name, b"." | b"..") || name.contains(&0)) {
        return Found::Hostile;
    }
    let root = match root.canonicalize() {
        Ok(root) => root,
        Err(error) => return Found::Unreadable(root.to_owned(), error),
    };
    walk(&root, &segments, index).unwrap_or_else(|(path, error)| Found::Unreadable(path, error))
}

fn walk(root: &Path, segments: &[Vec<u8>], index: &str) -> Result<Found, (PathBuf, io::Error)> {
    let (mut folder, mut name) = (root.to_owned(), Vec::new());
    for (at, segment) in segments.iter().enumerate().filter(|(_, segment)| !segment.is_empty()) {
        if hidden(segment) {
            return Ok(Found::Nothing);
        }
        let path = folder.join(OsStr::from_bytes(segment));
        // An encoded slash would make two names of one.
        let kind = if segment.contains(&b'/') { None } else { look(&path)? };
        name.push(b'/');
        name.extend_from_slice(segment);
        match kind {
            Some(kind) if kind.is_dir() => folder = path,
            Some(kind) if kind.is_file() && segment.ends_with(SUFFIX) => {
                let rest = segments.get(at + 1..).unwrap_or_default();
                let path_info = rest.iter().flat_map(|segment| [b"/", segment.as_slice()].concat()).collect();
                return script(root, &path, name, path_info);
            }
            // A file for which another route is there, unless the path goes on behind it: that names nothing.
            Some(_) if at + 1 == segments.len() => return Ok(Found::Nothing),
            _ => return front(root, index),
        }
    }
    let file = folder.join(index);
    if folder != root && look(&file)?.is_none_or(|kind| !kind.is_file()) {
        return front(root, index);
    }
    if folder != root && segments.last().is_some_and(|last| !last.is_empty()) {
        return Ok(Found::WithoutSlash);
    }
    name.push(b'/');
    name.extend_from_slice(index.as_bytes());
    script(root, &file, name, Vec::new())
}

/// The script that answers for what does not exist.
fn front(root: &Path, index: &str) -> Result<Found, (PathBuf, io::Error)> {
    script(root, &root.join(index), [b"/", index.as_bytes()].concat(), Vec::new())
}

/// A script, if it is one where all symbolic links have been followed.
fn script(root: &Path, path: &Path, name: Vec<u8>, path_info: Vec<u8>) -> Result<Found, (PathBuf, io::Error)> {
    let file = match path.canonicalize() {
        Ok(file) => file,
        Err(error) => return absent(error).map_or(Ok(Found::Nothing), |error| Err((path.to_owned(), error))),
    };
    let runs = file.starts_with(root) && file.as_os_str().as_bytes().ends_with(SUFFIX) && look(&file)?.is_some_and(|kind| kind.is_file());
    Ok(if runs { Found::Script(Script { file, root: root.to_owned(), name, path_info }) } else { Found::Nothing })
}

fn look(path: &Path) -> Result<Option<fs::FileType>, (PathBuf, io::Error)> {
    match fs::metadata(path) {
        Ok(meta) => Ok(Some(meta.file_type())),
        Err(error) => absent(error).map_or(Ok(None), |error| Err((path.to_owned(), error))),
    }
}

/// None where the error only says that nothing of that name is there; a name may be too long to be one, and a link may lead in a circle.
fn absent(error: io::Error) -> Option<io::Error> {
    let nothing = matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR | libc::ENAMETOOLONG | libc::ELOOP));
    (!nothing).then_some(error)
}

fn hidden(segment: &[u8]) -> bool {
    segment.starts_with(b".") && segment != WELL_KNOWN
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    /// A site, and beside it what nobody may reach.
    fn site() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("site");
        for name in ["blog", "blog/deep", "empty", "folder.php", ".git", ".well-known"] {
            fs::create_dir_all(root.join(name)).unwrap();
        }
        let files = [
            "index.php",
            "a b.php",
            "info.php",
            "blog/index.php",
            "image.jpg",
            "folder.php/index.php",
            ".git/hook.php",
            ".hidden.php",
            "noscript.php.bak",
        ];
        for name in files.iter().chain(&[".well-known/x.php", "blog/deep/x.php", "PHP.PHP"]) {
            fs::write(root.join(name), "<?php").unwrap();
        }
        fs::write(folder.path().join("outside.php"), "<?php").unwrap();
        symlink("../outside.php", root.join("leaves.php")).unwrap();
        symlink("..", root.join("up")).unwrap();
        symlink("info.php", root.join("stays.php")).unwrap();
        symlink("image.jpg", root.join("picture.php")).unwrap();
        symlink("circle.php", root.join("circle.php")).unwrap();
        (folder, root)
    }

    /// `script path_info` or what else was found.
    fn found(root: &Path, path: &str) -> String {
        match find(root, path, "index.php") {
            Found::Script(script) => {
                assert!(script.file.starts_with(&script.root) && script.file.extension() == Some(OsStr::new("php")) && script.file.is_file());
                let file = script.file.strip_prefix(&script.root).unwrap().display().to_string();
                let [name, path_info] = [script.name, script.path_info].map(|text| String::from_utf8(text).unwrap());
                assert!(name == format!("/{file}") || name == "/stays.php", "{name} is {file}");
                format!("{file} {path_info}").trim_end().to_owned()
            }
            Found::WithoutSlash => "without slash".to_owned(),
            Found::Nothing => "nothing".to_owned(),
            Found::Hostile => "hostile".to_owned(),
            Found::Unreadable(..) => "unreadable".to_owned(),
        }
    }

    #[test]
    fn a_path_means_a_script_of_the_site_and_never_another_file() {
        let (_folder, root) = site();
        for (path, expect) in [
            // Scripts, with what follows them.
            ("/info.php", "info.php"),
            ("/info.php/", "info.php /"),
            ("/info.php/a/b%20c", "info.php /a/b c"),
            ("/info.php/image.jpg", "info.php /image.jpg"),
            ("/info.php/index.php", "info.php /index.php"),
            ("/a%20b.php", "a b.php"),
            ("//info.php", "info.php"),
            ("/blog/deep/x.php/y", "blog/deep/x.php /y"),
            ("/.well-known/x.php", ".well-known/x.php"),
            ("/stays.php", "info.php"),
            // Folders.
            ("", "index.php"),
            ("/", "index.php"),
            ("/blog/", "blog/index.php"),
            ("/blog", "without slash"),
            ("/folder.php/", "folder.php/index.php"),
            ("/folder.php", "without slash"),
            ("/empty/", "index.php"),
            ("/empty", "index.php"),
            // Nothing: the front controller.
            ("/news/7", "index.php"),
            ("/missing.php", "index.php"),
            ("/blog/missing.php/x", "index.php"),
            // What another route serves.
            ("/image.jpg", "nothing"),
            ("/noscript.php.bak", "nothing"),
            ("/PHP.PHP", "nothing"),
        ] {
            assert_eq!(found(&root, path), expect, "{path}");
        }
    }

    #[test]
    fn hostile_paths_run_nothing_but_what_everybody_may_run() {
        let (_folder, root) = site();
        for (path, expect) in [
            // A file that is no script is not made one by what follows it.
            ("/image.jpg/x.php", "index.php"),
            ("/image.jpg/.php", "index.php"),
            ("/image.jpg/", "index.php"),
            ("/image.jpg%00.php", "hostile"),
            ("/image.jpg%00/x.php", "hostile"),
            ("/image.jpg%2Fx.php", "index.php"),
            ("/picture.php", "nothing"),
            ("/picture.php/x.php", "nothing"),
            // The way out.
            ("/../outside.php", "hostile"),
            ("/%2e%2e/outside.php", "hostile"),
            ("/blog/..%2f..%2foutside.php", "hostile"),
            ("/..%2foutside.php", "hostile"),
            ("/%2Fetc%2Fx.php", "index.php"),
            ("/info.php/../../outside.php", "hostile"),
            ("/./info.php", "hostile"),
            ("/leaves.php", "nothing"),
            ("/leaves.php/x", "nothing"),
            ("/up/outside.php", "nothing"),
            ("/circle.php", "index.php"),
            // What is hidden.
            ("/.git/hook.php", "nothing"),
            ("/.hidden.php", "nothing"),
            ("/%2ehidden.php", "nothing"),
            // What no name can be.
            ("/blog%2Findex.php", "index.php"),
            ("/%ff%fe.php", "index.php"),
        ] {
            assert_eq!(found(&root, path), expect, "{path}");
        }
        assert_eq!(found(&root, &format!("/{}.php", "x".repeat(5000))), "index.php");
    }

    #[test]
    fn without_a_front_controller_nothing_is_nothing() {
        let (_folder, root) = site();
        fs::remove_file(root.join("index.php")).unwrap();
        for path in ["/", "/news/7", "/empty/"] {
            assert_eq!(found(&root, path), "nothing", "{path}");
        }
    }

    #[test]
    fn an_index_that_is_no_script_is_not_run() {
        let (_folder, root) = site();
        assert!(matches!(find(&root, "/", "image.jpg"), Found::Nothing));
    }

    #[test]
    fn the_root_may_be_a_link_and_must_be_there() {
        let (folder, root) = site();
        symlink("site", folder.path().join("current")).unwrap();
        assert_eq!(found(&folder.path().join("current"), "/info.php"), "info.php");
        assert_eq!(found(&root.join("missing"), "/info.php"), "unreadable");
    }

    #[test]
    fn a_folder_that_may_not_be_looked_into_is_told_from_one_that_is_not_there() {
        let (_folder, root) = site();
        fs::set_permissions(root.join("blog"), fs::Permissions::from_mode(0o000)).unwrap();
        let seen = found(&root, "/blog/index.php");
        // Root may look everywhere.
        let expect = if fs::read_dir(root.join("blog")).is_ok() { "blog/index.php" } else { "unreadable" };
        fs::set_permissions(root.join("blog"), fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(seen, expect);
    }
}
