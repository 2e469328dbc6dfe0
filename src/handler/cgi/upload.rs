//! The body of a request on its way to a program that has to know its length beforehand.

use crate::{BodyError, body::Body, diagnostic::codes, error::BoxError, handler::failure::Failure};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use http_body::Body as _;
use http_body_util::{BodyExt as _, LengthLimitError};
use std::{
    error::Error,
    future::Future,
    io::{self, Read as _, Seek as _, Write as _},
    pin::Pin,
};
use tempfile::SpooledTempFile;
use tokio::io::{AsyncWrite, AsyncWriteExt as _};

/// The most that is collected of a body that does not tell its length. Browsers tell it of every form and file; who does not, sends streams of his own making.
const COLLECTED_MAX: u64 = 64 * 1024 * 1024;

/// What of that waits in memory; the rest waits in a file.
const IN_MEMORY_MAX: usize = 128 * 1024;

/// Where that file is. /tmp often lives in memory, where a file would be no relief.
const FOLDER: &str = "/var/tmp";

/// The most that is handed to a program at one time; it fits into one FastCGI record.
const PIECE: usize = 65528;

/// The way of a body to a program. It ends when all is written, or when the program takes no more, which is no failure: what it answers tells how it went.
/// Its error is that of the body.
pub(crate) type Upload = Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send>>;

/// A body whose length is known.
#[derive(Debug)]
pub(crate) struct Measured {
    source: Source,
    /// `CONTENT_LENGTH`; None: there is no body, and nobody spoke of one.
    pub(crate) length: Option<u64>,
}

#[derive(Debug)]
enum Source {
    Body(Body),
    /// Rewound to its start.
    Collected(SpooledTempFile),
}

impl Measured {
    /// Finds out how long a body is. One that does not tell is collected first, in memory and then in a file, since RFC 3875 lets a program read as many bytes as `CONTENT_LENGTH` says and no more.
    ///
    /// # Errors
    ///
    /// 411 when a body without a length is longer than [`COLLECTED_MAX`], 507 when there is no room for it, and what [`failure_of`] says when it breaks off.
    pub(crate) async fn new(headers: &HeaderMap, body: Body) -> Result<Self, Failure> {
        let told = headers.get(header::CONTENT_LENGTH).map(HeaderValue::as_bytes).and_then(number);
        if body.is_end_stream() {
            return Ok(Self { source: Source::Body(body), length: headers.contains_key(header::CONTENT_LENGTH).then_some(0) });
        }
        match body.size_hint().exact().or(told) {
            Some(length) => Ok(Self { source: Source::Body(body), length: Some(length) }),
            None => collect(body).await,
        }
    }

    /// Writes `head`, then the body, each piece of it made into what `wrap` says, then `end`, and closes `writer`.
    pub(crate) fn pour<W>(self, mut writer: W, head: Bytes, wrap: fn(Bytes) -> Bytes, end: Bytes) -> Upload
    where
        W: AsyncWrite + Send + Unpin + 'static,
    {
        Box::pin(async move {
            let Self { mut source, length } = self;
            let mut left = length.unwrap_or(0);
            if writer.write_all(&head).await.is_err() {
                return Ok(());
            }
            while left > 0 {
                let mut chunk = source.next().await?;
                if chunk.is_empty() {
                    return Err(BodyError::Incomplete.into());
                }
                chunk.truncate(usize::try_from(left).unwrap_or(usize::MAX));
                left -= chunk.len() as u64;
                while !chunk.is_empty() {
                    let piece = chunk.split_to(chunk.len().min(PIECE));
                    if writer.write_all(&wrap(piece)).await.is_err() {
                        return Ok(());
                    }
                }
            }
            let _ = writer.write_all(&end).await;
            Ok(())
        })
    }
}

impl Source {
    /// The next bytes; none at the end.
    async fn next(&mut self) -> Result<Bytes, BoxError> {
        match self {
            Self::Body(body) => loop {
                let Some(frame) = body.frame().await else { return Ok(Bytes::new()) };
                if let Ok(data) = frame?.into_data()
                    && !data.is_empty()
                {
                    return Ok(data);
                }
            },
            Self::Collected(file) => {
                let mut piece = BytesMut::zeroed(PIECE);
                let len = file.read(&mut piece)?;
                piece.truncate(len);
                Ok(piece.freeze())
            }
        }
    }
}

/// Writing goes to the page cache, and is done in place: hosts limit threads.
async fn collect(body: Body) -> Result<Measured, Failure> {
    let no_room = |error: io::Error| {
        tracing::warn!(target: "lodger", "{}: a request body cannot be kept in {FOLDER}: {error}", codes::NO_ROOM_FOR_BODY);
        Failure::new(StatusCode::INSUFFICIENT_STORAGE, codes::NO_ROOM_FOR_BODY)
    };
    let (mut source, mut file, mut length) = (Source::Body(body), tempfile::spooled_tempfile_in(IN_MEMORY_MAX, FOLDER), 0);
    loop {
        let chunk = source.next().await.map_err(|error| failure_of(&*error))?;
        if chunk.is_empty() {
            break;
        }
        length += chunk.len() as u64;
        if length > COLLECTED_MAX {
            return Err(Failure::new(StatusCode::LENGTH_REQUIRED, codes::NO_LENGTH));
        }
        file.write_all(&chunk).map_err(no_room)?;
    }
    file.rewind().map_err(no_room)?;
    Ok(Measured { source: Source::Collected(file), length: Some(length) })
}

