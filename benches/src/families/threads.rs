//! What a second thread gains for handlers that compute, and what it costs those that do not.

use crate::{
    context::Context,
    load::{self, Exchange, Protocol, vars},
    peers,
    process::Server,
    programs,
    report::{Bound, Result, Section, Table, Target, median, microseconds, ratio},
};
use std::{process::Command, time::Instant};

/// How long a handler computes, in milliseconds.
const SPIN: u32 = 2;

/// How many connections have a request on the way.
const CONNECTIONS: usize = 8;

/// A figure that is measured of one thread and of two.
#[derive(Default)]
struct Pair {
    one: Vec<f64>,
    two: Vec<f64>,
}

impl Pair {
    /// How many times the figure of one thread that of two is: the median over the rounds.
    fn times(&self) -> f64 {
        median(&self.two.iter().zip(&self.one).map(|(two, one)| two / one).collect::<Vec<_>>())
    }
}

/// Measures one thread and two in turns.
pub(crate) fn run(context: &Context) -> Result<Section> {
    let (one, two) = (start(context, "1")?, start(context, "2")?);
    let mut spin = Pair::default();
    let mut hellos = [Pair::default(), Pair::default(), Pair::default()];
    let requests = context.count(500, 8);
    let exchanges = exchanges()?;
    for server in [&one, &two] {
        throughput(server, requests.div_ceil(10))?;
    }
    for _ in 0..context.rounds {
        spin.one.push(throughput(&one, requests)?);
        spin.two.push(throughput(&two, requests)?);
        for (pair, exchange) in hellos.iter_mut().zip(&exchanges) {
            let round = context.in_turns(&[&one, &two], |server| Ok([cpu(context, server, exchange)?]))?;
            for (figures, [cpu]) in [&mut pair.one, &mut pair.two].into_iter().zip(round) {
                figures.push(cpu);
            }
        }
    }
    Ok(report(context, &spin, &hellos))
}

/// Starts a program with this many threads. It may use every core, which a server usually may not here.
fn start(context: &Context, threads: &str) -> Result<Server> {
    let mut command = Command::new("taskset");
    Server::start(context, command.arg("ffffffffffffffff").arg(programs::uploaded(context, "knobs")?).env("THREADS", threads))
}

fn exchanges() -> Result<[Exchange; 3]> {
    let vars = vars::browser("/srv/www/site/hello.fcgi");
    let one = |keep| Exchange::new(Protocol::FastCgi, keep, &vars);
    Ok([one(false)?, one(true)?, Exchange::multiplexed(8, &vars)])
}

/// Requests per second of a handler that computes.
#[expect(clippy::cast_precision_loss, reason = "figures of a benchmark")]
fn throughput(server: &Server, requests: u64) -> Result<f64> {
    let exchange = Exchange::new(Protocol::FastCgi, true, &vars::asking("/spin", &format!("ms={SPIN}")))?;
    let start = Instant::now();
    load::play_asleep(server.socket(), &exchange, CONNECTIONS, requests)?;
    Ok(requests as f64 / start.elapsed().as_secs_f64())
}

/// CPU time of a hello, in nanoseconds.
#[expect(clippy::cast_precision_loss, reason = "figures of a benchmark")]
fn cpu(context: &Context, server: &Server, exchange: &Exchange) -> Result<f64> {
    let requests = context.count(20_000, 24) / context.turns();
    // One connection carries what goes out with one write.
    let in_flight = if exchange.answers() > 1 { 1 } else { CONNECTIONS };
    let before = server.cpu()?;
    load::play_asleep(server.socket(), exchange, in_flight, requests)?;
    Ok((server.cpu()? - before) as f64 / requests as f64)
}

fn report(context: &Context, spin: &Pair, hellos: &[Pair; 3]) -> Section {
    let mut table = Table::new("", &["", "one thread", "two", "two / one"]);
    let seconds = |figures: &[f64]| format!("{:.0} / s", median(figures));
    table.rows.push(vec![format!("handler that computes {SPIN} ms"), seconds(&spin.one), seconds(&spin.two), ratio(spin.times())]);
    let mut targets =
        vec![Target { what: "throughput of two threads, against one".into(), measured: spin.times(), bound: Bound::AtLeast(1.7), unit: "×" }];
    for (pair, way) in hellos.iter().zip(["new connection", "kept", "8 in one write"]) {
        let cpu = |figures: &[f64]| microseconds(median(figures));
        table.rows.push(vec![format!("CPU time of a hello, {way}"), cpu(&pair.one), cpu(&pair.two), ratio(pair.times())]);
        let what = format!("CPU time of a hello with two threads, {way}, against one");
        targets.push(Target { what, measured: pair.times(), bound: Bound::AtMost(1.5), unit: "×" });
    }
    let about = format!(
        "A program with one thread, which is the default, and with two; both may use every core. {CONNECTIONS} kept connections with handlers that compute {SPIN} ms, and the CPU \
         time of a hello, which has nothing to gain from a second thread. Median of {} rounds in turns; each hello \
         has {} of them to a round. {}",
        context.rounds,
        context.turns(),
        peers::AS_UPLOADED
    );
    Section { title: "Two threads".into(), about, tables: vec![table], targets, ..Section::default() }
}
