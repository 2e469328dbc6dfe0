//! Bodies of a gibibyte, up and down, over FastCGI: how many bytes a server moves in a second of its CPU time.

use crate::{
    context::Context,
    load::{
        self, Waits,
        fastcgi::{self, END_REQUEST, HEAD, STDIN, STDOUT},
        vars,
    },
    peers,
    process::{self, Server},
    programs,
    report::{Bound, Result, Section, Table, Target, median, ratio},
};
use std::{
    io::Write as _,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::Command,
};

/// The content of a record: the most that is a multiple of eight, as nginx and Apache fill them.
const CONTENT: usize = 65_528;

/// How many records are written at once.
const RECORDS: usize = 16;

/// How much is read at once.
const ROOM: usize = 256 * 1024;

const LODGER: &str = "lodger (axum)";
const GO: &str = "Go net/http/fcgi";

/// A server with the two routes.
struct Peer {
    name: &'static str,
    server: Server,
    /// Bytes per second of CPU time, round by round.
    up: Vec<f64>,
    down: Vec<f64>,
}

/// Measures all peers in turns, round by round.
pub(crate) fn run(context: &Context) -> Result<Section> {
    let length = context.count(1 << 30, 1 << 20);
    let mut peers = start(context)?;
    for peer in &mut peers {
        // What is done for the first time alone does not count.
        peer.measure(length >> 6).map(drop)?;
    }
    for _ in 0..rounds(context) {
        for peer in &mut peers {
            let (up, down) = peer.measure(length)?;
            peer.up.push(up);
            peer.down.push(down);
        }
    }
    report(context, &peers, length)
}

/// A body takes a fifth of a second, and whatever else the machine does for a while meets one server and not the next. So there are more rounds here than elsewhere.
pub(super) fn rounds(context: &Context) -> usize {
    3 * context.rounds
}

fn start(context: &Context) -> Result<Vec<Peer>> {
    let mut peers = Vec::new();
    let mut add = |name: &'static str, program: PathBuf| -> Result<()> {
        peers.push(Peer { name, server: Server::start(context, &mut Command::new(program))?, up: Vec::new(), down: Vec::new() });
        Ok(())
    };
    add("the limit (C, read and writev)", programs::c(context, "bodies_limit.c", &[])?)?;
    if context.wants("lodger") {
        add(LODGER, programs::uploaded(context, "knobs")?)?;
    }
    if context.wants("go") {
        add(GO, programs::go(context, "bodies")?)?;
    }
    if context.wants("libfcgi") {
        add("C, libfcgi", programs::c(context, "libfcgi_bodies.c", &["-lfcgi"])?)?;
    }
    Ok(peers)
}

impl Peer {
    /// Sends a body and fetches one, each on a connection of its own, and tells how many bytes that was per second of CPU time.
    fn measure(&self, length: u64) -> Result<(f64, f64)> {
        let name = |error| format!("{}: {error}\n{}", self.name, self.server.log());
        let up = self.per_second(length, || upload(self.server.socket(), length)).map_err(name)?;
        let down = self.per_second(length, || download(self.server.socket(), length)).map_err(name)?;
        Ok((up, down))
    }

    #[expect(clippy::cast_precision_loss, reason = "figures of a benchmark")]
    fn per_second(&self, length: u64, transfer: impl FnOnce() -> Result<()>) -> Result<f64> {
        let before = self.server.cpu()?;
        transfer()?;
        Ok(length as f64 / (self.server.cpu()? - before) as f64 * 1e9)
    }
}