/// What the visitor is told of an error of his body: 413 when it is too large, 507 when there was no room for it, else 400.
pub(crate) fn failure_of(error: &(dyn Error + Send + Sync + 'static)) -> Failure {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.is::<LengthLimitError>() {
            return Failure::new(StatusCode::PAYLOAD_TOO_LARGE, codes::BODY_TOO_LARGE);
        }
        if error.downcast_ref() == Some(&BodyError::NoRoom) {
            return Failure::new(StatusCode::INSUFFICIENT_STORAGE, codes::NO_ROOM_FOR_BODY);
        }
        cause = error.source();
    }
    Failure::new(StatusCode::BAD_REQUEST, codes::BODY_CUT)
}

/// RFC 9110, 8.6: digits and nothing else; the parser of numbers takes a sign too.
fn number(value: &[u8]) -> Option<u64> {
    let digits = Some(value).filter(|value| value.iter().all(u8::is_ascii_digit));
    std::str::from_utf8(digits?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handler::cgi::testing::unmeasured;
    use http_body_util::Limited;

    async fn poured(headers: &[(&'static str, &'static str)], body: Body) -> Result<(Option<u64>, Vec<u8>), Failure> {
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        let measured = Measured::new(&headers, body).await?;
        let (length, (ours, mut theirs)) = (measured.length, tokio::io::duplex(1000));
        let mut received = Vec::new();
        let upload = measured.pour(ours, Bytes::new(), |piece| piece, Bytes::new());
        let (sent, _) = tokio::join!(upload, tokio::io::AsyncReadExt::read_to_end(&mut theirs, &mut received));
        sent.map_err(|error| failure_of(&*error))?;
        Ok((length, received))
    }

    #[tokio::test]
    async fn a_body_has_the_length_that_it_or_its_header_tells() {
        assert_eq!(poured(&[], Body::empty()).await, Ok((None, vec![])));
        assert_eq!(poured(&[("content-length", "0")], Body::empty()).await, Ok((Some(0), vec![])));
        assert_eq!(poured(&[], Body::from("abc")).await, Ok((Some(3), b"abc".to_vec())));
        assert_eq!(poured(&[("content-length", "6")], unmeasured(&["abc", "def"])).await, Ok((Some(6), b"abcdef".to_vec())));
        assert_eq!(poured(&[("content-length", "4")], unmeasured(&["abc", "def"])).await, Ok((Some(4), b"abcd".to_vec())));
    }

    #[tokio::test]
    async fn a_body_that_does_not_tell_is_collected_first() {
        let long = "x".repeat(IN_MEMORY_MAX);
        let long: &'static str = Box::leak(long.into_boxed_str());
        let (length, received) = poured(&[], unmeasured(&[long, "abc", long])).await.unwrap();
        assert_eq!((length, received.len()), (Some(2 * IN_MEMORY_MAX as u64 + 3), 2 * IN_MEMORY_MAX + 3));
        assert_eq!(&received[IN_MEMORY_MAX - 1..IN_MEMORY_MAX + 4], b"xabcx");
    }

    #[tokio::test]
    async fn without_a_length_not_everything_is_collected() {
        const CHUNK: &[u8] = &[0; 1024 * 1024];
        let endless = futures_util::stream::repeat_with(|| Ok::<_, BoxError>(http_body::Frame::data(Bytes::from_static(CHUNK))));
        let failure = poured(&[], Body::new(http_body_util::StreamBody::new(endless))).await.unwrap_err();
        assert_eq!(failure, Failure::new(StatusCode::LENGTH_REQUIRED, codes::NO_LENGTH));
    }

    #[tokio::test]
    async fn a_body_that_is_shorter_than_promised_is_an_error() {
        let failure = poured(&[("content-length", "7")], unmeasured(&["abc"])).await.unwrap_err();
        assert_eq!(failure, Failure::new(StatusCode::BAD_REQUEST, codes::BODY_CUT));
    }

    #[tokio::test]
    async fn a_body_over_the_limit_is_too_large() {
        for headers in [&[][..], &[("content-length", "6")]] {
            let failure = poured(headers, Body::new(Limited::new(unmeasured(&["abc", "def"]), 4))).await.unwrap_err();
            assert_eq!(failure, Failure::new(StatusCode::PAYLOAD_TOO_LARGE, codes::BODY_TOO_LARGE));
        }
    }

    #[test]
    fn no_room_is_nobody_elses_fault() {
        assert_eq!(failure_of(&BodyError::NoRoom).status, StatusCode::INSUFFICIENT_STORAGE);
    }
}
