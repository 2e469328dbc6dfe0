//! Memory: of an idle process, after load, and of ten thousand connections that are kept open and do nothing.

use crate::{
    context::Context,
    load::{self, Exchange, Protocol, vars},
    peers::{self, Peer, Way},
    process::{Server, peak_memory},
    report::{Bound, Result, Section, Table, Target},
};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::{thread::sleep, time::Duration};

/// How long a process is left alone before it is looked at.
const REST: Duration = Duration::from_millis(300);

/// How long a process has had nothing to do that is called idle.
const IDLE: Duration = Duration::from_secs(7);

/// Connections that are kept open.
const CONNECTIONS: u64 = 10_000;

/// What a process holds at several times, in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    /// Once it has answered one request.
    pub(crate) answered: u64,
    /// When it has had nothing to do since.
    pub(crate) idle: u64,
    /// Once it has answered many.
    pub(crate) loaded: u64,
    /// The most that was resident at one time until then.
    pub(crate) peak: u64,
}

/// What idle connections cost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Connections {
    /// Bytes of each.
    pub(crate) each: f64,
    /// What the process holds more than before when all of them have gone, in bytes.
    pub(crate) left: f64,
}

/// Measures one program after the other. Never two of the same at once: the pages of the program, which they share, would count for only a part of each.
pub(crate) fn run(context: &Context) -> Result<Section> {
    let (mut targets, mut versions) = (Vec::new(), Vec::new());
    let mut table = Table::new("", &["server", "after a request", "idle", "after load", "most"]);
    for key in ["lodger", "libfcgi", "tokio-fastcgi", "go", "php", "axum"] {
        if !context.wants(key) {
            continue;
        }
        let (peer, version) = peers::alone(context, key)?;
        let in_flight = if peer.ways.contains(&Way::Multiplexed) || peer.protocol == Protocol::Http { context.in_flight } else { 1 };
        let usage = usage(context, &peer.one, &exchange(&peer, peer.protocol)?, in_flight).map_err(|error| format!("{key}: {error}"))?;
        table.rows.push([peer.name.into()].into_iter().chain([usage.answered, usage.idle, usage.loaded, usage.peak].map(mebibytes)).collect());
        if key == "lodger" {
            targets.push(Target { what: "lodger, idle".into(), measured: in_mebibytes(usage.idle), bound: Bound::AtMost(2.0), unit: "MiB" });
        }
        versions.push(version);
    }
    let many = connections_table(context, &mut targets)?;
    let about = format!(
        "Proportional set size (PSS) of the process, of PHP-FPM with its one worker, in MiB: once it has answered one request; when it has had nothing to do for {} seconds, \
         after which lodger has given the pages of its program back that it does not use; and after {} requests on {} kept connections (one connection where the program \
         serves no more at a time). The last figure is the most that was resident (VmHWM), shared libraries included. {}",
        IDLE.as_secs(),
        load_requests(context),
        context.in_flight,
        peers::AS_UPLOADED
    );
    Ok(Section { title: "Memory".into(), about, tables: vec![table, many], targets, versions, ..Section::default() })
}

fn connections_table(context: &Context, targets: &mut Vec<Target>) -> Result<Table> {
    let count = context.count(CONNECTIONS, 50);
    let caption = format!(
        "{count} connections, each of which has had one request and is kept: what each adds to the PSS of the process, and what stays when all have gone. \
         What the kernel holds for the sockets is not in it."
    );
    let mut table = Table::new(&caption, &["server", "per connection", "stays"]);
    let protocols = [
        ("lodger", "FastCGI", Protocol::FastCgi),
        ("lodger", "LSAPI", Protocol::Lsapi),
        ("lodger", "HTTP", Protocol::Http),
        ("tokio-fastcgi", "FastCGI", Protocol::FastCgi),
        ("go", "FastCGI", Protocol::FastCgi),
        ("axum", "HTTP", Protocol::Http),
    ];
    for (key, spoken, protocol) in protocols {
        if !context.wants(key) {
            continue;
        }
        let found = with_files(count, || {
            let (peer, _) = peers::alone(context, key)?;
            Ok((peer.name, connections(&peer.one, &exchange(&peer, protocol)?, count)?))
        });
        let (name, found) = found.map_err(|error| format!("{key}, {spoken}: {error}"))?;
        let name = format!("{name} ({spoken})");
        table.rows.push(vec![name.clone(), format!("{:.2} KiB", found.each / 1024.0), format!("{:.2} MiB", found.left / f64::from(1 << 20))]);
        if key == "lodger" {
            targets.push(Target {
                what: format!("{name}, per idle connection"),
                measured: found.each / 1024.0,
                bound: Bound::AtMost(6.0),
                unit: "KiB",
            });
        }
    }
    Ok(table)
}

fn exchange(peer: &Peer, protocol: Protocol) -> Result<Exchange> {
    Exchange::new(protocol, true, &vars::browser(&peer.script))
}

fn load_requests(context: &Context) -> u64 {
    context.count(50_000, 20)
}

/// Asks once, then often, and looks at the process in between.
pub(crate) fn usage(context: &Context, server: &Server, exchange: &Exchange, in_flight: usize) -> Result<Usage> {
    load::play(server.socket(), exchange, 1, 1)?;
    sleep(REST);
    let answered = server.pss()?;
    sleep(if context.quick { REST } else { IDLE });
    let idle = server.pss()?;
    load::play(server.socket(), exchange, in_flight, load_requests(context))?;
    sleep(REST);
    Ok(Usage { answered, idle, loaded: server.pss()?, peak: peak_memory(server.pid())? })
}

/// Opens connections, makes a request on each, and looks at the process before, while they are open, and when they have gone.
pub(crate) fn connections(server: &Server, exchange: &Exchange, count: u64) -> Result<Connections> {
    load::play(server.socket(), exchange, 1, 1)?;
    sleep(REST);
    let before = server.pss()?;
    let open = load::hold(server.socket(), exchange, count)?;
    sleep(REST);
    let during = server.pss()?;
    drop(open);
    sleep(2 * REST);
    let after = server.pss()?;
    Ok(Connections { each: (in_bytes(during) - in_bytes(before)) / in_bytes(count), left: in_bytes(after) - in_bytes(before) })
}

/// Runs `measure` with leave to open `count` files here and in the processes that it starts.
pub(crate) fn with_files<T>(count: u64, measure: impl FnOnce() -> Result<T>) -> Result<T> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let wanted = count + 100;
    if wanted > hard {
        return Err(format!("only {hard} files may be open in one process (`ulimit -Hn`), {wanted} have to be").into());
    }
    setrlimit(Resource::RLIMIT_NOFILE, soft.max(wanted), hard)?;
    let measured = measure();
    setrlimit(Resource::RLIMIT_NOFILE, soft, hard)?;
    measured
}

#[expect(clippy::cast_precision_loss, reason = "figures of a benchmark")]
fn in_bytes(bytes: u64) -> f64 {
    bytes as f64
}

fn in_mebibytes(bytes: u64) -> f64 {
    in_bytes(bytes) / f64::from(1 << 20)
}

/// Bytes as MiB with two digits behind the point.
pub(crate) fn mebibytes(bytes: u64) -> String {
    format!("{:.2} MiB", in_mebibytes(bytes))
}
