//! What every family needs to know: where things lie, which peers are wanted, which core is whose.

use crate::report::Result;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::{
    cell::Cell,
    path::{Path, PathBuf},
    process::Command,
};
use tempfile::TempDir;

/// What every family is given.
#[derive(Debug)]
pub(crate) struct Context {
    /// A smoke test: tiny counts, figures that mean nothing.
    pub(crate) quick: bool,
    /// The peers that were asked for; all when none were named.
    pub(crate) peers: Vec<String>,
    /// How many requests are on their way at the same time, each on a connection of its own.
    pub(crate) in_flight: usize,
    /// How often everything is measured; the median counts.
    pub(crate) rounds: usize,
    /// Whether the Rust programs are built already.
    pub(crate) built: bool,
    scratch: TempDir,
    sockets: Cell<u32>,
    all: CpuSet,
    cores: Option<Cores>,
}

/// The cores of the machine that are used.
#[derive(Debug, Clone, Copy)]
struct Cores {
    servers: usize,
    load: usize,
}

impl Context {
    /// Everything with its default, and this process on the core of the load.
    pub(crate) fn new() -> Result<Self> {
        let all = sched_getaffinity(None)?;
        let mut usable = (0..CpuSet::MAX_CPU).filter(|core| all.is_set(*core));
        let cores = usable.next().zip(usable.next()).map(|(load, servers)| Cores { servers, load });
        // In a folder of a short name: the path of a Unix socket has about a hundred bytes.
        let scratch = tempfile::tempdir()?;
        let context = Self { quick: false, peers: Vec::new(), in_flight: 8, rounds: 5, built: false, scratch, sockets: Cell::new(0), all, cores };
        if let Some(cores) = cores {
            stay_on(cores.load)?;
        }
        Ok(context)
    }

    /// From now on servers run on the core of the load.
    pub(crate) fn share_a_core(&mut self) -> Result<()> {
        let core = self.cores.map_or(0, |cores| cores.load);
        self.cores = Some(Cores { servers: core, load: core });
        stay_on(core)
    }

    /// Whether a peer of this name is to be measured.
    pub(crate) fn wants(&self, peer: &str) -> bool {
        self.peers.is_empty() || self.peers.iter().any(|name| name == peer)
    }

    /// `full`, or `quick` in a smoke test.
    pub(crate) fn count(&self, full: u64, quick: u64) -> u64 {
        if self.quick { quick } else { full }
    }

    /// How many turns a round has, where it has several. In each, everything is measured for a short while, so that whatever else the machine does for a second or two meets all alike.
    /// Numbers of requests are multiples of it, and of eight times it where eight are multiplexed.
    pub(crate) fn turns(&self) -> u64 {
        self.count(5, 1)
    }

    /// Measures all of `these` in [`turns`](Self::turns), and tells the mean of what each turn tells of each.
    #[expect(clippy::cast_precision_loss, reason = "a handful")]
    pub(crate) fn in_turns<T, const N: usize>(&self, these: &[T], measure: impl Fn(&T) -> Result<[f64; N]>) -> Result<Vec<[f64; N]>> {
        let mut means = vec![[0.0; N]; these.len()];
        for _ in 0..self.turns() {
            for (this, means) in these.iter().zip(&mut means) {
                for (mean, figure) in means.iter_mut().zip(measure(this)?) {
                    *mean += figure / self.turns() as f64;
                }
            }
        }
        Ok(means)
    }

    /// A folder for whatever a family needs; it is gone at the end.
    pub(crate) fn scratch(&self) -> &Path {
        self.scratch.path()
    }

    /// A path for a socket that nobody else uses.
    pub(crate) fn socket(&self) -> PathBuf {
        self.sockets.set(self.sockets.get() + 1);
        self.scratch().join(format!("{}.sock", self.sockets.get()))
    }

    /// The root of the repository.
    pub(crate) fn root() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
    }

    /// A source of a peer.
    pub(crate) fn source(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("peers").join(name)
    }

    /// A program that cargo built from this package.
    pub(crate) fn program(name: &str) -> Result<PathBuf> {
        Ok(std::env::current_exe()?.with_file_name(name))
    }

    /// A program that the benchmarks build themselves, in `target/bench`.
    pub(crate) fn bench_program(name: &str) -> Result<PathBuf> {
        let this = std::env::current_exe()?;
        let target = this.ancestors().nth(2).ok_or("the program does not lie in a target folder")?;
        let folder = target.join("bench");
        std::fs::create_dir_all(&folder)?;
        Ok(folder.join(name))
    }

    /// Runs `start` on the core of servers; what it starts stays there.
    pub(crate) fn on_core_of_servers<T>(&self, start: impl FnOnce() -> Result<T>) -> Result<T> {
        let Some(cores) = self.cores else { return start() };
        stay_on(cores.servers)?;
        let started = start();
        stay_on(cores.load)?;
        started
    }

    /// Runs a command that builds something, on all cores; its output is shown when it fails.
    pub(crate) fn build(&self, command: &mut Command) -> Result<()> {
        sched_setaffinity(None, &self.all)?;
        let output = command.output().map_err(|error| format!("{}: {error}", command.get_program().display()));
        if let Some(cores) = self.cores {
            stay_on(cores.load)?;
        }
        let output = output?;
        if output.status.success() {
            return Ok(());
        }
        Err(format!("{command:?} failed:\n{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)).into())
    }

    /// How many cores there are to use.
    pub(crate) fn cores_of_the_machine(&self) -> u32 {
        self.all.count()
    }

    /// A sentence on who ran where.
    pub(crate) fn cores_sentence(&self) -> &'static str {
        match self.cores {
            Some(cores) if cores.servers != cores.load => "The server has one core for itself and the load another.",
            _ => "Server and load share a core.",
        }
    }
}

fn stay_on(core: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(core);
    Ok(sched_setaffinity(None, &set)?)
}
