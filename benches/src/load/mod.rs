//! The load generator: plays the web server on a Unix socket and checks every answer.

pub(crate) mod fastcgi;
pub(crate) mod lsapi;
pub(crate) mod plain;
pub(crate) mod vars;

use crate::report::Result;
use rustix::{
    io::Errno,
    net::{RecvFlags, recv},
};
use std::{
    collections::VecDeque,
    io::{ErrorKind, Read as _, Write as _},
    os::unix::net::UnixStream,
    path::Path,
    time::{Duration, Instant},
};

/// The body of every answer.
pub(crate) const HELLO: &[u8] = b"hello, world\n";

/// An answer that takes longer than this does not come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// What is said then.
const NO_ANSWER: &str = "no answer, or it does not go on, or the connection does not end after it";

/// More than any batch of answers.
const ROOM: usize = 64 * 1024;

/// What is spoken on the socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    FastCgi,
    Lsapi,
    Scgi,
    Uwsgi,
    Http,
}

/// What is sent on a connection, and how the connection is used.
#[derive(Debug, Clone)]
pub(crate) struct Exchange {
    protocol: Protocol,
    /// One or more requests, sent with one write.
    request: Vec<u8>,
    /// How many answers they get; of multiplexed requests the ids are 1 to this.
    answers: usize,
    /// Whether the connection is used again. If not, the server has to close it, except in LSAPI, where it never does.
    keep: bool,
}

impl Exchange {
    /// One request per write, on a connection that is used again or not.
    pub(crate) fn new(protocol: Protocol, keep: bool, vars: &[(&str, String)]) -> Result<Self> {
        let request = match protocol {
            Protocol::FastCgi => fastcgi::request(1, keep, vars),
            Protocol::Lsapi => lsapi::request(vars)?,
            Protocol::Scgi => plain::scgi(vars),
            Protocol::Uwsgi => plain::uwsgi(vars)?,
            Protocol::Http => plain::http(keep, vars),
        };
        Ok(Self { protocol, request, answers: 1, keep })
    }

    /// Several FastCGI requests per write, on a connection that is used again.
    pub(crate) fn multiplexed(count: u16, vars: &[(&str, String)]) -> Self {
        let request = (1..=count).flat_map(|id| fastcgi::request(id, true, vars)).collect();
        Self { protocol: Protocol::FastCgi, request, answers: count.into(), keep: true }
    }

    /// How many answers one write gets.
    pub(crate) fn answers(&self) -> usize {
        self.answers
    }

    fn walk(&self, bytes: &[u8], answers: &mut Answers) -> Result<usize> {
        match self.protocol {
            Protocol::FastCgi => fastcgi::walk(bytes, answers),
            Protocol::Lsapi => lsapi::walk(bytes, answers),
            Protocol::Scgi | Protocol::Uwsgi | Protocol::Http => plain::walk(bytes, answers),
        }
    }
}

/// What has come of the answers to what was sent on a connection.
#[derive(Debug)]
pub(crate) struct Answers {
    pages: Vec<Vec<u8>>,
    /// The ids of those that are whole.
    ended: Vec<usize>,
}

impl Answers {
    pub(crate) fn new(count: usize) -> Self {
        Self { pages: vec![Vec::new(); count], ended: Vec::with_capacity(count) }
    }

    /// The page of the request with this id, counted from 1.
    pub(crate) fn page(&mut self, id: usize) -> Result<&mut Vec<u8>> {
        Ok(id.checked_sub(1).and_then(|index| self.pages.get_mut(index)).ok_or("an answer to a request that nobody made")?)
    }

    /// Takes note that an answer has ended, if it is the right one: a head that speaks of no error, and the hello as its body.
    pub(crate) fn complete(&mut self, id: usize) -> Result<()> {
        let page = self.page(id)?;
        let head = page.strip_suffix(HELLO).filter(|head| head.ends_with(b"\r\n\r\n"));
        let tells_another_status =
            |head: &[u8]| [&b"Status: "[..], b"HTTP/1.1 "].iter().any(|name| head.strip_prefix(*name).is_some_and(|rest| !rest.starts_with(b"200 ")));
        if head.is_none_or(tells_another_status) {
            return Err(format!("a wrong answer: {}", String::from_utf8_lossy(page)).into());
        }
        page.clear();
        self.ended.push(id);
        Ok(())
    }

