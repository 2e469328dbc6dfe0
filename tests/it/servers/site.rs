//! A web space in a temporary folder: document root, logs, and the test application copied to where the web server looks.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown, lchown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::process;

/// As whom Debian's web servers run their children when they are started by root.
pub(crate) const WEB_SERVER_USER: &str = "www-data";

/// As whom programs run under suexec; `scripts/setup` creates this user.
pub(crate) const SUEXEC_USER: &str = "lodger-test";

/// One web space. The folder goes away with this value.
pub(crate) struct Site {
    root: TempDir,
}

impl Site {
    /// A web space below the temporary directory. Started by root, it belongs to the web server, as on hosts without suexec.
    pub(crate) fn new() -> Self {
        Self::below(&std::env::temp_dir(), WEB_SERVER_USER)
    }

    /// A web space where suexec agrees to run programs: below `/var/www`, owned by the user as whom they run.
    pub(crate) fn for_suexec() -> Self {
        Self::below(Path::new("/var/www"), SUEXEC_USER)
    }

    fn below(parent: &Path, owner: &str) -> Self {
        let root = tempfile::Builder::new().prefix("lodger-it-").tempdir_in(parent).unwrap();
        let site = Self { root };
        for folder in [site.root(), &site.docroot(), &site.private(), &site.logs(), &site.run()] {
            fs::create_dir_all(folder).unwrap();
            fs::set_permissions(folder, Permissions::from_mode(0o755)).unwrap();
        }
        site.give(site.root(), owner);
        site.give(&site.docroot(), owner);
        site.give(&site.private(), owner);
        // Sockets and lock files of the web server are made here.
        site.give(&site.run(), WEB_SERVER_USER);
        site
    }

    pub(crate) fn root(&self) -> &Path {
        self.root.path()
    }

    pub(crate) fn docroot(&self) -> PathBuf {
        self.root().join("htdocs")
    }

    /// Beside the document root, as many hosts have it: there a program keeps what nobody is to download.
    fn private(&self) -> PathBuf {
        self.root().join("private")
    }

    pub(crate) fn logs(&self) -> PathBuf {
        self.root().join("logs")
    }

    pub(crate) fn run(&self) -> PathBuf {
        self.root().join("run")
    }

    /// What all programs of this web space printed, and what the web server wrote to its error log.
    pub(crate) fn log_text(&self) -> String {
        let mut text = String::new();
        for entry in fs::read_dir(self.logs()).unwrap().flatten() {
            text.push_str(&String::from_utf8_lossy(&fs::read(entry.path()).unwrap()));
        }
        text
    }

    /// Looks for a file by its name, in all of the web space.
    pub(crate) fn find(&self, name: &str) -> Option<PathBuf> {
        let mut folders = vec![self.root().to_path_buf()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap().flatten() {
                if entry.file_name() == name {
                    return Some(entry.path());
                }
                if entry.file_type().unwrap().is_dir() {
                    folders.push(entry.path());
                }
            }
        }
        None
    }

    /// Copies the test application into the web space, under a path relative to its root.
    pub(crate) fn install(&self, path: &str) -> PathBuf {
        self.install_example("testapp", path)
    }

    /// The same with another program of the folder `examples`.
    pub(crate) fn install_example(&self, name: &str, path: &str) -> PathBuf {
        self.install_program(&example(name), path)
    }

    /// The same with any program.
    pub(crate) fn install_program(&self, program: &Path, path: &str) -> PathBuf {
        let target = self.root().join(path);
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        // By a process of its own: a child that another test starts at this moment must not hold the file open for
        // writing, because Linux does not run a program that somebody may write to.
        let copied = Command::new("cp").arg(program).arg(&target).status().unwrap();
        assert!(copied.success(), "{} (cargo build --examples makes it)", program.display());
        fs::set_permissions(&target, Permissions::from_mode(0o755)).unwrap();
        self.give_as_the_docroot(&target);
        target
    }

    /// Writes a file of the document root, in a folder that is made if it is not there.
    pub(crate) fn write(&self, path: &str, text: &str) {
        self.write_at(&self.docroot().join(path), text);
    }

    /// The same anywhere in the web space.
    pub(crate) fn write_at(&self, target: &Path, text: &str) {
        let folder = target.parent().unwrap();
        if !folder.exists() {
            fs::create_dir_all(folder).unwrap();
            self.give_as_the_docroot(folder);
        }
        fs::write(target, text).unwrap();
        self.give_as_the_docroot(target);
    }

    /// Puts another file in the place of one, as a careful upload does it.
    pub(crate) fn replace(&self, target: &Path, text: &str) {
        let new = target.with_extension("new");
        self.write_at(&new, text);
        fs::rename(new, target).unwrap();
    }

    /// A copy of `fixtures/www` beside the document root.
    pub(crate) fn add_www(&self) -> PathBuf {
        let www = self.root().join("www");
        let copied = Command::new("cp").arg("-R").arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/www")).arg(&www).status().unwrap();
        assert!(copied.success());
        let mut open = vec![www.clone()];
        while let Some(path) = open.pop() {
            self.give_as_the_docroot(&path);
            if path.is_dir() {
                open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            }
        }
        www
    }

    /// A symbolic link of the owner of the web space.
    pub(crate) fn link(&self, to: impl AsRef<Path>, link: &Path) {
        symlink(to, link).unwrap();
        if process::is_root() {
            let (uid, gid) = process::ids_of(WEB_SERVER_USER).unwrap();
            lchown(link, Some(uid), Some(gid)).unwrap();
        }
    }

    fn give_as_the_docroot(&self, path: &Path) {
        let suexec = self.root().starts_with("/var/www");
        self.give(path, if suexec { SUEXEC_USER } else { WEB_SERVER_USER });
    }

    fn give(&self, path: &Path, user: &str) {
        if process::is_root() {
            let (uid, gid) = process::ids_of(user).unwrap_or_else(|| panic!("no user {user}: scripts/setup creates what is missing"));
            chown(path, Some(uid), Some(gid)).unwrap();
        }
    }
}

/// A sample out of `htaccess-samples/`, byte for byte.
pub(crate) fn sample(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("htaccess-samples").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A program of the folder `examples`, of the same build as this test binary, which lies in `target/<profile>/deps`.
pub(crate) fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(Path::parent).unwrap();
    profile.join("examples").join(name)
}
