//! What a request costs as things become large: routes, headers, variables, connections, bodies. Draws the chart of the guide.

use super::{
    bodies::{self, download, upload},
    memory::with_files,
};
use crate::{
    callgrind,
    chart::{self, Panel, Point},
    context::Context,
    load::{self, Exchange, Protocol, vars},
    process::Server,
    programs,
    report::{Bound, Result, Section, Table, Target, ratio},
};
use std::{fs, path::Path, process::Command};

/// What costs less than this many times as much at the largest size as at the smallest counts as flat.
const FLAT: f64 = 1.5;

/// How far the exponent of a growth may be from 1 to count as linear.
const NEARLY: f64 = 0.15;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// One thing that becomes larger.
struct Dimension {
    what: &'static str,
    kind: Kind,
    /// Sizes and what a request costs at each, the smallest first.
    points: Vec<(u64, f64)>,
}

/// What is counted against what.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Instructions against a number of things.
    Instructions,
    /// CPU time in nanoseconds against a number of things.
    Time,
    /// CPU time in nanoseconds against bytes.
    TimeOfBytes,
}

/// Measures all dimensions, draws the chart and tells how each grows.
pub(crate) fn run(context: &Context) -> Result<Section> {
    let mut dimensions =
        vec![routes(context)?, sites(context)?, headers(context)?, variables(context)?, response_headers(context)?, connections(context)?];
    dimensions.extend(bodies(context)?);
    Ok(report(context, &dimensions))
}

fn routes(context: &Context) -> Result<Dimension> {
    let asked = asked();
    let count = |size: u64| instructions(context, &[("ROUTES", &size.to_string())], &asked);
    Dimension::counted(context, "routes of an axum router", &[1, 10, 100, 1_000, 10_000], count)
}

/// Sites of a `lodger.toml` with a hundred routes each; the last route of the last site is asked for.
fn sites(context: &Context) -> Result<Dimension> {
    let mut vars = asked();
    for (name, value) in &mut vars {
        match *name {
            "HTTP_HOST" => *value = "site-0.example.org".into(),
            "REQUEST_URI" | "REDIRECT_URL" => *value = format!("/section-{}/page", ROUTES - 1),
            _ => {}
        }
    }
    let exchange = Exchange::new(Protocol::FastCgi, true, &vars)?;
    let sizes = sizes(context, &[1, 100, 10_000]);
    let requests = context.count(20_000, 10);
    let mut servers = Vec::new();
    for size in &sizes {
        let file = context.scratch().join(format!("sites-{size}.toml"));
        fs::write(&file, site_file(*size))?;
        let server = Server::start(context, Command::new(programs::uploaded(context, "knobs")?).env("LODGER_CONFIG", &file))?;
        servers.push((load::hold(server.socket(), &exchange, 1)?, server));
    }
    let costs = least_of(context.rounds, &mut servers, |(open, server)| {
        let before = server.cpu()?;
        load::take_turns(open, &exchange, requests)?;
        Ok(per(server.cpu()? - before, requests))
    })?;
    Ok(Dimension { what: "sites with 100 routes each", kind: Kind::Time, points: sizes.iter().copied().zip(costs).collect() })
}

/// How many routes each site has.
const ROUTES: u64 = 100;

/// The first site stands at the end, and is the one that is asked for.
fn site_file(sites: u64) -> String {
    let route = |route| format!("{{path=\"/section-{route}/page\",respond=\"hello, world\\n\"}}");
    let routes = (0..ROUTES).map(route).collect::<Vec<_>>().join(",");
    (0..sites).rev().map(|site| format!("[[site]]\nhosts=[\"site-{site}.example.org\"]\nroute=[{routes}]\n")).collect()
}

/// Request headers among the variables, which are otherwise those of a browser's request.
fn headers(context: &Context) -> Result<Dimension> {
    let count = |size| instructions(context, &[], &numbered(|name| !name.starts_with("HTTP_"), "HTTP_X_HEADER_", size));
    Dimension::counted(context, "request headers", &[1, 3, 10, 30, 100], count)
}

