//! Phusion Passenger's handshake with a program that it starts: what it says in its work directory, and what we answer there.
//!
//! The directory belongs to us and goes away right after the handshake, so it is read once and no path into it is kept beyond that.

use crate::{
    diagnostic::codes as code,
    error::{Blame, Error},
    sys,
};
use std::{
    fs::{self, File},
    io::{self, Read as _, Write as _},
    os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    thread::sleep,
    time::{Duration, Instant},
};

/// An argument is a path, a word or a number. One that is longer is not from Passenger.
const ARGUMENT_BYTES: u64 = 4096;

/// The longest path that a Unix socket can have: `sun_path` without the zero at its end.
const SOCKET_PATH_BYTES: usize = 107;

/// How long to wait for Passenger to open the other end of the FIFO `finish`. It does so before it starts us, so this is for a very busy machine.
const READER_WITHIN: Duration = Duration::from_secs(2);

/// How long after a try in vain the next one follows.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// The variable that names the work directory.
pub(crate) const WORK_DIR: &str = "PASSENGER_SPAWN_WORK_DIR";

/// The directory in which Passenger and a program that it starts talk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WorkDir(PathBuf);

impl WorkDir {
    /// The directory that `PASSENGER_SPAWN_WORK_DIR` names.
    pub(crate) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// Reads what Passenger asks for, and gives the path where it wants our socket. Nobody can guess its name, and nobody but Passenger needs to know it.
    ///
    /// # Errors
    ///
    /// `LG0113` when it wants a program that listens on a TCP port, `LG0114` when it wants a process that forks apps, `LG0115` when the directory
    /// does not say what it should.
    pub(crate) fn read(&self) -> Result<PathBuf, Error> {
        if self.wants_port()? {
            return Err(wants_port());
        }
        // Only apps in Ruby are started through a process that loads the app once and forks; its answer is another one than ours.
        if self.argument("spawn_method")?.as_deref() == Some(b"smart") && self.is_ruby()? {
            return Err(wants_preloader());
        }
        let folder = self.argument("socket_dir")?.ok_or_else(|| unusable("args/socket_dir is missing"))?;
        socket_path(&folder)
    }

    /// Whether Passenger has chosen a TCP port and waits for somebody to answer there.
    fn wants_port(&self) -> Result<bool, Error> {
        let generic = self.argument("generic_app")?;
        let port = self.argument("expected_start_port")?.is_some() || generic.is_none() && std::env::var_os("PORT").is_some();
        Ok(port || generic.as_deref() == Some(b"true"))
    }

    fn is_ruby(&self) -> Result<bool, Error> {
        Ok(self.argument("app_type")?.is_some_and(|kind| kind == b"ruby" || kind == b"rack"))
    }

    /// One argument: the text of the file of that name, nothing when there is none.
    fn argument(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        match read_short(&self.0.join("args").join(name)) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(unusable(format!("args/{name} cannot be read")).with_source(error)),
        }
    }

    /// Tells Passenger where we listen. Requests come from now on.
    ///
    /// # Errors
    ///
    /// `LG0115` when it cannot be told.
    pub(crate) fn succeed(&self, socket: &Path) -> Result<(), Error> {
        // Concurrency 0 means that one process takes as many requests at a time as come.
        let properties = format!(
            r#"{{"sockets":[{{"address":{},"protocol":"http","concurrency":0,"accept_http_requests":true}}]}}"#,
            json_string(&format!("unix:{}", socket.display()))
        );
        let told = write_file(&self.0.join("response/properties.json"), &properties).and_then(|()| self.finish(*b"1"));
        told.map_err(|error| unusable("it cannot be told where the program listens").with_source(error))
    }

    /// Tells Passenger why the program does not start. It writes the summary to its log, and shows the rest to those who may see such things.
    ///
    /// # Errors
    ///
    /// When it cannot be told; it sees the process end all the same.
    pub(crate) fn fail(&self, error: &Error) -> io::Result<()> {
        let (folder, story) = (self.0.join("response/error"), error.story());
        // The log has one line for it.
        let line: Vec<&str> = story.split_whitespace().collect();
        let summary = format!("{}: {}", error.code(), line.join(" "));
        let texts =
            [("category", "INTERNAL_ERROR"), ("summary", &summary), ("problem_description.txt", &story), ("solution_description.txt", error.hint())];
        let written = texts.iter().try_for_each(|(name, text)| write_file(&folder.join(name), text));
        // Nobody reads the FIFO when a port is waited for.
        let finished = if error.code() == code::PASSENGER_WANTS_PORT { Ok(()) } else { self.finish(*b"0") };
        written.and(finished)
    }

    /// Writes our verdict: one byte into a FIFO. A blocking open would wait for ever where nobody reads.
    fn finish(&self, verdict: [u8; 1]) -> io::Result<()> {
        let path = self.0.join("response/finish");
        let start = Instant::now();
        let mut fifo = loop {
            match File::options().write(true).custom_flags(libc::O_NONBLOCK | libc::O_NOFOLLOW).open(&path) {
                Err(error) if error.raw_os_error() == Some(libc::ENXIO) && start.elapsed() < READER_WITHIN => sleep(LOOK_AGAIN),
                opened => break opened?,
            }
        };
        if !fifo.metadata()?.file_type().is_fifo() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "response/finish is no FIFO"));
        }
        fifo.write_all(&verdict)
    }
}

