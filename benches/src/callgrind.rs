//! Instructions that a program needs for a request, counted by valgrind's callgrind: a figure that nothing else on the machine changes. What the kernel does is not in it.

use crate::{
    context::Context,
    load::{self, Exchange, Waits},
    process::Server,
    report::Result,
};
use std::{
    ffi::OsStr,
    fs,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// Callgrind counts a copy by `rep movsb` as one instruction for each byte, by which a buffer of 36 KiB that is moved costs half of a large request, and whether glibc copies that way depends on the
/// addresses. With this it never does, and a copy counts as the loop that it is.
const COPIES_BY_LOOPS: (&str, &str) = ("GLIBC_TUNABLES", "glibc.cpu.x86_rep_movsb_threshold=1000000000");

/// How long a program under callgrind may take for a request.
const PATIENCE: Duration = Duration::from_secs(20);

/// A program that takes the number of requests as its argument.
pub(crate) fn of_program(context: &Context, program: &Path) -> Result<f64> {
    per_request(context, |requests| {
        let counts = context.scratch().join("callgrind");
        let output = under_callgrind(program, &counts).arg(requests.to_string()).stdin(Stdio::null()).output().map_err(no_valgrind)?;
        if !output.status.success() {
            return Err(format!("{}: {}", program.display(), String::from_utf8_lossy(&output.stderr)).into());
        }
        total(&counts)
    })
}

/// A server that is asked on its socket, with the environment that the caller gives it.
///
/// It gets one write at a time, and the next only when it sleeps: so it always finds the same in the socket, however busy the machine is.
pub(crate) fn of_server(context: &Context, program: &Path, environment: &[(&str, &str)], exchange: &Exchange) -> Result<f64> {
    per_request(context, |requests| {
        let counts = context.scratch().join("callgrind");
        let server = Server::start(context, under_callgrind(program, &counts).envs(environment.iter().copied())).map_err(no_valgrind)?;
        let fall_asleep = || wait_until_asleep(&server);
        load::play_paced(server.socket(), exchange, 1, requests, Waits::Asleep, fall_asleep).map_err(|error| format!("{error}\n{}", server.log()))?;
        server.leave()?;
        total(&counts)
    })
}

/// Makes few requests once and many the other time: what the program does to start and to end is the same both times, and drops out.
fn per_request(context: &Context, count: impl Fn(u64) -> Result<u64>) -> Result<f64> {
    // Both are multiples of what may be in one write.
    let (few, many) = (context.count(80, 8), context.count(400, 24));
    let (first, second) = (count(few)?, count(many)?);
    let difference = second.checked_sub(first).ok_or("more requests took fewer instructions")?;
    #[expect(clippy::cast_precision_loss, reason = "figures of a benchmark")]
    Ok(difference as f64 / (many - few) as f64)
}

fn under_callgrind(program: &Path, counts: &Path) -> Command {
    let mut file = OsStr::new("--callgrind-out-file=").to_owned();
    file.push(counts);
    let mut command = Command::new("valgrind");
    command.args(["--quiet", "--tool=callgrind"]).arg(file).arg(program).env(COPIES_BY_LOOPS.0, COPIES_BY_LOOPS.1);
    command
}

fn no_valgrind(error: impl std::fmt::Display) -> String {
    format!("valgrind, which `make setup` installs: {error}")
}

fn wait_until_asleep(server: &Server) -> Result<()> {
    let start = Instant::now();
    while !server.sleeps()? {
        if start.elapsed() > PATIENCE {
            return Err(format!("the server does not come to rest: {}", server.log()).into());
        }
        thread::yield_now();
    }
    Ok(())
}

/// The sum that callgrind writes at the end of its file.
fn total(counts: &Path) -> Result<u64> {
    let text = fs::read_to_string(counts)?;
    let sum = text.lines().rev().find_map(|line| line.strip_prefix("totals:")).ok_or("callgrind wrote no sum")?;
    Ok(sum.trim().parse()?)
}