/// Variables that are no headers, beside those without which there is no request.
fn variables(context: &Context) -> Result<Dimension> {
    const LEAST: [&str; 7] = ["REQUEST_METHOD", "REQUEST_URI", "SCRIPT_NAME", "SERVER_PROTOCOL", "SERVER_SOFTWARE", "REMOTE_ADDR", "HTTP_HOST"];
    let count = |size| instructions(context, &[], &numbered(|name| LEAST.contains(&name), "SITE_VARIABLE_", size - LEAST.len() as u64));
    Dimension::counted(context, "variables", &[8, 30, 100, 300, 1_000], count)
}

fn response_headers(context: &Context) -> Result<Dimension> {
    let asked = asked();
    let count = |size: u64| instructions(context, &[("HEADERS", &size.to_string())], &asked);
    Dimension::counted(context, "response headers", &[1, 3, 10, 30, 100], count)
}

/// Connections that are kept, each of which gets a request in its turn.
fn connections(context: &Context) -> Result<Dimension> {
    let exchange = Exchange::new(Protocol::FastCgi, true, &asked())?;
    let sizes = sizes(context, &[1, 10, 100, 1_000, 10_000]);
    let requests = context.count(5_000, 10);
    with_files(sizes.iter().sum(), || {
        let mut crowds = Vec::new();
        for size in &sizes {
            let server = Server::start(context, &mut Command::new(programs::uploaded(context, "knobs")?))?;
            crowds.push((load::hold(server.socket(), &exchange, *size)?, server));
        }
        let costs = least_of(context.rounds, &mut crowds, |(open, server)| {
            let before = server.cpu()?;
            load::take_turns(open, &exchange, requests)?;
            Ok(per(server.cpu()? - before, requests))
        })?;
        Ok(Dimension { what: "kept connections", kind: Kind::Time, points: sizes.iter().copied().zip(costs).collect() })
    })
}

/// Bodies up and down, each on a connection of its own.
fn bodies(context: &Context) -> Result<[Dimension; 2]> {
    let server = Server::start(context, &mut Command::new(programs::uploaded(context, "knobs")?))?;
    let grown = |what, transfer: fn(&Path, u64) -> Result<()>| -> Result<Dimension> {
        let mut sizes = sizes(context, &[0, 64 * KIB, MIB, 8 * MIB, 64 * MIB]);
        let costs = least_of(bodies::rounds(context), &mut sizes, |size| {
            // As many as take about the same time.
            let times = context.count((32 * MIB / (*size).max(KIB)).clamp(1, 200), 1);
            let before = server.cpu()?;
            for _ in 0..times {
                transfer(server.socket(), *size)?;
            }
            Ok(per(server.cpu()? - before, times))
        })?;
        Ok(Dimension { what, kind: Kind::TimeOfBytes, points: sizes.into_iter().zip(costs).collect() })
    };
    Ok([grown("request body", upload)?, grown("response body", download)?])
}

/// The sizes, or in a smoke test the first two.
fn sizes(context: &Context, all: &[u64]) -> Vec<u64> {
    let few = if context.quick { 2 } else { all.len() };
    all.iter().copied().take(few).collect()
}

/// Measures each size once in every round, and gives the least of each: what comes on top of it is not of the size but of the machine. Where that is a virtual one, memory that was
/// free for a while goes back to its host, and until the kernel's buffers have been through what it has to fetch again, a body costs ten to twenty times as much, all of it in the
/// kernel's copy. What is done for the first time does not count.
fn least_of<T>(rounds: usize, sizes: &mut [T], mut measure: impl FnMut(&mut T) -> Result<f64>) -> Result<Vec<f64>> {
    let mut least = vec![f64::INFINITY; sizes.len()];
    for round in 0..=rounds {
        for (size, least) in sizes.iter_mut().zip(&mut least) {
            let figure = measure(size)?;
            if round > 0 {
                *least = least.min(figure);
            }
        }
    }
    Ok(least)
}