/// Reads a small regular file. Nothing that lies there can make us wait or take much memory.
fn read_short(path: &Path) -> io::Result<Vec<u8>> {
    let file = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is no file"));
    }
    let mut text = Vec::new();
    file.take(ARGUMENT_BYTES + 1).read_to_end(&mut text)?;
    if text.len() as u64 > ARGUMENT_BYTES {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is too long"));
    }
    Ok(text)
}

/// Writes a file that Passenger reads once we are done.
fn write_file(path: &Path, text: &str) -> io::Result<()> {
    File::options().write(true).create(true).truncate(true).custom_flags(libc::O_NONBLOCK | libc::O_NOFOLLOW).open(path)?.write_all(text.as_bytes())
}

/// A name in the folder that Passenger keeps its apps' sockets in; it takes a socket in no other.
fn socket_path(folder: &[u8]) -> Result<PathBuf, Error> {
    let folder = std::str::from_utf8(folder).map_err(|_| unusable("args/socket_dir is not UTF-8, and its answer is written in JSON"))?;
    let is_folder = fs::metadata(folder).is_ok_and(|metadata| metadata.is_dir());
    if !folder.starts_with('/') || !is_folder {
        return Err(unusable("args/socket_dir names no folder"));
    }
    let random: [u8; 12] = sys::random_bytes().map_err(|error| unusable("the kernel gives no random bytes").with_source(error))?;
    let random: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let path = Path::new(folder).join(format!("lodger.{random}"));
    if path.as_os_str().len() > SOCKET_PATH_BYTES {
        return Err(unusable("args/socket_dir is too long for a Unix socket in it; PassengerInstanceRegistryDir sets a shorter one"));
    }
    Ok(path)
}

/// A JSON string (RFC 8259, section 7).
fn json_string(text: &str) -> String {
    let mut json = String::from("\"");
    for char in text.chars() {
        match char {
            '"' | '\\' => json.extend(['\\', char]),
            '\0'..='\x1f' => json.push_str(&format!("\\u{:04x}", u32::from(char))),
            _ => json.push(char),
        }
    }
    json.push('"');
    json
}

fn wants_port() -> Error {
    Error::new(
        code::PASSENGER_WANTS_PORT,
        Blame::Operator,
        "Passenger wants a program that listens on a TCP port, and this one never opens a port",
        "put a file `Passengerfile.json` with the keys \"app_start_command\" and \"app_supports_kuria_protocol\": true into the folder above the document \
         root (`init --panel passenger` writes it), and take `PassengerAppStartCommand` away",
    )
}

fn wants_preloader() -> Error {
    Error::new(
        code::PASSENGER_WANTS_PRELOADER,
        Blame::Operator,
        "Passenger has started this program through `config.ru` with its spawn method \"smart\", which wants a Ruby program that forks",
        "take `config.ru` away and put a file `Passengerfile.json` in its place (`init --panel passenger` writes it), or set `PassengerSpawnMethod direct`",
    )
}

