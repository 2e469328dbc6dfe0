//! The load generator: plays the web server on a Unix socket and checks every answer.

pub(crate) mod fastcgi;
pub(crate) mod vars;

use crate::report::Result;
use std::{
    collections::VecDeque,
    io::{ErrorKind, Read as _, Write as _},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

/// The body of every answer.
pub(crate) const HELLO: &[u8] = b"hello, world\n";

/// An answer that takes longer than this does not come.
const PATIENCE: Option<Duration> = Some(Duration::from_secs(20));

/// What is sent on a connection, and how the connection is used.
#[derive(Debug, Clone)]
pub(crate) struct Exchange {
    /// One or more requests, sent with one write.
    pub(crate) request: Vec<u8>,
    /// How many answers they get; of multiplexed requests the ids are 1 to this.
    pub(crate) answers: usize,
    /// Whether the connection is used again. If not, the server has to close it.
    pub(crate) keep: bool,
}

/// What has come of the answers to one write.
#[derive(Debug)]
pub(crate) struct Answers {
    pages: Vec<Vec<u8>>,
    complete: usize,
}

impl Answers {
    pub(crate) fn new(count: usize) -> Self {
        Self { pages: vec![Vec::new(); count], complete: 0 }
    }

    /// The page of the request with this id, counted from 1.
    pub(crate) fn page(&mut self, id: usize) -> Result<&mut Vec<u8>> {
        Ok(id.checked_sub(1).and_then(|index| self.pages.get_mut(index)).ok_or("an answer to a request that nobody made")?)
    }

    /// Takes note that an answer has ended, if it is the right one: a head, and the hello as its body.
    pub(crate) fn complete(&mut self, id: usize) -> Result<()> {
        let page = self.page(id)?;
        let right = page.strip_suffix(HELLO).is_some_and(|head| head.ends_with(b"\r\n\r\n") && !head.starts_with(b"Status: 5"));
        if !right {
            return Err(format!("a wrong answer: {}", String::from_utf8_lossy(page)).into());
        }
        page.clear();
        self.complete += 1;
        Ok(())
    }

    pub(crate) fn all_complete(&self) -> bool {
        self.complete == self.pages.len()
    }
}

/// Makes `requests` requests at `socket`, `in_flight` connections at a time: a connection gets its next request when its answer is whole, and they take turns.
pub(crate) fn play(socket: &Path, exchange: &Exchange, in_flight: usize, requests: u64) -> Result<()> {
    let mut busy = VecDeque::with_capacity(in_flight);
    let mut idle = Vec::with_capacity(in_flight);
    let mut buffer = Vec::with_capacity(64 * 1024);
    let mut sent = 0;
    while sent < requests {
        if busy.len() == in_flight.max(1)
            && let Some(connection) = busy.pop_front()
        {
            idle.extend(receive(connection, exchange, &mut buffer)?);
        }
        let mut connection = match idle.pop() {
            Some(connection) => connection,
            None => connect(socket)?,
        };
        connection.write_all(&exchange.request)?;
        busy.push_back(connection);
        sent += u64::try_from(exchange.answers)?;
    }
    busy.into_iter().try_for_each(|connection| receive(connection, exchange, &mut buffer).map(drop))
}

fn connect(socket: &Path) -> Result<UnixStream> {
    let connection = UnixStream::connect(socket)?;
    connection.set_read_timeout(PATIENCE)?;
    Ok(connection)
}

/// Reads the answers that are due on a connection, and gives it back if it is to be used again.
fn receive(mut connection: UnixStream, exchange: &Exchange, buffer: &mut Vec<u8>) -> Result<Option<UnixStream>> {
    let mut answers = Answers::new(exchange.answers);
    let mut chunk = [0; 64 * 1024];
    buffer.clear();
    while !answers.all_complete() {
        let read = read(&mut connection, &mut chunk)?;
        if read == 0 {
            return Err(format!("the connection ended in an answer: {}", String::from_utf8_lossy(buffer)).into());
        }
        buffer.extend_from_slice(chunk.get(..read).unwrap_or_default());
        let walked = fastcgi::walk(buffer, &mut answers)?;
        buffer.drain(..walked);
    }
    if !buffer.is_empty() {
        return Err("more came than was asked for".into());
    }
    if exchange.keep {
        return Ok(Some(connection));
    }
    match read(&mut connection, &mut chunk)? {
        0 => Ok(None),
        _ => Err("the server goes on after the end of its answer".into()),
    }
}

fn read(connection: &mut UnixStream, chunk: &mut [u8]) -> Result<usize> {
    connection.read(chunk).map_err(|error| match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => "no answer, or no end of the connection after it".into(),
        _ => error.into(),
    })
}
