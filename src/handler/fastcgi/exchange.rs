//! One request on one connection: records out and records in, both at the same time.

use crate::handler::upstream::Stream;
use crate::{
    handler::cgi::{
        output::{Broke, Output},
        stderr::Lines,
        upload::{Measured, Upload},
        vars::Vars,
    },
    proto::fastcgi::{
        FCGI_REQUEST_COMPLETE,
        client::{self, next_answer, request_body, request_head},
    },
};
use bytes::{Bytes, BytesMut};
use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::io::ReadHalf;
use tokio_util::io::poll_read_buf;

/// How much is read at one time.
const READ: usize = 16 * 1024;

/// The longest record there is: head, content and padding (specification 3.3).
const RECORD: usize = 8 + 65_535 + 255;

/// A request in work. Who drops it drops the connection, which is how the server learns that nobody waits any more.
pub(super) struct Exchange {
    reader: ReadHalf<Stream>,
    /// None when the server has all of the request.
    upload: Option<Upload>,
    input: BytesMut,
    lines: Lines,
}

impl Exchange {
    /// The server closes the connection after its answer: a worker of PHP-FPM serves one connection at a time, and one that is kept would have it wait for us while
    /// visitors wait for it.
    pub(super) fn new(stream: Stream, vars: &Vars, body: Measured) -> Self {
        let (reader, writer) = tokio::io::split(stream);
        let head = request_head(vars.iter().map(|(name, value)| (name.as_bytes(), value)), false);
        let upload = body.pour(writer, head, request_body, request_body(Bytes::new()));
        Self { reader, upload: Some(upload), input: BytesMut::new(), lines: Lines::new("fastcgi".into()) }
    }

    fn poll_upload(&mut self, cx: &mut Context<'_>) -> Result<(), Broke> {
        let Some(upload) = &mut self.upload else { return Ok(()) };
        if let Poll::Ready(sent) = upload.as_mut().poll(cx) {
            self.upload = None;
            sent.map_err(Broke::Request)?;
        }
        Ok(())
    }

    fn poll_stdout(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Broke>> {
        loop {
            match next_answer(&mut self.input).map_err(|error| Broke::Program(format!("sent {error}")))? {
                Some((client::Answer::Stdout(data), _)) if data.is_empty() => {}
                Some((client::Answer::Stdout(data), _)) => return Poll::Ready(Ok(Some(data))),
                Some((client::Answer::Stderr(text), _)) => self.lines.push(&text),
                // The exit status of a script says nothing of its response: PHP sends a whole page with 255.
                Some((client::Answer::End { protocol_status: FCGI_REQUEST_COMPLETE, .. }, _)) => return Poll::Ready(Ok(None)),
                Some((client::Answer::End { protocol_status, .. }, _)) => {
                    return Poll::Ready(Err(Broke::Program(format!("refused the request with protocolStatus {protocol_status}"))));
                }
                // Management records may come at any time, and none was asked for.
                Some((client::Answer::Other(_), _)) => {}
                None => {
                    // A record that has begun may be longer than several reads, and is moved each time that the buffer grows.
                    let begun = !self.input.is_empty();
                    if !begun || self.input.capacity() - self.input.len() < READ {
                        self.input.reserve(if begun { RECORD } else { READ });
                    }
                    let len = ready!(poll_read_buf(Pin::new(&mut self.reader), cx, &mut self.input));
                    if len.map_err(|error| Broke::Program(format!("broke the connection: {error}")))? == 0 {
                        return Poll::Ready(Err(Broke::Program("closed the connection before its answer had ended".to_owned())));
                    }
                }
            }
        }
    }
}

impl Output for Exchange {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Broke>> {
        self.poll_upload(cx)?;
        let piece = ready!(self.poll_stdout(cx));
        if !matches!(piece, Ok(Some(_))) {
            self.lines.finish();
        }
        Poll::Ready(piece)
    }
}