/// The error of a handshake that does not come about.
pub(crate) fn unusable(sentence: impl Into<String>) -> Error {
    Error::new(
        code::PASSENGER_HANDSHAKE,
        Blame::Gateway,
        format!("the handshake with Passenger fails: {}", sentence.into()),
        "Phusion Passenger from version 6.0 on starts programs this way; see which version runs here and what the web server's log says beside this",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{ffi::OsString, os::unix::ffi::OsStringExt as _, process::Command};

    /// A work directory as Passenger makes it, with these arguments and a folder for sockets.
    fn work_dir(arguments: &[(&str, &str)]) -> (tempfile::TempDir, WorkDir) {
        let folder = tempfile::tempdir().unwrap();
        for name in ["args", "response/error", "apps.s"] {
            fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        let sockets = folder.path().join("apps.s").display().to_string();
        let usual = [("socket_dir", sockets.as_str()), ("generic_app", "false"), ("spawn_method", "direct"), ("app_type", "")];
        for (name, value) in usual.iter().chain(arguments) {
            fs::write(folder.path().join("args").join(name), value).unwrap();
        }
        let work = WorkDir::new(folder.path().to_owned());
        (folder, work)
    }

    fn make_fifo(folder: &Path) -> PathBuf {
        let path = folder.join("response/finish");
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        path
    }

    fn code_of(arguments: &[(&str, &str)]) -> &'static str {
        work_dir(arguments).1.read().unwrap_err().code().as_str()
    }

    #[test]
    fn the_socket_lies_in_the_folder_that_passenger_names_under_a_name_of_its_own_each_time() {
        let (folder, work) = work_dir(&[]);
        let (one, other) = (work.read().unwrap(), work.read().unwrap());
        assert_eq!(one.parent(), Some(folder.path().join("apps.s").as_path()));
        assert!(one.file_name().unwrap().to_str().unwrap().starts_with("lodger."));
        assert_ne!(one, other);
    }

    #[test]
    fn a_start_that_wants_a_port_is_refused() {
        assert_eq!(code_of(&[("generic_app", "true")]), "LG0113");
        assert_eq!(code_of(&[("expected_start_port", "5000")]), "LG0113");
    }

    #[test]
    fn only_ruby_is_started_by_a_process_that_forks() {
        assert_eq!(code_of(&[("spawn_method", "smart"), ("app_type", "ruby")]), "LG0114");
        assert_eq!(code_of(&[("spawn_method", "smart"), ("app_type", "rack")]), "LG0114");
        assert!(work_dir(&[("spawn_method", "smart"), ("app_type", "nodejs")]).1.read().is_ok());
    }

    #[test]
    fn what_cannot_be_a_folder_for_sockets_is_refused() {
        let long = "/long".repeat(30);
        let endless = "x".repeat(5000);
        for bad in ["", "apps.s", "/nonexistent/apps.s", &long, &endless] {
            assert_eq!(code_of(&[("socket_dir", bad)]), "LG0115", "{bad}");
        }
        let (folder, work) = work_dir(&[]);
        fs::remove_file(folder.path().join("args/socket_dir")).unwrap();
        assert_eq!(work.read().unwrap_err().code().as_str(), "LG0115");
        fs::write(folder.path().join("args/socket_dir"), OsString::from_vec(vec![b'/', 0xff]).into_vec()).unwrap();
        assert_eq!(work.read().unwrap_err().code().as_str(), "LG0115");
    }

    #[test]
    fn a_folder_too_deep_for_a_socket_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("x".repeat(SOCKET_PATH_BYTES - 30));
        fs::create_dir(&deep).unwrap();
        let error = work_dir(&[("socket_dir", deep.to_str().unwrap())]).1.read().unwrap_err();
        assert!(error.story().contains("too long for a Unix socket"), "{error:?}");
    }

    #[test]
    fn nothing_but_a_file_is_read_as_an_argument() {
        let (folder, work) = work_dir(&[]);
        let path = folder.path().join("args/app_type");
        fs::write(folder.path().join("args/spawn_method"), "smart").unwrap();
        fs::remove_file(&path).unwrap();
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        assert_eq!(work.read().unwrap_err().code().as_str(), "LG0115");
    }

    #[test]
    fn success_is_one_byte_and_a_file_that_names_the_socket() {
        let (folder, work) = work_dir(&[]);
        let fifo = make_fifo(folder.path());
        let reader = std::thread::spawn(move || fs::read(fifo).unwrap());
        work.succeed(Path::new("/run/a \"b\"\\c\n")).unwrap();
        assert_eq!(reader.join().unwrap(), b"1");
        let told: serde_json::Value = serde_json::from_slice(&fs::read(folder.path().join("response/properties.json")).unwrap()).unwrap();
        let socket = serde_json::json!({
            "address": "unix:/run/a \"b\"\\c\n", "protocol": "http", "concurrency": 0, "accept_http_requests": true,
        });
        assert_eq!(told, serde_json::json!({ "sockets": [socket] }));
    }

    #[test]
    fn a_failure_is_told_in_one_line_and_in_full() {
        let (folder, work) = work_dir(&[]);
        let fifo = make_fifo(folder.path());
        let reader = std::thread::spawn(move || fs::read(fifo).unwrap());
        let error = Error::new(code::APP_DID_NOT_START, Blame::App, "the app could not start", "mend it").with_source("no database\nat all");
        work.fail(&error).unwrap();
        assert_eq!(reader.join().unwrap(), b"0");
        let text = |name: &str| fs::read_to_string(folder.path().join("response/error").join(name)).unwrap();
        assert_eq!(text("summary"), "LG0102: the app could not start: no database at all");
        assert_eq!(text("problem_description.txt"), "the app could not start: no database\nat all");
        assert_eq!((text("solution_description.txt"), text("category")), ("mend it".to_owned(), "INTERNAL_ERROR".to_owned()));
    }

    #[test]
    fn where_a_port_is_wanted_nobody_is_waited_for() {
        let (folder, work) = work_dir(&[("generic_app", "true")]);
        make_fifo(folder.path());
        let start = Instant::now();
        work.fail(&work.read().unwrap_err()).unwrap();
        assert!(start.elapsed() < READER_WITHIN);
        assert!(fs::read_to_string(folder.path().join("response/error/summary")).unwrap().starts_with("LG0113: "));
    }

    #[test]
    fn a_finish_that_nobody_reads_or_that_is_no_fifo_is_an_error_and_not_a_wait_without_end() {
        let (folder, work) = work_dir(&[]);
        assert_eq!(work.succeed(Path::new("/x")).unwrap_err().code().as_str(), "LG0115");
        let fifo = make_fifo(folder.path());
        assert_eq!(work.succeed(Path::new("/x")).unwrap_err().code().as_str(), "LG0115");
        fs::remove_file(&fifo).unwrap();
        fs::write(&fifo, "").unwrap();
        assert!(work.succeed(Path::new("/x")).is_err());
        assert_eq!(fs::read(&fifo).unwrap(), b"", "nothing was written to what is no FIFO");
    }
}