/// Sends a body of `length` bytes and reads the answer, which tells that length.
pub(super) fn upload(socket: &Path, length: u64) -> Result<()> {
    let mut connection = connect(socket)?;
    let head = request("POST", "/early", "n=0", length);
    // Without the empty record that ends the body.
    connection.write_all(head.get(..head.len() - HEAD).unwrap_or_default())?;
    let block = fastcgi::record(STDIN, 1, &[b'x'; CONTENT]).repeat(RECORDS);
    let block_content = u64::try_from(CONTENT * RECORDS)?;
    for _ in 0..length / block_content {
        connection.write_all(&block)?;
    }
    let mut left = usize::try_from(length % block_content)?;
    while left > 0 {
        let size = left.min(CONTENT);
        connection.write_all(&fastcgi::record(STDIN, 1, &vec![b'x'; size]))?;
        left -= size;
    }
    connection.write_all(&fastcgi::record(STDIN, 1, &[]))?;
    let told = Down::default().read(&mut connection)?;
    // The limit does not count.
    if told.page.is_empty() || told.page == format!("{length}\n").as_bytes() {
        return Ok(());
    }
    Err(format!("the server counted {}", String::from_utf8_lossy(&told.page)).into())
}

/// Fetches a body of `length` bytes.
pub(super) fn download(socket: &Path, length: u64) -> Result<()> {
    let mut connection = connect(socket)?;
    connection.write_all(&request("GET", "/big", &format!("n={length}"), 0))?;
    let came = Down::default().read(&mut connection)?;
    if came.length == length {
        return Ok(());
    }
    Err(format!("{} bytes came, not {length}: {}", came.length, String::from_utf8_lossy(&came.page)).into())
}

/// Opens a connection on which the upload may not stand still either.
fn connect(socket: &Path) -> Result<UnixStream> {
    let connection = load::connect(socket)?;
    connection.set_write_timeout(Some(load::PATIENCE))?;
    Ok(connection)
}

/// A whole request without a body, for a connection that is not kept.
fn request(method: &str, path: &str, query: &str, length: u64) -> Vec<u8> {
    let mut vars = vars::browser("/srv/www/site/hello.fcgi");
    for (name, value) in &mut vars {
        match *name {
            "REQUEST_METHOD" => *value = method.into(),
            "REQUEST_URI" => *value = format!("{path}?{query}"),
            "REDIRECT_URL" => *value = path.into(),
            "QUERY_STRING" => *value = query.into(),
            "CONTENT_LENGTH" => *value = length.to_string(),
            _ => {}
        }
    }
    fastcgi::request(1, false, &vars)
}

/// An answer on its way: only the heads of records are looked at, and the first bytes of the page.
#[derive(Debug, Default)]
struct Down {
    /// The head of the response, as far as it has come, then nothing more.
    head: Vec<u8>,
    head_is_whole: bool,
    /// How long the body is.
    length: u64,
    /// The first bytes of the body.
    page: Vec<u8>,
}

impl Down {
    /// Reads to the end of the connection and checks that the answer had ended before.
    fn read(mut self, connection: &mut UnixStream) -> Result<Self> {
        let mut buffer = vec![0; ROOM];
        let (mut from, mut to) = (0, 0);
        // What is left of the record: its content, then its padding.
        let (mut kind, mut content, mut padding) = (0, 0, 0);
        let mut ended = false;
        loop {
            let bytes = buffer.get(from..to).unwrap_or_default();
            if content > 0 && !bytes.is_empty() {
                let taken = content.min(bytes.len());
                if kind == STDOUT {
                    self.take(bytes.get(..taken).unwrap_or_default());
                }
                (content, from) = (content - taken, from + taken);
            } else if padding > 0 && !bytes.is_empty() {
                let taken = padding.min(bytes.len());
                (padding, from) = (padding - taken, from + taken);
            } else if let (Some(&[1, next, _, _, high, low, padded, _]), 0) = (bytes.first_chunk::<HEAD>(), content + padding) {
                (kind, content, padding) = (next, usize::from(u16::from_be_bytes([high, low])), padded.into());
                from += HEAD;
                ended |= kind == END_REQUEST;
            } else {
                if bytes.len() >= HEAD {
                    return Err("the answer is not FastCGI".into());
                }
                buffer.copy_within(from..to, 0);
                (from, to) = (0, to - from);
                let came = load::receive(connection, buffer.get_mut(to..).unwrap_or_default(), Waits::Awake)?;
                if came == 0 {
                    return if ended && self.head.starts_with(b"Status: 5") { Err("an error of the server".into()) } else { whole(ended, self) };
                }
                to += came;
            }
        }
    }