fn asked() -> Vec<(&'static str, String)> {
    vars::browser("/srv/www/site/hello.fcgi")
}

/// Some variables of the usual request, and others whose names have a number.
fn numbered(kept: impl Fn(&str) -> bool, prefix: &str, count: u64) -> Vec<(String, String)> {
    let usual = asked().into_iter().filter(|(name, _)| kept(name)).map(|(name, value)| (name.to_owned(), value));
    usual.chain((0..count).map(|n| (format!("{prefix}{n}"), "a value of 22 letters.".to_owned()))).collect()
}

fn instructions(context: &Context, environment: &[(&str, &str)], vars: &[(impl AsRef<str>, String)]) -> Result<f64> {
    let vars: Vec<_> = vars.iter().map(|(name, value)| (name.as_ref(), value.clone())).collect();
    callgrind::of_server(context, &programs::uploaded(context, "knobs")?, environment, &Exchange::new(Protocol::FastCgi, true, &vars)?)
}

#[expect(clippy::cast_precision_loss, reason = "figures of a benchmark")]
fn per(whole: u64, parts: u64) -> f64 {
    whole as f64 / parts as f64
}

impl Dimension {
    fn counted(context: &Context, what: &'static str, all: &[u64], count: impl Fn(u64) -> Result<f64>) -> Result<Self> {
        let points = sizes(context, all).into_iter().map(|size| Ok((size, count(size)?))).collect::<Result<_>>()?;
        Ok(Self { what, kind: Kind::Instructions, points })
    }

    /// How many times the cost at the smallest size that at the largest is.
    fn times(&self) -> f64 {
        self.points.first().zip(self.points.last()).map_or(f64::NAN, |((_, first), (_, last))| last / first)
    }

    /// The exponent with which the cost above that of the smallest size grows, from the last size but one to the last: 1 is linear.
    fn exponent(&self) -> f64 {
        let (Some((x, y)), [.., (x1, y1), (x2, y2)]) = (self.points.first(), self.points.as_slice()) else { return f64::NAN };
        ((y2 - y) / (y1 - y)).ln() / per(x2 - x, x1 - x).ln()
    }

    fn verdict(&self) -> String {
        let exponent = self.exponent();
        if self.times() < FLAT {
            return "flat".into();
        }
        let word = if exponent < 1.0 - NEARLY {
            "less than linear"
        } else if exponent <= 1.0 + NEARLY {
            "linear"
        } else {
            "**more than linear**"
        };
        format!("{word}, n^{exponent:.2}")
    }

    fn size(&self, size: u64) -> String {
        match (self.kind, size) {
            (Kind::TimeOfBytes, 0) => "empty".into(),
            (Kind::TimeOfBytes, MIB..) => format!("{} MiB", size / MIB),
            (Kind::TimeOfBytes, _) => format!("{} KiB", size / KIB),
            (_, 1_000..) => format!("{},000", size / 1_000),
            _ => size.to_string(),
        }
    }

    fn cost(&self, cost: f64) -> String {
        match self.kind {
            Kind::Instructions if cost < 99_500.0 => format!("{:.1} k", cost / 1e3),
            Kind::Instructions => format!("{:.0} k", cost / 1e3),
            Kind::Time | Kind::TimeOfBytes if cost < 99_500.0 => format!("{:.1} µs", cost / 1e3),
            Kind::Time | Kind::TimeOfBytes if cost < 999_500.0 => format!("{:.0} µs", cost / 1e3),
            Kind::Time | Kind::TimeOfBytes => format!("{:.1} ms", cost / 1e6),
        }
    }

    fn panel(&self) -> Panel {
        let subtitle = if self.kind == Kind::Instructions { "instructions per request" } else { "CPU time per request" };
        // A logarithm knows no place for nothing: it stands where a tenth of the next size would.
        let nothing = self.points.get(1).map_or(1.0, |(next, _)| per(*next, 10));
        let place = |size: u64| if size == 0 { nothing } else { per(size, 1) };
        let point = |(x, y): &(u64, f64)| Point { x: place(*x), y: *y, x_label: self.size(*x), y_label: self.cost(*y) };
        Panel { title: self.what.into(), subtitle: subtitle.into(), points: self.points.iter().map(point).collect() }
    }
}