    pub(crate) fn all_complete(&self) -> bool {
        self.ended.len() == self.pages.len()
    }

    fn clear(&mut self) {
        self.ended.clear();
    }
}

/// What the load does while no answer has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waits {
    /// It looks for one again and again, which takes a core of its own.
    Awake,
    Asleep,
}

/// Makes `requests` requests at `socket`, `in_flight` connections at a time: a connection gets its next request when its answer is whole, and they take turns.
///
/// The load does not sleep, as a busy web server does not: the kernel makes a server pay for waking somebody, which on a virtual machine can be as dear as the request, and only servers
/// slower than the load would.
pub(crate) fn play(socket: &Path, exchange: &Exchange, in_flight: usize, requests: u64) -> Result<()> {
    play_paced(socket, exchange, in_flight, requests, Waits::Awake, || Ok(()))
}

/// Does what [`play`] does, but sleeps while no answer has come: for a server that needs every core, and for requests that wait for the slowest of them anyway.
pub(crate) fn play_asleep(socket: &Path, exchange: &Exchange, in_flight: usize, requests: u64) -> Result<()> {
    play_paced(socket, exchange, in_flight, requests, Waits::Asleep, || Ok(()))
}

/// Does what [`play`] does, waits for answers as it is told to, and calls `pace` after each answer, before the next request.
pub(crate) fn play_paced(
    socket: &Path,
    exchange: &Exchange,
    in_flight: usize,
    requests: u64,
    waits: Waits,
    pace: impl Fn() -> Result<()>,
) -> Result<()> {
    let mut reader = Reader::new(exchange, waits);
    let mut busy = VecDeque::with_capacity(in_flight);
    let mut idle = Vec::with_capacity(in_flight);
    let mut sent = 0;
    while sent < requests {
        if busy.len() == in_flight.max(1)
            && let Some(connection) = busy.pop_front()
        {
            idle.extend(reader.receive(connection, exchange)?);
            pace()?;
        }
        let mut connection = match idle.pop() {
            Some(connection) => connection,
            None => connect(socket)?,
        };
        connection.write_all(&exchange.request)?;
        busy.push_back(connection);
        sent += u64::try_from(exchange.answers)?;
    }
    busy.into_iter().try_for_each(|connection| reader.receive(connection, exchange).map(drop))
}

/// Makes `requests` requests on one connection, and no fewer than `in_flight`, which is how many are in work at a time: each that is answered is followed by the next. The load does not sleep.
pub(crate) fn play_multiplexed(socket: &Path, vars: &[(&str, String)], in_flight: u16, requests: u64) -> Result<()> {
    let exchange = Exchange::multiplexed(in_flight, vars);
    let one = exchange.request.len() / exchange.answers;
    let mut reader = Reader::new(&exchange, Waits::Awake);
    let mut connection = connect(socket)?;
    connection.write_all(&exchange.request)?;
    let (mut sent, mut open, mut have) = (u64::from(in_flight), in_flight, 0);
    while open > 0 {
        have = reader.walk(&mut connection, &exchange, have)?;
        for id in reader.answers.ended.drain(..) {
            if sent < requests {
                // All are of one length, in the order of their ids.
                connection.write_all(exchange.request.get((id - 1) * one..id * one).unwrap_or_default())?;
                sent += 1;
            } else {
                open = open.checked_sub(1).ok_or("an answer came twice")?;
            }
        }
    }
    if have > 0 { Err("more came than was asked for".into()) } else { Ok(()) }
}