    fn take(&mut self, content: &[u8]) {
        let mut body = content;
        if !self.head_is_whole {
            let before = self.head.len();
            self.head.extend_from_slice(content);
            let Some(end) = self.head.windows(4).position(|four| four == b"\r\n\r\n") else { return };
            self.head_is_whole = true;
            body = content.get(end + 4 - before..).unwrap_or_default();
        }
        self.length += body.len() as u64;
        if self.page.len() < 64 {
            self.page.extend(body.iter().take(64));
        }
    }
}

fn whole(ended: bool, answer: Down) -> Result<Down> {
    if ended { Ok(answer) } else { Err("the connection ended in the answer".into()) }
}

fn report(context: &Context, peers: &[Peer], length: u64) -> Result<Section> {
    let mut table = Table::new("", &["server", "up", "", "down", "", "most memory"]);
    let mut targets = Vec::new();
    let go = peers.iter().find(|peer| peer.name == GO);
    for peer in peers {
        let times = |figures: fn(&Peer) -> &Vec<f64>| {
            let ratios = go.map(|go| figures(peer).iter().zip(figures(go)).map(|(figure, go)| figure / go).collect::<Vec<_>>());
            median(&ratios.unwrap_or_default())
        };
        let (up, down) = (times(|peer| &peer.up), times(|peer| &peer.down));
        let memory = process::peak_memory(peer.server.pid())?;
        table.rows.push(vec![
            peer.name.into(),
            ratio(up),
            gibibytes(&peer.up),
            ratio(down),
            gibibytes(&peer.down),
            format!("{:.1} MiB", memory as f64 / f64::from(1 << 20)),
        ]);
        if peer.name == LODGER && go.is_some() {
            targets.push(Target { what: "lodger, up, against Go".into(), measured: up, bound: Bound::AtLeast(1.8), unit: "×" });
            targets.push(Target { what: "lodger, down, against Go".into(), measured: down, bound: Bound::AtLeast(1.3), unit: "×" });
        }
    }
    let about = format!(
        "Bodies of {} MiB over FastCGI, in records of {CONTENT} bytes up, and read as fast as they come down, by a load that does not sleep on that way; the handler counts what comes, or sends pieces of 32 KiB \
         without a declared length. Bytes per second of CPU time of the server, and how many times Go's that is; the median of {} rounds. The memory is the most \
         that the process had resident at one time (VmHWM), its program included. {} {}",
        length >> 20,
        rounds(context),
        context.cores_sentence(),
        peers::AS_UPLOADED
    );
    Ok(Section { title: "Large bodies".into(), about, tables: vec![table], targets, ..Section::default() })
}

fn gibibytes(per_second: &[f64]) -> String {
    format!("{:.2} GiB/s", median(per_second) / f64::from(1 << 30))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;

    fn read(pieces: &[&[u8]]) -> Result<Down> {
        let (mut server, mut client) = UnixStream::pair().unwrap();
        for piece in pieces {
            server.write_all(piece).unwrap();
        }
        drop(server);
        Down::default().read(&mut client)
    }

    #[test]
    fn the_length_of_an_answer_is_that_of_its_body() {
        let mut padded = fastcgi::record(STDOUT, 1, b"cd");
        padded[6] = 1;
        let answer = [&fastcgi::record(STDOUT, 1, b"A: b\r\n\r"), &fastcgi::record(STDOUT, 1, b"\nab"), &padded, &b"\0"[..]].concat();
        let end = fastcgi::record(END_REQUEST, 1, &[0; 8]);
        let told = read(&[&answer, &end]).unwrap();
        assert_eq!((told.length, &*told.page), (4, &b"abcd"[..]));
        assert!(read(&[&answer]).is_err());
        assert!(read(&[b"HTTP/1.1 200 OK\r\n"]).is_err());
    }
}
