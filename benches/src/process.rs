//! Programs under measurement: started the way a web server starts them, and what the kernel says they cost.

use crate::{context::Context, report::Result};
use std::{
    fs::{self, File},
    os::{
        fd::OwnedFd,
        unix::net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

/// How long a program may take until it answers.
const PATIENCE: Duration = Duration::from_secs(10);

/// A program that serves a Unix socket. It is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    socket: PathBuf,
}

impl Server {
    /// Starts `command` with a listening Unix socket as fd 0, as mod_fcgid does: on the core of servers, with an environment of no more than `PATH` and what `command`
    /// sets itself, and what it prints in a log.
    pub(crate) fn start(context: &Context, command: &mut Command) -> Result<Self> {
        let socket = context.socket();
        let listener = UnixListener::bind(&socket)?;
        let child = spawn(context, command.stdin(Stdio::from(OwnedFd::from(listener))), &socket)?;
        Ok(Self { child, socket })
    }

    /// Starts a program that listens at `socket` itself, and waits until it does.
    pub(crate) fn listening_at(context: &Context, command: &mut Command, socket: PathBuf) -> Result<Self> {
        let child = spawn(context, command.stdin(Stdio::null()), &socket)?;
        let mut server = Self { child, socket };
        let start = Instant::now();
        while UnixStream::connect(&server.socket).is_err() {
            if start.elapsed() > PATIENCE || server.child.try_wait()?.is_some() {
                return Err(format!("{command:?} does not listen: {}", server.log()).into());
            }
            sleep(Duration::from_millis(5));
        }
        Ok(server)
    }

    /// Where it listens.
    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The CPU time that it and the processes it started have used so far, in nanoseconds.
    pub(crate) fn cpu(&self) -> Result<u64> {
        family(self.pid()).into_iter().map(cpu).sum()
    }

    /// The memory that it and the processes it started hold (proportional set size), in bytes.
    pub(crate) fn pss(&self) -> Result<u64> {
        family(self.pid()).into_iter().map(pss).sum()
    }

    /// Whether it waits for something, as a server does that has done all it was asked for.
    pub(crate) fn sleeps(&self) -> Result<bool> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid()))?;
        // The second field is the name in parentheses, which may hold anything.
        Ok(stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('S')))
    }

    /// Asks it to leave and waits until it has, so that it can write down what it wants to leave behind.
    pub(crate) fn leave(mut self) -> Result<()> {
        Command::new("kill").arg(self.pid().to_string()).status()?;
        let start = Instant::now();
        while self.child.try_wait()?.is_none() {
            if start.elapsed() > PATIENCE {
                return Err(format!("it does not leave: {}", self.log()).into());
            }
            sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// What it printed.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(log_of(&self.socket)).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A master ends its children when it is asked to, not when it is killed; and whoever is gone already needs neither.
        let children = family(self.pid()).len() > 1;
        if children && Command::new("kill").arg(self.pid().to_string()).status().is_ok() {
            let start = Instant::now();
            while start.elapsed() < Duration::from_secs(2) && matches!(self.child.try_wait(), Ok(None)) {
                sleep(Duration::from_millis(5));
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_file(&self.socket);
    }
}

fn log_of(socket: &Path) -> PathBuf {
    socket.with_extension("log")
}

fn spawn(context: &Context, command: &mut Command, socket: &Path) -> Result<Child> {
    let log = File::create(log_of(socket))?;
    // Only what the caller set stays.
    let own: Vec<_> = command.get_envs().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned()))).collect();
    command.env_clear().env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin").envs(own);
    command.stdout(log.try_clone()?).stderr(log);
    context.on_core_of_servers(|| Ok(command.spawn().map_err(|error| format!("{}: {error}", command.get_program().display()))?))
}

/// A process and all that descend from it.
pub(crate) fn family(pid: u32) -> Vec<u32> {
    let mut all = vec![pid];
    let mut next = 0;
    while let Some(parent) = all.get(next).copied() {
        next += 1;
        let Ok(tasks) = fs::read_dir(format!("/proc/{parent}/task")) else { continue };
        for task in tasks.flatten() {
            let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
            all.extend(children.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
        }
    }
    all
}

/// The CPU time that the threads of a process have used so far, in nanoseconds. What a thread that has ended had used is not in it.
pub(crate) fn cpu(pid: u32) -> Result<u64> {
    let mut sum = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let thread = task?.path();
        let text = match fs::read_to_string(thread.join("schedstat")) {
            // It has ended since the folder was listed.
            Err(_) if !thread.exists() => continue,
            text => text?,
        };
        sum += text.split_whitespace().next().ok_or("schedstat is empty")?.parse::<u64>()?;
    }
    Ok(sum)
}

/// The memory of a process, pages that it shares divided by how many share them, in bytes.
pub(crate) fn pss(pid: u32) -> Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:")).ok_or("smaps_rollup has no Pss")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
}

/// The most memory that a process had resident at one time, shared pages included, in bytes.
pub(crate) fn peak_memory(pid: u32) -> Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("status has no VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_tells_what_this_process_costs() {
        let pid = std::process::id();
        let before = cpu(pid).unwrap();
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(50) {
            std::hint::black_box(family(pid));
        }
        let used = cpu(pid).unwrap() - before;
        assert!(used > 5_000_000, "{used} ns");
        assert!(pss(pid).unwrap() > 100_000);
    }
}