/// Opens `count` connections, makes one request on each of them, one after the other, and keeps them.
pub(crate) fn hold(socket: &Path, exchange: &Exchange, count: u64) -> Result<Vec<UnixStream>> {
    let mut reader = Reader::new(exchange, Waits::Asleep);
    let mut open = Vec::new();
    for _ in 0..count {
        let mut connection = connect(socket)?;
        connection.write_all(&exchange.request)?;
        open.extend(reader.receive(connection, exchange)?);
    }
    Ok(open)
}

/// Makes `requests` requests on connections that are open: each gets one in its turn, and the next when that is answered.
pub(crate) fn take_turns(open: &mut Vec<UnixStream>, exchange: &Exchange, requests: u64) -> Result<()> {
    let mut reader = Reader::new(exchange, Waits::Asleep);
    let mut turns = VecDeque::from(std::mem::take(open));
    for _ in 0..requests {
        let mut connection = turns.pop_front().ok_or("no connection is open")?;
        connection.write_all(&exchange.request)?;
        turns.extend(reader.receive(connection, exchange)?);
    }
    *open = turns.into();
    Ok(())
}

/// Opens a connection on which a wait for an answer ends after [`PATIENCE`].
pub(crate) fn connect(socket: &Path) -> Result<UnixStream> {
    let connection = UnixStream::connect(socket)?;
    connection.set_read_timeout(Some(PATIENCE))?;
    Ok(connection)
}

/// What is used again from one answer to the next.
struct Reader {
    answers: Answers,
    buffer: Vec<u8>,
    waits: Waits,
}

impl Reader {
    fn new(exchange: &Exchange, waits: Waits) -> Self {
        Self { answers: Answers::new(exchange.answers), buffer: vec![0; ROOM], waits }
    }

    /// Reads the answers that are due on a connection, and gives it back if it is to be used again.
    fn receive(&mut self, mut connection: UnixStream, exchange: &Exchange) -> Result<Option<UnixStream>> {
        self.answers.clear();
        let mut have = 0;
        while !self.answers.all_complete() {
            have = self.walk(&mut connection, exchange, have)?;
        }
        if have > 0 {
            return Err("more came than was asked for".into());
        }
        if exchange.keep {
            return Ok(Some(connection));
        }
        if exchange.protocol != Protocol::Lsapi && self.read(&mut connection, 0)? > 0 {
            return Err("the server goes on after the end of its answer".into());
        }
        Ok(None)
    }

    /// Reads what has come behind the `have` bytes that are there, sorts it into the answers, and tells how many bytes of an incomplete piece are left.
    fn walk(&mut self, connection: &mut UnixStream, exchange: &Exchange, have: usize) -> Result<usize> {
        let read = self.read(connection, have)?;
        let have = have + read;
        let came = self.buffer.get(..have).unwrap_or_default();
        if read == 0 {
            return Err(format!("the connection ended, or the answer has no end: {}", String::from_utf8_lossy(came)).into());
        }
        let walked = exchange.walk(came, &mut self.answers)?;
        self.buffer.copy_within(walked..have, 0);
        Ok(have - walked)
    }

    /// Reads what has come into the buffer behind `have`.
    fn read(&mut self, connection: &mut UnixStream, have: usize) -> Result<usize> {
        receive(connection, self.buffer.get_mut(have..).unwrap_or_default(), self.waits)
    }
}

/// Reads what has come, or what comes next, and tells how many bytes that was.
pub(crate) fn receive(connection: &mut UnixStream, room: &mut [u8], waits: Waits) -> Result<usize> {
    if waits == Waits::Awake {
        let began = Instant::now();
        return loop {
            match recv(&*connection, &mut *room, RecvFlags::DONTWAIT) {
                // The server goes first where it has no core of its own.
                Err(Errno::AGAIN) if began.elapsed() < PATIENCE => std::thread::yield_now(),
                Err(Errno::AGAIN) => break Err(NO_ANSWER.into()),
                read => break Ok(read?.0),
            }
        };
    }
    connection.read(room).map_err(|error| match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => NO_ANSWER.into(),
        _ => error.into(),
    })
}
