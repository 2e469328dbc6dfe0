//! Allocators compared on lodger's hello: glibc's malloc, musl's malloc and mimalloc, for CPU time and for memory.

use super::memory::{Connections, Usage, connections, mebibytes, usage, with_files};
use crate::{
    context::Context,
    load::{self, Exchange, Protocol, vars},
    peers::locked,
    process::{Server, family},
    programs,
    report::{Result, Section, Table, median, microseconds, ratio},
};
use std::process::Command;

/// The programs; the first is what the others are compared with.
const PROGRAMS: [(&str, &str); 3] = [("glibc's malloc", "hello"), ("musl's malloc", "hello_musl_malloc"), ("mimalloc", "hello_mimalloc")];

/// Whether a connection is used again, with the requests of one round.
const WAYS: [(bool, u64); 2] = [(false, 10_000), (true, 25_000)];

/// CPU time per request in nanoseconds, round by round, of each way.
type Costs = [Vec<f64>; WAYS.len()];

pub(crate) fn run(context: &Context) -> Result<Section> {
    build(context)?;
    let costs = costs(context)?;
    let head = ["allocator", "new connection", "", "kept", "", "idle", "after load", "10,000 connections, each", "stays"];
    let mut table = Table::new("", &head);
    for ((name, program), own) in PROGRAMS.iter().zip(&costs) {
        let (usage, many) = memory(context, program).map_err(|error| format!("{name}: {error}"))?;
        let mut row = vec![(*name).to_owned()];
        for (cost, first) in own.iter().zip(costs.first().into_iter().flatten()) {
            let times: Vec<_> = cost.iter().zip(first).map(|(cost, first)| cost / first).collect();
            row.extend([ratio(median(&times)), microseconds(median(cost))]);
        }
        row.extend([mebibytes(usage.idle), mebibytes(usage.loaded)]);
        row.extend([format!("{:.2} KiB", many.each / 1024.0), format!("{:.2} MiB", many.left / f64::from(1 << 20))]);
        table.rows.push(row);
    }
    let about = format!(
        "The same hello of lodger over FastCGI with three allocators: CPU time per request, and how many times that with glibc's malloc it is, the median of {} \
         rounds; and memory as in the family of that name. musl's malloc is the one of Debian's package musl-dev (its mallocng), taken out of musl's library and \
         put into a program that is otherwise linked against glibc, in the state it has in a process of one thread. {}",
        context.rounds,
        context.cores_sentence()
    );
    let versions = vec![("mimalloc (crate)".to_owned(), locked("mimalloc")?)];
    Ok(Section { title: "Allocators".into(), about, tables: vec![table], versions, ..Section::default() })
}

fn build(context: &Context) -> Result<()> {
    if context.built {
        return Ok(());
    }
    let mut command = programs::cargo();
    command.args(["build", "--release", "--package", "lodger-bench", "--features", "allocators"]).current_dir(Context::root());
    context.build(command.args(["--bin", "hello_mimalloc", "--bin", "hello_musl_malloc"]))
}

fn exchange(keep: bool) -> Result<Exchange> {
    Exchange::new(Protocol::FastCgi, keep, &vars::browser("/srv/www/site/hello.fcgi"))
}

/// What a request costs each of the programs, measured in turns.
fn costs(context: &Context) -> Result<[Costs; PROGRAMS.len()]> {
    let mut servers = Vec::new();
    for (_, program) in PROGRAMS {
        servers.push(Server::start(context, &mut Command::new(Context::program(program)?))?);
    }
    let mut costs: [Costs; PROGRAMS.len()] = Default::default();
    for (way, (keep, requests)) in WAYS.into_iter().enumerate() {
        let (exchange, requests) = (exchange(keep)?, context.count(requests, 3));
        for server in &servers {
            load::play(server.socket(), &exchange, context.in_flight, requests.div_ceil(10))?;
        }
        for _ in 0..context.rounds {
            for (server, costs) in servers.iter().zip(&mut costs) {
                let before = server.cpu()?;
                load::play(server.socket(), &exchange, context.in_flight, requests)?;
                #[expect(clippy::cast_precision_loss, reason = "figures of a benchmark")]
                let cost = (server.cpu()? - before) as f64 / requests as f64;
                costs.get_mut(way).ok_or("a way without costs")?.push(cost);
            }
        }
    }
    Ok(costs)
}

/// The memory of one of the programs while no other of the same runs.
fn memory(context: &Context, program: &str) -> Result<(Usage, Connections)> {
    let count = context.count(10_000, 50);
    with_files(count, || {
        let start = || Server::start(context, &mut Command::new(Context::program(program)?));
        let usage = usage(context, &start()?, &exchange(true)?, context.in_flight)?;
        let server = start()?;
        let many = connections(&server, &exchange(true)?, count)?;
        // musl's malloc locks nothing in a process of one thread, and would have to in this one.
        let threads =
            family(server.pid()).into_iter().map(|pid| Ok(std::fs::read_dir(format!("/proc/{pid}/task"))?.count())).sum::<Result<usize>>()?;
        if threads == 1 { Ok((usage, many)) } else { Err(format!("{threads} threads").into()) }
    })
}
