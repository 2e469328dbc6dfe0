//! CPU time per request directly on the socket: lodger and its peers against the limit, and lodger's protocols against each other.

use crate::{
    context::Context,
    load::{self, Exchange, Protocol, vars},
    peers::{self, Peer, WAYS, Way},
    report::{Bound, Result, Section, Table, Target, Versions, median, microseconds, ratio, times},
};

/// How many requests are on one connection at a time in the last two ways.
const MULTIPLEXED: u16 = 8;

/// What stands where a program cannot be asked in a way.
const NOT_POSSIBLE: &str = "–";

/// What a request costs a peer in nanoseconds, for each way, round by round. Nothing where it cannot be asked so.
type Figures = [Vec<f64>; WAYS.len()];

impl Way {
    fn name(self) -> &'static str {
        match self {
            Self::New => "new connection",
            Self::Kept => "kept",
            Self::Multiplexed => "8 multiplexed",
            Self::Together => "8 in one write",
        }
    }

    /// What lodger may cost, in times the limit.
    fn target(self) -> f64 {
        match self {
            Self::New => 1.3,
            Self::Kept | Self::Multiplexed | Self::Together => 2.0,
        }
    }

    fn requests(self, context: &Context) -> u64 {
        match self {
            Self::New => context.count(10_000, 3),
            Self::Kept => context.count(25_000, 3),
            Self::Multiplexed | Self::Together => context.count(50_000, 24),
        }
    }
}

/// Measures all peers in turns, round by round, so that whatever else the machine does meets all of them alike.
pub(crate) fn run(context: &Context) -> Result<Section> {
    let (peers, versions) = peers::start(context)?;
    let mut measured: Vec<(Peer, Figures)> = peers.into_iter().map(|peer| (peer, Figures::default())).collect();
    for (index, way) in WAYS.into_iter().enumerate() {
        let requests = way.requests(context);
        let mut asked: Vec<_> = measured.iter_mut().filter(|(peer, _)| peer.ways.contains(&way)).collect();
        for (peer, _) in &asked {
            measure(context, peer, way, requests.div_ceil(10))?;
        }
        for _ in 0..context.rounds {
            let round = context.in_turns(&asked, |asked| Ok([measure(context, &asked.0, way, requests / context.turns())?]))?;
            for ((_, figures), [cost]) in asked.iter_mut().zip(round) {
                if let Some(figures) = figures.get_mut(index) {
                    figures.push(cost);
                }
            }
        }
    }
    report(context, &measured, versions)
}

/// Makes the requests of one way and tells what one of them cost the peer.
fn measure(context: &Context, peer: &Peer, way: Way, requests: u64) -> Result<f64> {
    let vars = vars::browser(&peer.script);
    let server = peer.many.as_ref().filter(|_| way == Way::Kept).unwrap_or(&peer.one);
    let before = server.cpu()?;
    let played = match way {
        Way::Multiplexed => load::play_multiplexed(server.socket(), &vars, MULTIPLEXED, requests),
        Way::Together => {
            let exchange = Exchange::multiplexed(MULTIPLEXED, &vars);
            load::play_asleep(server.socket(), &exchange, 1, requests)
        }
        Way::New | Way::Kept => {
            let exchange = Exchange::new(peer.protocol, way == Way::Kept, &vars)?;
            load::play(server.socket(), &exchange, context.in_flight, requests)
        }
    };
    played.map_err(|error| format!("{}, {}: {error}\n{}", peer.name, way.name(), server.log()))?;
    #[expect(clippy::cast_precision_loss, reason = "a figure of a benchmark")]
    Ok((server.cpu()? - before) as f64 / requests as f64)
}

