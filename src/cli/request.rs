//! `request`: one request through the real pipeline of this very binary, started as a web server would start it.

use super::{
    args::{RequestArgs, Via},
    exit,
};
use crate::{
    cgi::outgoing::{self, Script},
    diagnostic::codes as code,
    error::{Blame, Error},
    run::report,
    sys,
    transport::client::{self, Broken, ResponseReader, Seen},
};
use bytes::Bytes;
use http::{Request, StatusCode, Uri};
use std::{
    ffi::OsString,
    io::{self, Read as _, Write as _},
    os::{fd::OwnedFd, unix::ffi::OsStringExt as _, unix::net::UnixListener},
    path::Path,
    process::{Child, Command, ExitCode, Stdio},
    time::Instant,
};

/// Runs the request and prints what comes of it.
pub(super) fn run(args: &RequestArgs) -> ExitCode {
    let request = match make_request(args) {
        Ok(request) => request,
        Err(sentence) => {
            let _ = writeln!(io::stderr(), "error: {sentence}");
            return ExitCode::from(exit::USAGE);
        }
    };
    let mut printer = Printer { start: Instant::now(), verbose: args.verbose, status: None, stdout_failed: false };
    let result = match args.via {
        Via::Cgi => through_cgi(args, &request, &mut printer),
        _ => through_socket(args, &request, &mut printer),
    };
    match result {
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
            let _ = writeln!(io::stderr(), "error: {error}");
            ExitCode::from(exit::USAGE)
        }
        Err(error) => {
            let hint = "see that this program may be executed and that there is room in the folder for temporary files";
            report(&Error::new(code::SOCKET, Blame::Operator, "the request could not be tried", hint).with_source(error), exit::IO)
        }
        Ok(Err(broken)) => {
            let _ = writeln!(io::stderr(), "the response is broken: {broken}");
            ExitCode::from(exit::PROBLEMS)
        }
        Ok(Ok(())) if printer.stdout_failed => ExitCode::from(exit::IO),
        Ok(Ok(())) if printer.status.is_some_and(|status| status.is_server_error()) => ExitCode::from(exit::PROBLEMS),
        Ok(Ok(())) => ExitCode::SUCCESS,
    }
}

fn make_request(args: &RequestArgs) -> Result<Request<Bytes>, String> {
    let target = format!("{}{}", args.mount.as_deref().unwrap_or_default(), args.target);
    let uri: Uri = target.parse().map_err(|_| format!("`{target}` is no path; it starts with a slash, and a space is written %20"))?;
    if !args.target.starts_with('/') {
        return Err(format!("`{}` is no path; it starts with a slash", args.target));
    }
    let mut request = Request::new(Bytes::from(args.data.clone().unwrap_or_default()));
    *request.method_mut() = args.method.clone();
    *request.uri_mut() = uri;
    let host = args.host.parse().map_err(|_| format!("`{}` is no host", args.host))?;
    request.headers_mut().insert(http::header::HOST, host);
    if args.data.is_some() {
        // As curl does for -d.
        request.headers_mut().insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/x-www-form-urlencoded"));
    }
    for name in args.headers.iter().map(|(name, _)| name) {
        request.headers_mut().remove(name);
    }
    for (name, value) in &args.headers {
        request.headers_mut().append(name.clone(), value.clone());
    }
    Ok(request)
}

/// What of the environment the program gets, which web servers start with hardly any.
fn passed_on(args: &RequestArgs) -> impl Iterator<Item = (OsString, OsString)> {
    let log = std::env::var_os("RUST_LOG").map(|value| ("RUST_LOG".into(), value));
    let given = args.env.iter().map(|(name, value)| (name.into(), value.into()));
    let config = args.config.clone().map(OsString::from).or_else(|| std::env::var_os("LODGER_CONFIG"));
    let config = config.map(|path| ("LODGER_CONFIG".into(), std::path::absolute(&path).map_or(path, OsString::from)));
    log.into_iter().chain(config).chain(given)
}

fn vars(args: &RequestArgs, request: &Request<Bytes>, program: &Path) -> Vec<(Vec<u8>, Vec<u8>)> {
    let name = program.file_name().unwrap_or_default().to_string_lossy();
    let script = match args.mount.as_ref().filter(|mount| !mount.is_empty()) {
        // Addressed directly: /sub/app.fcgi/path.
        Some(mount) => Script {
            name: mount.clone(),
            path_info: Some(args.target.split('?').next().unwrap_or_default().to_owned()),
            file: program.parent().map(|folder| folder.join(Path::new(mount).file_name().unwrap_or_default())),
        },
        // As after `RewriteRule ^ app.fcgi [L]` beside the program.
        None => Script { name: format!("/{name}"), path_info: None, file: Some(program.to_owned()) },
    };
    let length = args.data.is_some().then_some(request.body().len() as u64);
    outgoing::vars(request, &script, length)
}