fn report(context: &Context, dimensions: &[Dimension]) -> Section {
    let mut table = Table::new("", &["", "smallest", "cost", "largest", "cost", "largest / smallest", "growth"]);
    for dimension in dimensions {
        let mut row = vec![dimension.what.to_owned()];
        for (size, cost) in dimension.points.first().into_iter().chain(dimension.points.last()) {
            row.extend([dimension.size(*size), dimension.cost(*cost)]);
        }
        row.extend([ratio(dimension.times()), dimension.verdict()]);
        table.rows.push(row);
    }
    let steepest = dimensions.iter().filter(|dimension| dimension.times() >= FLAT).map(Dimension::exponent).fold(0.0, f64::max);
    let target = Target {
        what: "steepest growth of a cost with a size, as the exponent".into(),
        measured: steepest,
        bound: Bound::AtMost(1.0 + NEARLY),
        unit: "",
    };
    let about = format!(
        "What a request costs as one thing becomes large and all others stay as they are. Both axes are logarithmic; along the dashed line a cost would grow in step with the size.\n\n\
         ![Cost of a request against the number of routes, sites, request headers, variables, response headers and connections, and against the size of a body](scale.svg)\n\n\
         Routes, headers and variables: instructions outside the kernel, counted by callgrind, over FastCGI on a kept connection. Connections: CPU time; all are kept, and one after \
         the other gets a request. Bodies: CPU time, on a connection of their own, with a handler that counts what comes or sends pieces of 32 KiB. CPU times are the least of {} \
         rounds in turns, of bodies of {}: a virtual machine that has to fetch memory from its host again adds to a body what no size has to do with. The growth is that of \
         what a size costs above the smallest one; what stays below {FLAT} × is called flat. Sites are those of a `lodger.toml`, with a kept connection that asks for the last route of one of them.",
        context.rounds,
        bodies::rounds(context)
    );
    let chart = chart::svg(&dimensions.iter().map(Dimension::panel).collect::<Vec<_>>());
    Section { title: "Scale".into(), about, tables: vec![table], targets: vec![target], pictures: vec![("scale.svg", chart)], ..Section::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dimension(points: &[(u64, f64)]) -> Dimension {
        Dimension { what: "things", kind: Kind::Instructions, points: points.to_vec() }
    }

    #[test]
    fn growth_is_told_by_what_comes_on_top_of_the_smallest() {
        assert_eq!(dimension(&[(1, 100.0), (10, 120.0), (100, 140.0)]).verdict(), "flat");
        assert_eq!(dimension(&[(0, 100.0), (10, 200.0), (100, 1100.0)]).verdict(), "linear, n^1.00");
        assert_eq!(dimension(&[(0, 100.0), (10, 200.0), (100, 10_100.0)]).verdict(), "**more than linear**, n^2.00");
        assert_eq!(dimension(&[(0, 100.0), (100, 200.0), (10_000, 1_100.0)]).verdict(), "less than linear, n^0.50");
    }

    #[test]
    fn sizes_and_costs_are_written_as_people_do() {
        let of = |kind| Dimension { what: "things", kind, points: Vec::new() };
        assert_eq!(of(Kind::TimeOfBytes).size(64 * MIB), "64 MiB");
        assert_eq!(of(Kind::TimeOfBytes).size(64 * KIB), "64 KiB");
        assert_eq!(of(Kind::Time).size(10_000), "10,000");
        assert_eq!(of(Kind::Time).cost(12_345.0), "12.3 µs");
        assert_eq!(of(Kind::TimeOfBytes).cost(12_345_678.0), "12.3 ms");
        assert_eq!(of(Kind::Instructions).cost(123_456.0), "123 k");
    }
}
