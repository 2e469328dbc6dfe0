//! The requests that are open on a connection, and what has come of each.

use crate::proto::{Event, RequestId, Role};
use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;

/// One open request.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) id: RequestId,
    pub(super) serial: u64,
    pub(super) keep_conn: bool,
    pub(super) phase: Phase,
    /// What the request is for; `None` when nobody knows.
    pub(super) role: Option<Role>,
    /// The STDIN stream was closed by its empty record, or the request was aborted.
    pub(super) stdin_ended: bool,
    /// The same for the DATA stream, which a Filter alone has.
    pub(super) data_ended: bool,
}

impl Stream {
    /// Whether nothing more belongs to this request.
    pub(super) fn input_ended(&self) -> bool {
        self.stdin_ended && self.data_ended
    }

    pub(super) fn is_incomplete(&self) -> bool {
        matches!(self.phase, Phase::Params { .. })
    }

    pub(super) fn is_discarding(&self) -> bool {
        matches!(self.phase, Phase::Discarding)
    }
}

#[derive(Debug)]
pub(super) enum Phase {
    /// Variables arrive. Specification 6.1 lets a peer interleave streams, so that STDIN and DATA may come before PARAMS is complete.
    Params { params: Gathered, early: VecDeque<Event>, early_len: usize },
    /// The request is in work; body bytes are passed on.
    Working,
    /// The request was refused, its response is on its way; what comes for it is not looked at.
    Refused,
    /// The response has ended; the rest of the body is thrown away.
    Discarding,
}

/// PARAMS content: one record is kept as it is, more are joined.
#[derive(Debug)]
pub(super) enum Gathered {
    One(Bytes),
    Many(BytesMut),
}

impl Gathered {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::One(bytes) => bytes.len(),
            Self::Many(bytes) => bytes.len(),
        }
    }

    pub(super) fn push(&mut self, more: Bytes) {
        match self {
            Self::One(first) if first.is_empty() => *first = more,
            Self::One(first) => {
                let mut joined = BytesMut::with_capacity(first.len() + more.len());
                joined.extend_from_slice(first);
                joined.extend_from_slice(&more);
                *self = Self::Many(joined);
            }
            Self::Many(joined) => joined.extend_from_slice(&more),
        }
    }

    pub(super) fn finish(&mut self) -> Bytes {
        match self {
            Self::One(bytes) => std::mem::take(bytes),
            Self::Many(bytes) => bytes.split().freeze(),
        }
    }
}

/// All open requests of a connection, the oldest first. There is nearly always one and there are never many, so that a list is searched sooner than any map.
#[derive(Debug, Default)]
pub(super) struct Streams(Vec<Stream>);

impl Streams {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn get(&self, id: RequestId) -> Option<&Stream> {
        self.0.iter().find(|stream| stream.id == id)
    }

    pub(super) fn get_mut(&mut self, id: RequestId) -> Option<&mut Stream> {
        self.0.iter_mut().find(|stream| stream.id == id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Stream> {
        self.0.iter()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Stream> {
        self.0.iter_mut()
    }

    /// How many requests have no response yet, or not all of it.
    pub(super) fn in_work(&self) -> usize {
        self.iter().filter(|stream| !stream.is_discarding()).count()
    }

    /// Adds a request in the place of one that has the same id.
    pub(super) fn add(&mut self, stream: Stream) {
        self.remove(stream.id);
        self.0.push(stream);
    }

    pub(super) fn remove(&mut self, id: RequestId) {
        if let Some(at) = self.0.iter().position(|stream| stream.id == id) {
            self.0.remove(at);
        }
    }

    pub(super) fn retain(&mut self, keep: impl FnMut(&Stream) -> bool) {
        self.0.retain(keep);
    }
}
