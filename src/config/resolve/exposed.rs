//! Files that nobody shall see, in a folder whose files everybody may see.

use super::Resolve;
use crate::config::{
    mistakes,
    model::{Handler, Site},
};
use std::{
    collections::HashSet,
    ops::Range,
    path::{Component, Path, PathBuf},
    sync::Arc,
};

impl Resolve<'_> {
    /// Notes the files that visitors could download: those with users, and `filled`, which fill in texts.
    pub(super) fn check_exposed(&mut self, sites: &[Arc<Site>], filled: &[(Range<usize>, PathBuf)]) {
        let users = std::mem::take(&mut self.users);
        if users.is_empty() && filled.is_empty() {
            return;
        }
        let handlers = sites.iter().flat_map(|site| site.routes.iter().map(|route| &route.handler));
        let roots: HashSet<&Path> = handlers
            .filter_map(|handler| match handler {
                Handler::Files(files) => Some(files.root.as_path()),
                Handler::FastCgi(fastcgi) => Some(fastcgi.root.as_path()),
                _ => None,
            })
            .collect();
        // As they are written and as they are: a link may lead into a folder, and out of it.
        let roots: HashSet<PathBuf> = roots.into_iter().flat_map(|root| [tidy(root), real(root)]).collect();
        for (span, path) in users.iter().chain(filled) {
            if [tidy(path), real(path)].iter().any(|path| is_below(path, &roots)) {
                let shown = path.strip_prefix(self.folder).unwrap_or(path).display();
                let sentence = format!("visitors could download {shown}, which lies in a folder that is sent to them");
                let hint = "move it above the document root, where no route has its files";
                self.mistakes.push(mistakes::conflict(span.clone(), sentence, hint).warning());
            }
        }
    }
}

/// Whether a file lies below one of the folders, or is one that is sent itself, under names that are sent: hidden ones are not.
fn is_below(path: &Path, roots: &HashSet<PathBuf>) -> bool {
    path.ancestors().filter(|root| roots.contains(*root)).any(|root| {
        let below = path.strip_prefix(root).unwrap_or(path);
        let is_hidden = |name: &std::ffi::OsStr| name.as_encoded_bytes().starts_with(b".") && name != ".well-known";
        !below.iter().any(is_hidden)
    })
}

/// A path without `.` and `..`, as far as its text tells.
fn tidy(path: &Path) -> PathBuf {
    let mut whole = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => drop(whole.pop()),
            part => whole.push(part),
        }
    }
    whole
}

/// Where a path leads, if it leads anywhere.
fn real(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| tidy(path))
}

#[cfg(test)]
mod tests {
    use crate::config::Config;
    use std::fs;

    /// How often a file of users is said to lie open.
    fn warnings(route: &str, users: &str) -> usize {
        let folder = tempfile::tempdir().unwrap();
        let web = folder.path().join("web");
        fs::create_dir_all(web.join("public/.private")).unwrap();
        for name in ["users", "web/users", "web/public/users", "web/public/.users", "web/public/.private/users"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        std::os::unix::fs::symlink("../users", web.join("public/link")).unwrap();
        std::os::unix::fs::symlink("public/users", web.join("way-in")).unwrap();
        let text = format!("[[site]]\nauth = {{ kind = \"basic\", users = \"{users}\" }}\n[[site.route]]\npath = \"/\"\n{route}\n");
        let config = Config::parse(&text, web.join("lodger.toml")).unwrap();
        config.warnings().iter().inspect(|mistake| assert!(mistake.sentence.contains("could download"), "{mistake:?}")).count()
    }

    #[test]
    fn a_file_of_users_that_visitors_could_download_is_told() {
        let public = "files = \"public\"";
        let php = "fastcgi = \"unix:x\"\nroot = \"public\"";
        for (route, users, told) in [
            (public, "public/users", 1),
            (public, "public/../public/./users", 1),
            (public, "public/link", 1),
            (public, "way-in", 1),
            (php, "public/users", 1),
            ("files = \".\"", "users", 1),
            ("files = \"users\"", "users", 1),
            (public, "users", 0),
            (public, "../users", 0),
            ("files = \".\"", "../users", 0),
            (public, "public/../users", 0),
            (public, "public/.users", 0),
            (public, "public/.private/users", 0),
            ("respond = \"x\"", "public/users", 0),
        ] {
            assert_eq!(warnings(route, users), told, "{route} {users}");
        }
    }
}
