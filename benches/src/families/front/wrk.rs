//! wrk: its command line, and what it prints.

use crate::{context::Context, load::vars, report::Result};
use std::process::{Child, Command, Stdio};

/// What one run found.
#[derive(Debug, PartialEq)]
pub(super) struct Found {
    pub(super) requests: u64,
    /// Requests per second.
    pub(super) rate: f64,
    /// Latency in microseconds that half of the requests keep.
    pub(super) half: f64,
    /// Latency in microseconds that 99 of 100 keep.
    pub(super) most: f64,
}

/// Asks a port for a second.
pub(super) fn run(context: &Context, port: u16) -> Result<Found> {
    let output = start(port, context.in_flight, 1)?.wait_with_output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    parse(&text).ok_or_else(|| format!("{}\n{text}{}", output.status, String::from_utf8_lossy(&output.stderr)).into())
}

/// Asks a port for a second on four times as many connections as later.
pub(super) fn crowd(context: &Context, port: u16) -> Result<()> {
    Ok(start(port, 4 * context.in_flight, 1)?.wait_with_output().map(drop)?)
}

fn start(port: u16, connections: usize, seconds: u32) -> Result<Child> {
    let mut command = Command::new("wrk");
    command.args(["--latency", "--threads", "1", "--connections", &connections.to_string(), "--duration", &seconds.to_string()]);
    for (name, value) in vars::headers(&vars::browser("")) {
        if !["Host", "Connection"].contains(&name.as_str()) {
            command.arg("--header").arg(format!("{name}: {value}"));
        }
    }
    command.arg(format!("http://127.0.0.1:{port}/hello")).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Ok(command.spawn().map_err(|error| format!("wrk: {error}"))?)
}

/// Reads what wrk prints. Nothing if it speaks of errors.
fn parse(text: &str) -> Option<Found> {
    if text.contains("Non-2xx") || text.contains("Socket errors") {
        return None;
    }
    let behind = |name: &str| text.lines().find_map(|line| line.trim().strip_prefix(name)).map(str::trim);
    let requests = text.lines().find_map(|line| line.trim().split_once(" requests in ")?.0.parse().ok())?;
    Some(Found { requests, rate: behind("Requests/sec:")?.parse().ok()?, half: duration(behind("50%")?)?, most: duration(behind("99%")?)? })
}

/// A time in microseconds, out of a number with the unit behind it.
fn duration(text: &str) -> Option<f64> {
    let unit = text.find(|letter: char| letter.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at_checked(unit)?;
    let times = match unit {
        "us" => 1.0,
        "ms" => 1e3,
        "s" => 1e6,
        _ => return None,
    };
    Some(number.parse::<f64>().ok()? * times)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRINTED: &str = "Running 1s test @ http://127.0.0.1:80/hello
  1 threads and 8 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   250.12us  100.00us   4.20ms   90.00%
    Req/Sec    31.00k     1.20k   33.00k    70.00%
  Latency Distribution
     50%  240.00us
     75%  300.00us
     90%  400.00us
     99%    1.50ms
  30941 requests in 1.00s, 4.90MB read
Requests/sec:  30900.50
Transfer/sec:      4.90MB
";

    #[test]
    fn the_figures_are_found_in_what_wrk_prints() {
        assert_eq!(parse(PRINTED), Some(Found { requests: 30941, rate: 30900.5, half: 240.0, most: 1500.0 }));
    }

    #[test]
    fn a_run_with_errors_has_no_figures() {
        for line in ["  Non-2xx or 3xx responses: 1\n", "  Socket errors: connect 0, read 1, write 0, timeout 0\n"] {
            assert_eq!(parse(&format!("{PRINTED}{line}")), None);
        }
    }
}
