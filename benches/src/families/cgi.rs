//! CGI from exec to exit: what it costs to start a program, have it answer one request and see it end.

use crate::{
    context::Context,
    load::{HELLO, vars},
    programs,
    report::{Bound, Result, Section, Table, Target, median, ratio, times},
};
use nix::sys::resource::{Usage, UsageWho, getrusage};
use std::{
    io::Read as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

/// A program that is started for each request.
struct Program {
    name: &'static str,
    path: PathBuf,
    /// What `SCRIPT_FILENAME` is told; only PHP looks at it.
    script: PathBuf,
    /// Starts in one round.
    starts: u64,
    /// CPU time per start in nanoseconds, round by round.
    cpu: Vec<f64>,
    /// Time from exec to exit in nanoseconds, round by round.
    wall: Vec<f64>,
}

/// Measures all programs in turns, round by round.
pub(crate) fn run(context: &Context) -> Result<Section> {
    let mut programs = programs(context)?;
    context.on_core_of_servers(|| {
        for _ in 0..context.rounds {
            let round = context.in_turns(&programs, |program| program.measure(program.starts / context.turns()))?;
            for (program, [cpu, wall]) in programs.iter_mut().zip(round) {
                program.cpu.push(cpu);
                program.wall.push(wall);
            }
        }
        Ok(())
    })?;
    Ok(report(context, &programs))
}

fn programs(context: &Context) -> Result<Vec<Program>> {
    let script = context.scratch().join("hello.cgi");
    let mut programs = Vec::new();
    let mut add = |name, path: PathBuf, script: &Path, starts| -> Result<()> {
        if name == LIMIT || context.wants(name) {
            // A linker writes a file here and there, an upload from its beginning to its end, and the kernel maps that in larger pieces. It bears the name that the variables tell of.
            let folder = context.scratch().join(format!("cgi{}", programs.len()));
            std::fs::create_dir_all(&folder)?;
            let uploaded = folder.join("hello.cgi");
            std::fs::copy(path, &uploaded)?;
            programs.push(Program {
                name,
                path: uploaded,
                script: script.into(),
                starts: context.count(starts, 3),
                cpu: Vec::new(),
                wall: Vec::new(),
            });
        }
        Ok(())
    };
    add(LIMIT, programs::c(context, "hello_cgi.c", &["-static"])?, &script, 500)?;
    add(SMALL, programs::alone(context, "lodger-small")?, &script, 500)?;
    add(STATIC, programs::uploaded(context, "hello")?, &script, 500)?;
    add("lodger, dynamic", Context::program("hello")?, &script, 500)?;
    add("Go net/http/cgi", programs::go(context, "cgi")?, &script, 200)?;
    add("PHP (php-cgi)", PathBuf::from("/usr/bin/php-cgi"), &Context::source("php/hello.php"), 30)?;
    Ok(programs)
}

/// The C program that everything is compared with.
const LIMIT: &str = "static C program";

/// The hello with nothing in it that it does not need.
const SMALL: &str = "lodger, static, `default-features = false`";

/// The hello with all that a program has by default.
const STATIC: &str = "lodger, static, default features";

impl Program {
    /// Starts the program again and again, and tells the CPU time and the time that one start took in the mean, in nanoseconds.
    fn measure(&self, starts: u64) -> Result<[f64; 2]> {
        let vars = vars::browser(&self.script.display().to_string());
        let (before, start) = (cpu_of_children()?, Instant::now());
        for _ in 0..starts {
            start_once(&self.path, &vars).map_err(|error| format!("{}: {error}", self.name))?;
        }
        #[expect(clippy::cast_precision_loss, reason = "figures of a benchmark")]
        let each = |nanoseconds: u128| nanoseconds as f64 / starts as f64;
        let wall = each(start.elapsed().as_nanos());
        Ok([each(cpu_of_children()? - before), wall])
    }
}

/// One request, the way mod_cgi makes it when there is no body.
fn start_once(program: &Path, vars: &[(&str, String)]) -> Result<()> {
    let mut command = Command::new(program);
    command.env_clear().envs(vars.iter().map(|(name, value)| (name, value)));
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let mut answer = Vec::with_capacity(512);
    if let Some(mut stdout) = child.stdout.take() {
        stdout.read_to_end(&mut answer)?;
    }
    let status = child.wait()?;
    if status.success() && answer.strip_suffix(HELLO).is_some_and(|head| head.ends_with(b"\r\n\r\n")) {
        return Ok(());
    }
    Err(format!("{status}, {}", String::from_utf8_lossy(&answer)).into())
}

/// The CPU time of all children that have ended, in nanoseconds. Linux takes it from the scheduler's clock and not from its ticks, so that a child of a
/// tenth of a millisecond counts.
fn cpu_of_children() -> Result<u128> {
    let usage: Usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let microseconds = [usage.user_time(), usage.system_time()].into_iter().map(|time| time.tv_sec() * 1_000_000 + time.tv_usec()).sum::<i64>();
    Ok(u128::try_from(microseconds)? * 1000)
}

fn report(context: &Context, programs: &[Program]) -> Section {
    let mut table = Table::new("", &["program", "CPU", "", "exec to exit", ""]);
    let mut targets = Vec::new();
    let Some(limit) = programs.first() else { return Section::default() };
    for program in programs {
        let cpu = times(&program.cpu, &limit.cpu);
        let wall = times(&program.wall, &limit.wall);
        table.rows.push(vec![program.name.into(), ratio(cpu), milliseconds(&program.cpu), ratio(wall), milliseconds(&program.wall)]);
        if [SMALL, STATIC].contains(&program.name) {
            targets.push(Target { what: format!("{}: CPU", program.name), measured: cpu, bound: Bound::AtMost(1.5), unit: "×" });
            targets.push(Target { what: format!("{}: exec to exit", program.name), measured: wall, bound: Bound::AtMost(1.5), unit: "×" });
        }
    }
    let about = format!(
        "One request per process: started with the variables of a browser's request and no body, read until its answer ended, waited for. CPU time is that of \
         the process from exec to exit, and how many times that of a static C program that prints the same it is; of each program the median of {} rounds, \
         each of which has {} turns. \
         The static builds of lodger are linked against glibc and, like that of C, not position-independent. What a program does not use costs it all the same: \
         the code that it runs lies further apart, in more pages.",
        context.rounds,
        context.turns()
    );
    Section { title: "CGI, from exec to exit".into(), about, tables: vec![table], targets, ..Section::default() }
}

fn milliseconds(nanoseconds: &[f64]) -> String {
    format!("{:.3} ms", median(nanoseconds) / 1e6)
}
