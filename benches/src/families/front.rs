//! The same hello behind real web servers: nginx, and Apache with mod_fcgid and with mod_proxy_http, asked by wrk.

mod apache;
mod daemon;
mod nginx;
mod wrk;

use crate::{
    context::Context,
    load::Protocol,
    peers::{self, Peer, Way, said},
    process,
    report::{Bound, Result, Section, Table, Target, Versions, median, microseconds, ratio, times, times_by_round, without_extremes},
};
use daemon::Daemon;
use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// A way from the web server to the program. Programs are compared with others of the same door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Door {
    /// nginx as it is by default: a connection for each request.
    Nginx,
    /// nginx with connections that are kept.
    NginxKept,
    /// Apache starts the program and gives each process one request at a time, on a connection of its own.
    ModFcgid,
    /// Apache passes HTTP on, on connections that it keeps.
    ModProxyHttp,
}

const DOORS: [Door; 4] = [Door::Nginx, Door::NginxKept, Door::ModFcgid, Door::ModProxyHttp];

impl Door {
    fn caption(self) -> &'static str {
        match self {
            Self::Nginx => "**nginx**, a new connection to the program for each request, as it is by default",
            Self::NginxKept => "**nginx**, connections to the program are kept",
            Self::ModFcgid => "**Apache with mod_fcgid**, which starts the program itself",
            Self::ModProxyHttp => "**Apache with mod_proxy_http**, connections to the program are kept",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::NginxKept => "nginx, kept connections",
            Self::ModFcgid => "mod_fcgid",
            Self::ModProxyHttp => "mod_proxy_http",
        }
    }

    /// Whether a program can be behind it.
    fn fits(self, peer: &Peer) -> bool {
        match self {
            Self::Nginx => matches!(peer.protocol, Protocol::FastCgi | Protocol::Http),
            // Of those that serve one connection at a time, each kept one would hold a process.
            Self::NginxKept => self.fits_kept(peer) && matches!(peer.protocol, Protocol::FastCgi | Protocol::Http),
            Self::ModFcgid => peer.protocol == Protocol::FastCgi,
            Self::ModProxyHttp => self.fits_kept(peer) && peer.protocol == Protocol::Http,
        }
    }

    fn fits_kept(self, peer: &Peer) -> bool {
        peer.ways.contains(&Way::Kept) && peer.many.is_none()
    }
}

/// A program behind one port of a web server.
struct Route<'a> {
    door: Door,
    peer: &'a Peer,
    /// The same program a second time, with processes of its own: what it differs by from the first tells how much a difference from others says.
    again: bool,
    port: u16,
    /// The program that the web server starts, of which only the path is known; else the process of the peer is asked.
    started: Option<PathBuf>,
    rounds: Vec<Figures>,
}

/// What one run of wrk found.
#[derive(Debug, Clone, Copy)]
struct Figures {
    /// Requests per second.
    rate: f64,
    /// CPU time of the program per request, in nanoseconds.
    cpu: f64,
    /// CPU time of the program and the web server per request, in nanoseconds.
    whole: f64,
    /// Latency in microseconds that half of the requests, and 99 of 100, keep.
    half: f64,
    most: f64,
}

/// Measures all routes in turns, round by round.
pub(crate) fn run(context: &Context) -> Result<Section> {
    let (peers, mut versions) = peers::start(context)?;
    let peers: Vec<_> = peers.into_iter().filter(|peer| peer.name != peers::LIMIT).collect();
    let mut routes = Vec::new();
    for door in DOORS {
        let fitting = || peers.iter().filter(|peer| door.fits(peer));
        // Behind the other doors it would be the same process.
        let again = fitting().filter(|peer| door == Door::ModFcgid && peer.is_lodger()).map(|peer| (peer, true));
        for (peer, again) in fitting().map(|peer| (peer, false)).chain(again) {
            routes.push(Route { door, peer, again, port: daemon::free_port()?, started: None, rounds: Vec::new() });
        }
    }
    let nginx = nginx::start(context, &routes)?;
    let apache = apache::start(context, &mut routes)?;
    for route in &routes {
        daemon::expect_hello(route.port).and_then(|()| route.fill(context)).map_err(|error| route.failed(&*error, [&nginx, &apache]))?;
    }
    for round in 0..rounds(context) {
        let mut order: Vec<_> = routes.iter_mut().collect();
        if round % 2 == 1 {
            // Who comes first at a door finds a web server that has served another door until then.
            order.reverse();
        }
        for route in order {
            let web = if matches!(route.door, Door::Nginx | Door::NginxKept) { &nginx } else { &apache };
            let figures = route.measure(context, web).map_err(|error| route.failed(&*error, [&nginx, &apache]))?;
            route.rounds.push(figures);
        }
    }
    versions.push(("nginx".into(), said(Command::new("sh").args(["-c", "/usr/sbin/nginx -v 2>&1"]))?));
    versions.push(("Apache".into(), said(Command::new("/usr/sbin/apache2").arg("-v"))?.lines().next().unwrap_or_default().into()));
    Ok(report(context, &routes, versions))
}

