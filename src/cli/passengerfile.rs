//! `Passengerfile.json`: how Phusion Passenger finds a program to start.
//!
//! Passenger reads the file in the web server's own processes, at each request, and a file that is not a JSON object ends that process, with the requests of
//! everybody in it. So it is never written half, and never left wrong.

use serde_json::{Map, Value};
use std::{
    fs::{self, File, Permissions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
};

/// The name that Passenger looks for.
pub(super) const NAME: &str = "Passengerfile.json";

/// Passenger reads no more.
const MAX_BYTES: u64 = 512 * 1024;

/// The file as it is to be.
#[derive(Debug)]
pub(super) struct Passengerfile(String);

impl Passengerfile {
    /// Makes a file that starts `program` out of the one that lies in `folder`, if one does: keys that are not ours stay.
    ///
    /// # Errors
    ///
    /// When the one that lies there cannot be read or is no JSON object, and when the path of the program cannot be written in JSON.
    pub(super) fn read(folder: &Path, program: &Path) -> io::Result<Self> {
        let program = program.to_str().ok_or_else(|| invalid("the path of this program is not UTF-8, which JSON wants"))?;
        let mut keys = match read_short(&folder.join(NAME)) {
            Ok(text) => object(&text)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Map::new(),
            Err(error) => return Err(error),
        };
        keys.insert("app_start_command".to_owned(), shell_word(program).into());
        // Phusion's name for a program that knows how to talk to Passenger, which then needs no port.
        keys.insert("app_supports_kuria_protocol".to_owned(), true.into());
        let mut text = serde_json::to_string_pretty(&keys)?;
        text.push('\n');
        if text.len() as u64 > MAX_BYTES { Err(invalid("it is longer than Passenger takes")) } else { Ok(Self(text)) }
    }

    pub(super) fn text(&self) -> &str {
        &self.0
    }

    /// Puts the file into `folder` in one step: who reads it sees the old one or the new one, whole.
    ///
    /// # Errors
    ///
    /// When it cannot be written, or does not read as it was written. Then the old one is as it was.
    pub(super) fn write(&self, folder: &Path) -> io::Result<()> {
        let mut file = tempfile::Builder::new().prefix(".Passengerfile.").tempfile_in(folder)?;
        file.write_all(self.0.as_bytes())?;
        // The web server's own user reads it; one that it may not read makes every request a 500.
        file.as_file().set_permissions(Permissions::from_mode(0o644))?;
        file.as_file().sync_all()?;
        if object(&fs::read(file.path())?)? != object(self.0.as_bytes())? {
            return Err(invalid("it did not come back as it was written"));
        }
        file.persist(folder.join(NAME))?;
        File::open(folder)?.sync_all()
    }
}

/// Reads a file that is there already, whatever it is.
fn read_short(path: &Path) -> io::Result<Vec<u8>> {
    let file = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    let mut text = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut text)?;
    if text.len() as u64 > MAX_BYTES { Err(invalid("the file that lies there is longer than Passenger takes")) } else { Ok(text) }
}

fn object(text: &[u8]) -> io::Result<Map<String, Value>> {
    serde_json::from_slice(text).map_err(|error| invalid(&format!("the file that lies there is no JSON object ({error})")))
}

/// A path as one word of the shell: Passenger runs `/bin/sh -c "exec COMMAND"`.
fn shell_word(path: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+".contains(&byte);
    if path.bytes().all(plain) { path.to_owned() } else { format!("'{}'", path.replace('\'', r"'\''")) }
}

fn invalid(sentence: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, sentence.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{os::unix::fs::MetadataExt as _, process::Command};

    fn written(folder: &Path) -> Value {
        serde_json::from_slice(&fs::read(folder.join(NAME)).unwrap()).unwrap()
    }

    #[test]
    fn the_file_is_readable_for_the_web_server_and_nothing_else_is_left() {
        let folder = tempfile::tempdir().unwrap();
        Passengerfile::read(folder.path(), Path::new("/home/user/bin/app")).unwrap().write(folder.path()).unwrap();
        assert_eq!(written(folder.path()), serde_json::json!({ "app_start_command": "/home/user/bin/app", "app_supports_kuria_protocol": true }));
        assert_eq!(fs::metadata(folder.path().join(NAME)).unwrap().mode() & 0o777, 0o644);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn keys_of_others_stay_and_ours_are_set() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(NAME), r#"{"environment": "production", "app_start_command": "old", "app_supports_kuria_protocol": 1}"#)
            .unwrap();
        Passengerfile::read(folder.path(), Path::new("/new")).unwrap().write(folder.path()).unwrap();
        let expect = serde_json::json!({ "environment": "production", "app_start_command": "/new", "app_supports_kuria_protocol": true });
        assert_eq!(written(folder.path()), expect);
    }

    #[test]
    fn what_is_no_json_object_is_left_alone_and_said() {
        let folder = tempfile::tempdir().unwrap();
        let long = format!("{{\"a\": \"{}\"}}", "x".repeat(600_000));
        for wrong in ["", "{", "[]", "\"text\"", "{} {}", &long] {
            fs::write(folder.path().join(NAME), wrong).unwrap();
            assert!(Passengerfile::read(folder.path(), Path::new("/new")).is_err());
            assert_eq!(fs::read_to_string(folder.path().join(NAME)).unwrap(), wrong);
        }
    }

    #[test]
    fn any_path_is_one_word_for_the_shell() {
        for path in ["/home/user/app", "/home/user/my app", "/a'b", "/a\"b\\c", "/$HOME/`id`;&|", "/ä\n"] {
            let output = Command::new("/bin/sh").args(["-c", &format!("printf %s {}", shell_word(path))]).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), path);
        }
        assert_eq!(shell_word("/home/user/app"), "/home/user/app", "a plain path stays plain");
    }

    #[test]
    fn a_reader_never_sees_half_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = Passengerfile::read(folder.path(), Path::new("/new")).unwrap();
        file.write(folder.path()).unwrap();
        let before = File::open(folder.path().join(NAME)).unwrap();
        Passengerfile::read(folder.path(), Path::new("/newer")).unwrap().write(folder.path()).unwrap();
        let (old, new) = (io::read_to_string(before).unwrap(), fs::read_to_string(folder.path().join(NAME)).unwrap());
        assert!(old.contains("\"/new\"") && new.contains("\"/newer\""), "the old file is replaced and not written over");
    }
}
