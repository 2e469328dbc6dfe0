//! The body of one request between the connection that reads it and the handler that takes it: a window in memory, a file behind it.

use super::spool::Spool;
use crate::error::BoxError;
use bytes::{Bytes, BytesMut};
use http_body::{Frame, SizeHint};
use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll, Waker},
};

/// Smaller chunks are copied behind each other: each would keep the whole read buffer alive that it is a slice of.
const SMALL: usize = 1024;

/// Why a request body broke off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BodyError {
    /// The visitor left, or the web server gave the request up.
    #[error("the visitor left before the request body was complete")]
    Departed,
    /// The body ended before as many bytes had come as were promised.
    #[error("the request body is shorter than its declared length")]
    Incomplete,
    /// The bytes that had to wait for their reader could not be written to disk.
    #[error("the request body could not be stored while it waited to be read")]
    NoRoom,
}

#[derive(Debug, Default)]
struct State {
    memory: VecDeque<Bytes>,
    small: BytesMut,
    memory_len: usize,
    window: usize,
    spool: Option<Spool>,
    received: u64,
    taken: u64,
    expected: Option<u64>,
    /// The most that is kept: one byte more than a handler may take, so that it finds out.
    keep_at_most: u64,
    /// The variables say that there is no body; a peer that forgets to end it is not waited for.
    none_expected: bool,
    end: End,
    reader: Option<Waker>,
    reader_gone: bool,
    driver: Option<Waker>,
}

#[derive(Debug, Default, Clone, Copy)]
enum End {
    #[default]
    Open,
    Complete,
    Failed(BodyError),
    Told,
}

impl State {
    fn waiting(&self) -> u64 {
        self.memory_len as u64 + self.spool.as_ref().map_or(0, Spool::len)
    }

    fn is_full(&self) -> bool {
        !self.reader_gone && self.waiting() >= self.window as u64
    }

    fn push(&mut self, mut chunk: Bytes) -> io::Result<()> {
        let room = self.keep_at_most.saturating_sub(self.received);
        self.received += chunk.len() as u64;
        chunk.truncate(usize::try_from(room).unwrap_or(usize::MAX));
        if self.reader_gone || !matches!(self.end, End::Open) || chunk.is_empty() {
            return Ok(());
        }
        let spooling = self.spool.as_ref().is_some_and(|spool| spool.len() > 0);
        if spooling || self.memory_len >= self.window {
            let spool = match &mut self.spool {
                Some(spool) => spool,
                none => none.insert(Spool::new()?),
            };
            return spool.push(&chunk);
        }
        self.memory_len += chunk.len();
        if chunk.len() < SMALL {
            self.small.extend_from_slice(&chunk);
        } else {
            self.flush_small();
            self.memory.push_back(chunk);
        }
        Ok(())
    }

    fn flush_small(&mut self) {
        if !self.small.is_empty() {
            self.memory.push_back(self.small.split().freeze());
        }
    }

    fn pop(&mut self) -> io::Result<Option<Bytes>> {
        if self.memory.is_empty() {
            self.flush_small();
        }
        if let Some(chunk) = self.memory.pop_front() {
            self.memory_len -= chunk.len();
            return Ok(Some(chunk));
        }
        match &mut self.spool {
            Some(spool) if spool.len() > 0 => spool.pop().map(Some),
            _ => Ok(None),
        }
    }

    fn forget_all(&mut self) {
        self.memory = VecDeque::new();
        self.small = BytesMut::new();
        self.memory_len = 0;
        self.spool = None;
    }

    /// Whether all that was promised has come.
    fn satisfied(&self) -> bool {
        self.expected.is_some_and(|expected| self.received >= expected)
    }

    /// Whether nothing more will come. `CONTENT_LENGTH` is advice: a body may be longer (Apache inflates some), and ends where the peer says.
    fn is_over(&self) -> bool {
        !matches!(self.end, End::Open) || self.none_expected
    }