/// More than elsewhere: a web server takes more than the programs behind it, so that the best are near each other.
fn rounds(context: &Context) -> usize {
    if context.quick { context.rounds } else { context.rounds + 2 }
}

/// How many processes mod_fcgid may start of each program: more than requests at a time, since it gives a process its next request only when the one before has been put away.
fn processes(context: &Context) -> usize {
    2 * context.in_flight
}

/// How many seconds may go by until a program has all its processes.
const FILLING: usize = 20;

impl Route<'_> {
    /// Has mod_fcgid start all processes that it may. It starts one when none is free, and when after a second none is either: of a fast program it would have fewer than of a slow one,
    /// and a request that finds none free while it is measured waits that second.
    fn fill(&self, context: &Context) -> Result<()> {
        let Some(path) = &self.started else { return Ok(()) };
        for _ in 0..FILLING {
            wrk::crowd(context, self.port)?;
            let running = daemon::running(path)?.len();
            if context.quick || running >= processes(context) {
                return Ok(());
            }
        }
        Err(format!("mod_fcgid did not start {} processes of it", processes(context)).into())
    }

    fn measure(&self, context: &Context, web: &Daemon) -> Result<Figures> {
        let (before, web_before) = (self.cpu()?, self.cpu_of_web(web)?);
        let wrk = wrk::run(context, self.port)?;
        let (own, web) = (self.cpu()? - before, self.cpu_of_web(web)? - web_before);
        #[expect(clippy::cast_precision_loss, reason = "figures of a benchmark")]
        let each = |nanoseconds: u64| nanoseconds as f64 / wrk.requests as f64;
        Ok(Figures { rate: wrk.rate, cpu: each(own), whole: each(own + web), half: wrk.half, most: wrk.most })
    }

    /// The CPU time of the web server without the program, in nanoseconds.
    fn cpu_of_web(&self, web: &Daemon) -> Result<u64> {
        // Programs that the web server starts are its children.
        Ok(web.cpu()? - if self.started.is_some() { self.cpu()? } else { 0 })
    }

    /// The CPU time of the program in all its processes so far, in nanoseconds.
    fn cpu(&self) -> Result<u64> {
        match &self.started {
            Some(path) => daemon::running(path)?.into_iter().map(process::cpu).sum(),
            None => server(self.peer).cpu(),
        }
    }

    /// What it is called in the report.
    fn name(&self) -> String {
        format!("{}{}", self.peer.name, if self.again { ", once more" } else { "" })
    }

    fn failed(&self, error: &dyn std::error::Error, daemons: [&Daemon; 2]) -> String {
        let logs: String = daemons.into_iter().map(Daemon::log).collect();
        format!("{} behind {}: {error}\n{logs}", self.name(), self.door.name())
    }

    /// A figure, round by round.
    fn each(&self, figure: fn(&Figures) -> f64) -> Vec<f64> {
        self.rounds.iter().map(figure).collect()
    }

    fn median(&self, figure: fn(&Figures) -> f64) -> f64 {
        median(&self.each(figure))
    }

    /// How many times that of another a figure is: the median over the rounds.
    fn times(&self, other: &Self, figure: fn(&Figures) -> f64) -> f64 {
        times(&self.each(figure), &other.each(figure))
    }
}