fn report(context: &Context, measured: &[(Peer, Figures)], versions: Versions) -> Result<Section> {
    let (_, limit) = measured.first().ok_or("the limit was not measured")?;
    let is_other_protocol = |peer: &Peer| peer.name.starts_with("lodger,");
    let against_limit = table(measured.iter().filter(|(peer, _)| !is_other_protocol(peer)), limit, &WAYS);
    let mut section = Section {
        title: "Directly on the socket".into(),
        about: about(context),
        short: Some(
            against_limit.first_of_each_pair("CPU time per request directly on the socket, in times the limit: a program in C that parses nothing."),
        ),
        tables: vec![against_limit],
        versions,
        ..Section::default()
    };
    let Some((_, lodger)) = measured.iter().find(|(peer, _)| peer.name == "lodger") else { return Ok(section) };
    let mut target = |what: String, measured, bound| section.targets.push(Target { what, measured, bound: Bound::AtMost(bound), unit: "×" });
    for ((way, lodger), limit) in WAYS.into_iter().zip(lodger).zip(limit) {
        target(format!("lodger, {}, against the limit", way.name()), times(lodger, limit), way.target());
    }
    for (peer, figures) in measured.iter().filter(|(peer, _)| is_other_protocol(peer)) {
        let bound = if peer.protocol == Protocol::Http { 1.35 } else { 1.2 };
        for ((way, figures), fastcgi) in WAYS.into_iter().zip(figures).zip(lodger).filter(|((way, _), _)| peer.ways.contains(way)) {
            target(format!("{}, {}, against FastCGI", peer.name, way.name()), times(figures, fastcgi), bound);
        }
    }
    if measured.iter().any(|(peer, _)| is_other_protocol(peer)) {
        let mut protocols = table(measured.iter().filter(|(peer, _)| peer.is_lodger()), lodger, &[Way::New, Way::Kept]);
        protocols.caption = "lodger's protocols against its FastCGI.".into();
        section.tables.push(protocols);
    }
    Ok(section)
}

/// A row for each peer and two columns for each way: the ratio and the figure.
fn table<'a>(measured: impl Iterator<Item = &'a (Peer, Figures)>, base: &Figures, ways: &[Way]) -> Table {
    let head: Vec<_> = ways.iter().flat_map(|way| [way.name(), "CPU"]).collect();
    let mut table = Table::new("", &[&["server"][..], &head].concat());
    for (peer, figures) in measured {
        let mut row = vec![peer.name.to_owned()];
        for ((_, figures), base) in ways.iter().zip(figures).zip(base) {
            let cells = [ratio(times(figures, base)), microseconds(median(figures))];
            row.extend(if figures.is_empty() { [NOT_POSSIBLE; 2].map(Into::into) } else { cells });
        }
        table.rows.push(row);
    }
    table
}

fn about(context: &Context) -> String {
    format!(
        "CPU time that the server uses per request, told by the kernel (`schedstat`). The load generator plays the web server on the Unix socket that the server was given as fd 0, asks \
         for `/hello` with the 32 variables that Apache's mod_fcgid sends for a browser, and checks every answer. {} Each round has {} turns, in each of which all are measured for a short while, \
         and each ratio is the median of those of {} rounds.\n\n\
         * *new connection*: one request each, without `FCGI_KEEP_CONN`, {} connections at a time. With LSAPI it is the web server that closes; LiteSpeed keeps its connections.\n\
         * *kept*: {} connections at a time, one request on each. libfcgi and PHP-FPM serve one connection per process, so they have as many processes here, and one otherwise.\n\
         * *8 multiplexed*: eight requests at a time on one connection, each of which is followed by the next as soon as it is answered. libfcgi and PHP-FPM cannot do that, nor can HTTP/1.1.\n\
         * *8 in one write*: the same eight, the next of which are sent when all are answered. Here alone the load sleeps until an answer comes: it has to wait for the slowest of them anyway.\n\n\
         Otherwise the load never sleeps, as a busy web server does not: else the server would pay for waking it.\n\n\
         The limit walks the heads of the records until the request ends and writes bytes that are ready; it parses nothing and allocates nothing. Go runs with `GOMAXPROCS=1`, which is what it \
         chooses on one core and cheaper than more; PHP-FPM has no extension but opcache. {}",
        context.cores_sentence(),
        context.turns(),
        context.rounds,
        context.in_flight,
        context.in_flight,
        peers::AS_UPLOADED,
    )
}