    fn poll(&mut self, cx: &Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        if let End::Failed(error) = self.end {
            self.forget_all();
            self.end = End::Told;
            return Poll::Ready(Some(Err(error)));
        }
        let was_full = self.is_full();
        let popped = self.pop();
        if was_full && !self.is_full() {
            self.driver.take().inspect(Waker::wake_by_ref);
        }
        match popped {
            Ok(Some(chunk)) => {
                self.taken += chunk.len() as u64;
                Poll::Ready(Some(Ok(chunk)))
            }
            Ok(None) if self.is_over() => Poll::Ready(None),
            Ok(None) => {
                self.reader = Some(cx.waker().clone());
                self.driver.take().inspect(Waker::wake_by_ref);
                Poll::Pending
            }
            Err(_) => {
                self.end = End::Told;
                Poll::Ready(Some(Err(BodyError::NoRoom)))
            }
        }
    }
}

/// The end that the connection holds.
#[derive(Debug, Clone)]
pub(super) struct Inbox(Arc<Mutex<State>>);

/// The end that the handler holds.
#[derive(Debug)]
pub(crate) struct Incoming(Arc<Mutex<State>>);

/// Nothing panics while it holds the lock; should it happen all the same, the state is still whole.
fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// What is known of a body before it comes.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Expected {
    /// The declared length.
    pub(super) length: Option<u64>,
    /// The variables say that there is no body.
    pub(super) none: bool,
    /// The most that the handler may take.
    pub(super) limit: Option<u64>,
}

/// A body of which `window` bytes may wait in memory.
pub(super) fn channel(window: usize, expected: Expected) -> (Inbox, Incoming) {
    let keep_at_most = expected.limit.map_or(u64::MAX, |limit| limit.saturating_add(1));
    let Expected { length, none, .. } = expected;
    let state = Arc::new(Mutex::new(State { window, expected: length, none_expected: none, keep_at_most, ..State::default() }));
    (Inbox(Arc::clone(&state)), Incoming(state))
}

impl Inbox {
    fn change<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let (result, reader) = {
            let mut state = lock(&self.0);
            let result = change(&mut state);
            (result, state.reader.take())
        };
        reader.inspect(Waker::wake_by_ref);
        result
    }

    /// Adds bytes. Those that do not fit the window go to disk; an error means that there was no room.
    pub(super) fn push(&self, chunk: Bytes) -> io::Result<()> {
        self.change(|state| state.push(chunk))
    }

    /// The peer ended the body. Tells whether it is whole: what was promised must have come.
    pub(super) fn finish(&self) -> Result<(), BodyError> {
        self.change(|state| {
            if !matches!(state.end, End::Open) {
                return Ok(());
            }
            if state.expected.is_none() || state.satisfied() {
                state.end = End::Complete;
                return Ok(());
            }
            state.end = End::Failed(BodyError::Incomplete);
            Err(BodyError::Incomplete)
        })
    }

    /// The input ended although the peer had not ended the body.
    pub(super) fn cut(&self) -> Result<(), BodyError> {
        let satisfied = lock(&self.0).satisfied();
        if satisfied {
            return self.finish();
        }
        self.fail(BodyError::Incomplete);
        Err(BodyError::Incomplete)
    }

    /// Whoever still reads gets `error`; what waits is forgotten.
    pub(super) fn fail(&self, error: BodyError) {
        self.change(|state| {
            if matches!(state.end, End::Open | End::Complete) && !state.reader_gone {
                state.end = End::Failed(error);
            }
        });
    }

    /// Whether as much waits as may. If so, the driver is woken when the handler has taken enough.
    pub(super) fn is_full(&self, driver: &Waker) -> bool {
        let mut state = lock(&self.0);
        let full = state.is_full();
        if full {
            state.driver = Some(driver.clone());
        }
        full
    }

    /// Whether the handler waits for the first piece. If not, the driver is woken when it does.
    #[cfg(feature = "http")]
    pub(super) fn is_awaited(&self, driver: &Waker) -> bool {
        let mut state = lock(&self.0);
        let awaited = state.reader.is_some();
        if !awaited {
            state.driver = Some(driver.clone());
        }
        awaited
    }

    /// Whether bytes had to wait on disk.
    #[cfg(test)]
    pub(super) fn was_spooled(&self) -> bool {
        lock(&self.0).spool.is_some()
    }

    /// How many bytes the handler has taken.
    pub(super) fn taken(&self) -> u64 {
        lock(&self.0).taken
    }
}