/// The processes of a peer that can serve several connections at a time.
fn server(peer: &Peer) -> &process::Server {
    peer.many.as_ref().unwrap_or(&peer.one)
}

/// Where a peer listens.
fn socket(peer: &Peer) -> &Path {
    server(peer).socket()
}

fn report(context: &Context, routes: &[Route<'_>], versions: Versions) -> Section {
    let (mut tables, mut targets) = (Vec::new(), Vec::new());
    for door in DOORS {
        let routes: Vec<_> = routes.iter().filter(|route| route.door == door).collect();
        let Some(first) = routes.first() else { continue };
        tables.push(table(door, first, &routes));
        for lodger in routes.iter().filter(|route| route.peer.is_lodger() && !route.again) {
            let protocol = lodger.peer.protocol;
            let others: Vec<_> = routes.iter().copied().filter(|route| !route.peer.is_lodger() && route.peer.protocol == protocol).collect();
            targets.extend(targets_of(lodger, &others));
        }
    }
    let about = format!(
        "wrk with the headers of a browser and {} connections asks nginx and Apache on loopback; {} runs of a second each, in turns and every other \
         time in the opposite order, and the median of them. {} The web server is on the core of the server. CPU time is that of the program alone, in all its processes, and with that of the web server; \
         figures with × are times those of the first row. nginx asks one process of lodger, tokio-fastcgi, Go and axum, and as many of libfcgi and PHP-FPM as there are \
         connections, since each of those serves one request at a time. Under mod_fcgid every program has {} processes, each of which has one request at a time; lodger is there a \
         second time, with processes of its own, and what it differs by from itself says nothing. Beside \
         what should not be below 1 stands between what the runs lie, without the lowest and the highest of them: where 1 lies there too, they do not tell which is better. {}",
        context.in_flight,
        rounds(context),
        context.cores_sentence(),
        processes(context),
        peers::AS_UPLOADED
    );
    Section { title: "Behind real web servers".into(), about, tables, targets, versions, ..Section::default() }
}

fn table(door: Door, first: &Route<'_>, routes: &[&Route<'_>]) -> Table {
    let mut table = Table::new(door.caption(), &["server", "requests/s", "", "CPU", "", "CPU with web server", "", "latency p50", "p99"]);
    for route in routes {
        table.rows.push(vec![
            route.name(),
            ratio(route.times(first, |figures| figures.rate)),
            format!("{:.0}", route.median(|figures| figures.rate)),
            ratio(route.times(first, |figures| figures.cpu)),
            microseconds(route.median(|figures| figures.cpu)),
            ratio(route.times(first, |figures| figures.whole)),
            microseconds(route.median(|figures| figures.whole)),
            milliseconds(route.median(|figures| figures.half)),
            milliseconds(route.median(|figures| figures.most)),
        ]);
    }
    table
}

/// What lodger promised behind a web server: to be below nobody who speaks the same protocol, and clearly above Go under mod_fcgid.
fn targets_of<'a>(lodger: &Route<'_>, others: &[&Route<'a>]) -> Vec<Target> {
    let mut targets = Vec::new();
    if let Some(go) = others.iter().find(|other| other.peer.name.starts_with("Go")).filter(|_| lodger.door == Door::ModFcgid) {
        let what = "requests per second of CPU time under mod_fcgid, lodger against Go".into();
        targets.push(Target { what, measured: go.times(lodger, |figures| figures.cpu), bound: Bound::AtLeast(1.3), unit: "×" });
    }
    let against = |other: &&Route<'a>| {
        let rates = times_by_round(&lodger.each(|figures| figures.rate), &other.each(|figures| figures.rate));
        let what = format!("requests per second behind {}, {} against the best other ({})", lodger.door.name(), lodger.peer.name, other.peer.name);
        Target { what, measured: median(&rates), bound: Bound::NotBelowOne(without_extremes(&rates)), unit: "×" }
    };
    let worse = |one: &Target, other: &Target| one.verdict().cmp(&other.verdict()).then(one.measured.total_cmp(&other.measured));
    targets.extend(others.iter().map(against).min_by(worse));
    targets
}

fn milliseconds(microseconds: f64) -> String {
    format!("{:.2} ms", microseconds / 1000.0)
}