/// Starts this program with a listening socket on stdin, as mod_fcgid and LiteSpeed do.
fn through_socket(args: &RequestArgs, request: &Request<Bytes>, printer: &mut Printer) -> io::Result<Result<(), Broken>> {
    let program = std::env::current_exe()?;
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("socket");
    let listener = UnixListener::bind(&path)?;
    let stdin = Stdio::from(OwnedFd::from(listener));
    let mut command = Command::new(&program);
    command.env_clear().envs(passed_on(args)).stdin(stdin).stdout(Stdio::null());
    #[cfg(feature = "http")]
    if args.via == Via::Http {
        // HTTP does not say what of the path is the mount: it is written down beside it, as for a reverse proxy.
        command.env("LODGER_MOUNT", args.mount.as_deref().unwrap_or_default());
    }
    let mut child = Running(command.spawn()?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let result = runtime.block_on(async {
        let stream = tokio::net::UnixStream::connect(&path).await?;
        let vars = vars(args, request, &program);
        let sent = client::Request { vars: &vars, body: request.body(), head_request: request.method() == http::Method::HEAD };
        let seen = |seen| printer.print(seen);
        match args.via {
            Via::Lsapi => Ok(client::lsapi(stream, sent, seen).await),
            Via::Scgi => Ok(client::scgi(stream, sent, seen).await),
            Via::Uwsgi => client::uwsgi(stream, sent, seen).await,
            #[cfg(feature = "http")]
            Via::Http => Ok(client::http(stream, request, seen).await),
            Via::Fastcgi | Via::Cgi => Ok(client::fastcgi(stream, sent, seen).await),
        }
    });
    child.stop()?;
    result
}

/// Starts this program with the request in its environment, as mod_cgi does.
fn through_cgi(args: &RequestArgs, request: &Request<Bytes>, printer: &mut Printer) -> io::Result<Result<(), Broken>> {
    let program = std::env::current_exe()?;
    let vars = vars(args, request, &program);
    printer.print(Seen::Record(format!("started  with {} variables and a body of {} bytes", vars.len(), request.body().len())));
    let environment = vars.into_iter().map(|(name, value)| (OsString::from_vec(name), OsString::from_vec(value)));
    let mut command = Command::new(&program);
    command.env_clear().envs(passed_on(args)).envs(environment).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = Running(command.spawn()?);
    let (stdin, stdout) = (child.0.stdin.take(), child.0.stdout.take());
    let body = request.body().clone();
    let feeding = std::thread::spawn(move || stdin.map(|mut stdin| stdin.write_all(&body)));
    let mut response = ResponseReader::default();
    let read = || -> io::Result<Result<(), Broken>> {
        let Some(mut stdout) = stdout else { return Ok(Ok(())) };
        let mut piece = vec![0; 64 * 1024];
        loop {
            let len = stdout.read(&mut piece)?;
            let data = Bytes::copy_from_slice(piece.get(..len).unwrap_or_default());
            if data.is_empty() {
                return Ok(response.finish(request.method() == http::Method::HEAD));
            }
            printer.print(Seen::Record(format!("received {len} bytes")));
            if let Err(broken) = response.push(data, &mut |seen| printer.print(seen)) {
                return Ok(Err(broken));
            }
        }
    };
    let result = read()?;
    // A program that does not read its body closes it, which is no error.
    let _ = feeding.join();
    let status = child.0.wait()?;
    Ok(result.and_then(|()| if status.success() { Ok(()) } else { Err(Broken(format!("the program ended with {status}"))) }))
}

/// A child that does not outlive us.
struct Running(Child);

impl Running {
    fn stop(&mut self) -> io::Result<()> {
        sys::terminate(self.0.id())?;
        self.0.wait().map(drop)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended long ago unless something went wrong on the way.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Body to stdout, everything else to stderr.
struct Printer {
    start: Instant,
    verbose: bool,
    status: Option<StatusCode>,
    stdout_failed: bool,
}

impl Printer {
    fn print(&mut self, seen: Seen) {
        let mut stderr = io::stderr().lock();
        // What cannot be written to stderr cannot be told to anybody.
        let _ = match seen {
            Seen::Record(line) if self.verbose => writeln!(stderr, "{:>10.3} ms  {line}", self.start.elapsed().as_secs_f64() * 1000.0),
            Seen::Record(_) => Ok(()),
            Seen::Stderr(text) => stderr.write_all(&text),
            Seen::Head(status, headers) => {
                self.status = Some(status);
                let mut text = format!("{status}\n").into_bytes();
                for (name, value) in &headers {
                    text.extend_from_slice(name.as_str().as_bytes());
                    text.extend_from_slice(b": ");
                    text.extend_from_slice(value.as_bytes());
                    text.push(b'\n');
                }
                text.push(b'\n');
                stderr.write_all(&text)
            }
            Seen::Body(bytes) => {
                drop(stderr);
                let mut stdout = io::stdout().lock();
                let written = stdout.write_all(&bytes).and_then(|()| stdout.flush());
                self.stdout_failed |= written.is_err_and(|error| error.kind() != io::ErrorKind::BrokenPipe);
                Ok(())
            }
        };
    }
}