impl http_body::Body for Incoming {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        lock(&self.0).poll(cx).map(|next| next.map(|result| result.map(Frame::data).map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        let state = lock(&self.0);
        state.waiting() == 0 && (matches!(state.end, End::Complete | End::Told) || state.none_expected)
    }

    fn size_hint(&self) -> SizeHint {
        let state = lock(&self.0);
        match state.end {
            End::Complete | End::Told => SizeHint::with_exact(state.waiting()),
            End::Open | End::Failed(_) => SizeHint::default(),
        }
    }
}

/// Who does not read any more does not hold up anybody: the rest is thrown away as it comes.
impl Drop for Incoming {
    fn drop(&mut self) {
        let mut state = lock(&self.0);
        state.reader_gone = true;
        state.forget_all();
        state.driver.take().inspect(Waker::wake_by_ref);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt as _;

    async fn read(mut body: Incoming) -> Result<Vec<u8>, String> {
        let mut all = Vec::new();
        while let Some(frame) = body.frame().await {
            all.extend_from_slice(&frame.map_err(|error| error.to_string())?.into_data().unwrap());
        }
        Ok(all)
    }

    #[tokio::test]
    async fn a_body_larger_than_its_window_waits_on_disk_and_comes_back_in_order() {
        let (inbox, body) = channel(1000, Expected::default());
        let chunks: Vec<Vec<u8>> = (0_u8..50).map(|index| vec![index; usize::from(index) * 40]).collect();
        for chunk in &chunks {
            inbox.push(chunk.clone().into()).unwrap();
        }
        assert!(inbox.is_full(Waker::noop()));
        assert!(lock(&inbox.0).memory_len < 4000, "the window bounds the memory");
        inbox.finish().unwrap();
        assert_eq!(read(body).await.unwrap(), chunks.concat());
        assert!(!inbox.is_full(Waker::noop()));
    }

    #[tokio::test]
    async fn a_body_that_is_not_there_is_not_waited_for() {
        let (_inbox, body) = channel(1000, Expected { none: true, ..Expected::default() });
        assert_eq!(read(body).await.unwrap(), b"");
    }

    #[tokio::test]
    async fn a_body_may_be_longer_than_its_declared_length() {
        let (inbox, body) = channel(1000, Expected { length: Some(3), ..Expected::default() });
        inbox.push("abc".into()).unwrap();
        let reading = tokio::spawn(read(body));
        tokio::task::yield_now().await;
        inbox.push("defgh".into()).unwrap();
        inbox.finish().unwrap();
        assert_eq!(reading.await.unwrap().unwrap(), b"abcdefgh");
    }

    #[test]
    fn no_more_is_kept_than_the_handler_may_take() {
        let (inbox, _body) = channel(10, Expected { limit: Some(100), ..Expected::default() });
        for _ in 0..1000 {
            inbox.push(vec![0; 64].into()).unwrap();
        }
        assert_eq!(lock(&inbox.0).waiting(), 101);
    }

    #[tokio::test]
    async fn less_than_was_promised_is_an_error() {
        let (inbox, body) = channel(1000, Expected { length: Some(3), ..Expected::default() });
        inbox.push("ab".into()).unwrap();
        assert_eq!(inbox.finish(), Err(BodyError::Incomplete));
        assert_eq!(read(body).await.unwrap_err(), BodyError::Incomplete.to_string());
    }

    #[tokio::test]
    async fn a_body_kept_after_the_visitor_left_is_an_error() {
        let (inbox, body) = channel(1000, Expected::default());
        inbox.push("ab".into()).unwrap();
        inbox.fail(BodyError::Departed);
        assert_eq!(read(body).await.unwrap_err(), BodyError::Departed.to_string());
    }

    #[test]
    fn a_body_that_was_dropped_holds_nobody_up() {
        let (inbox, body) = channel(10, Expected::default());
        inbox.push(vec![0; 100].into()).unwrap();
        assert!(inbox.is_full(Waker::noop()));
        drop(body);
        assert!(!inbox.is_full(Waker::noop()));
        inbox.push(vec![0; 100].into()).unwrap();
        assert_eq!(lock(&inbox.0).waiting(), 0);
    }
}
