//! CPU time per request directly on the socket: lodger and its peers against the limit.

use crate::{
    context::Context,
    load::{self, Exchange, fastcgi, vars},
    process::Server,
    report::{Bound, Result, Section, Table, Target, median, microseconds, ratio},
};
use std::process::Command;

/// How many requests are on one connection at a time in the third way.
const MULTIPLEXED: u16 = 8;

/// A way to use connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    New,
    Kept,
    Multiplexed,
}

const WAYS: [Way; 3] = [Way::New, Way::Kept, Way::Multiplexed];

impl Way {
    fn name(self) -> &'static str {
        match self {
            Self::New => "new connection",
            Self::Kept => "kept",
            Self::Multiplexed => "8 multiplexed",
        }
    }

    /// What lodger may cost, in times the limit.
    fn target(self) -> f64 {
        match self {
            Self::New => 1.3,
            Self::Kept | Self::Multiplexed => 2.0,
        }
    }

    fn requests(self, context: &Context) -> u64 {
        match self {
            Self::New => context.count(20_000, 3),
            Self::Kept => context.count(50_000, 3),
            Self::Multiplexed => context.count(100_000, 24),
        }
    }

    fn exchange(self, vars: &[(&str, String)]) -> Exchange {
        let (answers, keep) = (if self == Self::Multiplexed { MULTIPLEXED } else { 1 }, self != Self::New);
        Exchange { request: (1..=answers).flat_map(|id| fastcgi::request(id, keep, vars)).collect(), answers: answers.into(), keep }
    }
}

/// A program that answers the hello.
struct Peer {
    name: &'static str,
    server: Server,
    /// CPU time per request in nanoseconds, per way and round.
    figures: [Vec<f64>; WAYS.len()],
}

impl Peer {
    fn new(name: &'static str, server: Server) -> Self {
        Self { name, server, figures: Default::default() }
    }

    /// Makes the requests of one way and notes what one of them cost.
    fn measure(&mut self, context: &Context, way: usize, requests: u64) -> Result<f64> {
        let exchange = WAYS.get(way).copied().unwrap_or(Way::New).exchange(&vars::browser("/srv/www/site/hello.fcgi"));
        // One connection carries what is multiplexed.
        let in_flight = if exchange.answers > 1 { 1 } else { context.in_flight };
        let before = self.server.cpu()?;
        load::play(self.server.socket(), &exchange, in_flight, requests).map_err(|error| format!("{}: {error}\n{}", self.name, self.server.log()))?;
        #[expect(clippy::cast_precision_loss, reason = "figures of a benchmark")]
        Ok((self.server.cpu()? - before) as f64 / requests as f64)
    }
}

/// Measures all peers in turns, round by round, so that whatever else the machine does meets all of them alike.
pub(crate) fn run(context: &Context) -> Result<Section> {
    let mut peers = start(context)?;
    for (way, kind) in WAYS.into_iter().enumerate() {
        let requests = kind.requests(context);
        for peer in &mut peers {
            peer.measure(context, way, requests.div_ceil(10))?;
        }
        for _ in 0..context.rounds {
            for peer in &mut peers {
                let figure = peer.measure(context, way, requests)?;
                peer.figures.get_mut(way).ok_or("a way without figures")?.push(figure);
            }
        }
    }
    Ok(report(context, &peers))
}

fn start(context: &Context) -> Result<Vec<Peer>> {
    let mut peers = Vec::new();
    let limit = Context::bench_program("limit")?;
    context.build(Command::new("cc").args(["-O2", "-Wall", "-Wextra", "-o"]).arg(&limit).arg(Context::source("limit.c")))?;
    peers.push(Peer::new("limit", Server::start(context, &mut Command::new(limit))?));
    if context.wants("lodger") {
        peers.push(Peer::new("lodger", Server::start(context, &mut Command::new(Context::program("hello")?))?));
    }
    Ok(peers)
}

/// How many times the limit a peer costs: the median over the rounds of what it was in each.
fn times_the_limit(peer: &Peer, limit: &Peer, way: usize) -> f64 {
    let figures = |peer: &Peer| peer.figures.get(way).cloned().unwrap_or_default();
    median(&figures(peer).iter().zip(figures(limit)).map(|(figure, limit)| figure / limit).collect::<Vec<_>>())
}

fn report(context: &Context, peers: &[Peer]) -> Section {
    let mut head = vec!["server"];
    for way in WAYS {
        head.extend([way.name(), ""]);
    }
    let mut table = Table::new("", &head);
    let mut targets = Vec::new();
    let Some(limit) = peers.first() else { return Section::default() };
    for peer in peers {
        let mut row = vec![peer.name.to_owned()];
        for (index, way) in WAYS.into_iter().enumerate() {
            let times = times_the_limit(peer, limit, index);
            let figures = peer.figures.get(index).map_or(f64::NAN, |figures| median(figures));
            row.extend([ratio(times), microseconds(figures)]);
            if peer.name == "lodger" {
                targets.push(Target { what: format!("lodger, {}", way.name()), measured: times, bound: Bound::AtMost(way.target()), unit: "×" });
            }
        }
        table.rows.push(row);
    }
    let about = format!(
        "CPU time of the server per request, and how many times that of the limit it is. {} {} connections at a time; of each peer the median of {} rounds.",
        context.cores_sentence(),
        context.in_flight,
        context.rounds
    );
    Section { title: "Directly on the socket".into(), about, tables: vec![table], targets, ..Section::default() }
}
