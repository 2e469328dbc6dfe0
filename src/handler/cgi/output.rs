//! The output of a program as a response (RFC 3875, 6): a header block, then the body as it comes.

use crate::{app::ResponseBody, cgi::response, error::BoxError, handler::Answer};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Response, StatusCode, header};
use http_body::{Body, Frame};
use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
};

/// The longest header block that is read. No web server takes a longer one from us.
const HEAD_MAX: usize = 64 * 1024;

/// Where the output of a program comes from.
pub(crate) trait Output: Send + Unpin + 'static {
    /// The next piece of it, `None` once it has ended as it should. The request body goes to the program in these calls too.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Broke>>;
}

/// Why a program has not answered to the end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broke {
    /// The body of the request failed.
    #[error("the request body failed: {0}")]
    Request(BoxError),
    /// The program failed; the sentence goes on after its name.
    #[error("the program {0}")]
    Program(String),
}

/// Reads the head of a response; its body comes as it is asked for. Whoever drops the answer drops `output`.
///
/// A `Location` without a status is sent to the visitor as 302, also one that begins with a slash: RFC 3875, 6.2.2, has the server answer that one itself, which would let
/// a program go around what stands before another route.
///
/// # Errors
///
/// When the output breaks off or is no response.
pub(crate) async fn answer<O: Output>(mut output: O) -> Result<Answer, Broke> {
    let (mut block, mut seen) = (BytesMut::new(), 0);
    let body_start = loop {
        let Some(piece) = poll_fn(|cx| output.poll_piece(cx)).await? else {
            return Err(Broke::Program("ended before its header block did".to_owned()));
        };
        block.extend_from_slice(&piece);
        if let Some(start) = end_of_head(&block, seen) {
            break start;
        }
        if block.len() > HEAD_MAX {
            return Err(Broke::Program(format!("sent more than {HEAD_MAX} bytes and no empty line that ends its header block")));
        }
        // The empty line may have begun in what was seen.
        seen = block.len().saturating_sub(2);
    };
    let body = block.split_off(body_start).freeze();
    let (status, headers) = response::fields(&block).map_err(|error| Broke::Program(format!("sent {error}")))?;
    let mut answer = Response::new(ResponseBody::new(OutputBody { start: body, output: Some(output) }));
    *answer.status_mut() = status_of(status, &headers)?;
    *answer.headers_mut() = headers;
    Ok(answer)
}

fn status_of(told: Option<StatusCode>, headers: &HeaderMap) -> Result<StatusCode, Broke> {
    match told {
        Some(status) if status.is_informational() => Err(Broke::Program(format!("answered with status {status}, which is no final one"))),
        Some(status) => Ok(status),
        // RFC 3875, 6.3: a response is a document, which has a type, or a redirect.
        None if headers.is_empty() => Err(Broke::Program("sent an empty header block".to_owned())),
        None if headers.contains_key(header::LOCATION) => Ok(StatusCode::FOUND),
        None => Ok(StatusCode::OK),
    }
}

/// Where the body begins, looked for from `from` on: behind the first empty line.
fn end_of_head(bytes: &[u8], from: usize) -> Option<usize> {
    if let [b'\n', ..] = bytes {
        return Some(1);
    }
    if let [b'\r', b'\n', ..] = bytes {
        return Some(2);
    }
    let behind = |at: usize| match bytes.get(at + 1..)? {
        [b'\n', ..] => Some(at + 2),
        [b'\r', b'\n', ..] => Some(at + 3),
        _ => None,
    };
    memchr::memchr_iter(b'\n', bytes.get(from..)?).find_map(|at| behind(from + at))
}

/// The body of a response, as the program writes it.
struct OutputBody<O> {
    /// What came with the head.
    start: Bytes,
    /// None when it has ended.
    output: Option<O>,
}

impl<O: Output> Body for OutputBody<O> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if !self.start.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.start)))));
        }
        let Some(output) = &mut self.output else { return Poll::Ready(None) };
        let piece = ready!(output.poll_piece(cx));
        if !matches!(piece, Ok(Some(_))) {
            self.output = None;
        }
        Poll::Ready(piece.transpose().map(|piece| piece.map(Frame::data).map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.start.is_empty() && self.output.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt as _;
    use std::collections::VecDeque;

    struct Said(VecDeque<&'static [u8]>);

    impl Output for Said {
        fn poll_piece(&mut self, _: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Broke>> {
            Poll::Ready(Ok(self.0.pop_front().map(Bytes::from_static)))
        }
    }

    async fn heard(pieces: &[&'static [u8]]) -> Result<(u16, Vec<String>, String), String> {
        let answer = answer(Said(pieces.iter().copied().collect())).await.map_err(|error| error.to_string())?;
        let headers = answer.headers().iter().map(|(name, value)| format!("{name}={}", String::from_utf8_lossy(value.as_bytes()))).collect();
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        Ok((status, headers, String::from_utf8_lossy(&body).into_owned()))
    }

    #[tokio::test]
    async fn a_head_is_found_however_its_lines_end_and_wherever_it_is_cut() {
        let expect = |body: &str| Ok((404, vec!["content-type=text/plain".to_owned()], body.to_owned()));
        for output in [
            &b"Status: 404 Not Found\r\nContent-Type: text/plain\r\n\r\nbody\n\nmore"[..],
            b"Status: 404 Not Found\nContent-Type: text/plain\n\nbody\n\nmore",
            b"Status: 404 Not Found\nContent-Type: text/plain\n\r\nbody\n\nmore",
        ] {
            for cut in 1..output.len() {
                let (first, second) = output.split_at(cut);
                assert_eq!(heard(&[first, second]).await, expect("body\n\nmore"), "cut at {cut}");
            }
            let bytes: Vec<&[u8]> = output.chunks(1).collect();
            assert_eq!(heard(&bytes).await, expect("body\n\nmore"));
        }
    }

    #[tokio::test]
    async fn a_location_without_a_status_is_a_redirect() {
        for location in ["/there", "https://example.org/"] {
            let head: &'static str = format!("Location: {location}\n\n").leak();
            assert_eq!(heard(&[head.as_bytes()]).await, Ok((302, vec![format!("location={location}")], String::new())));
        }
        assert_eq!(heard(&[b"Location: /x\nStatus: 201 Created\n\n"]).await.unwrap().0, 201);
        assert_eq!(heard(&[b"Content-Type: text/html\n\n"]).await.unwrap().0, 200);
    }

    #[tokio::test]
    async fn headers_that_are_repeated_stay_apart() {
        let headers = heard(&[b"Set-Cookie: a=1\nSet-Cookie: b=2\n\n"]).await.unwrap().1;
        assert_eq!(headers, ["set-cookie=a=1", "set-cookie=b=2"]);
    }

    #[tokio::test]
    async fn what_is_no_response_is_refused() {
        let fat: &'static [u8] = Box::leak(vec![b'x'; HEAD_MAX + 1].into_boxed_slice());
        for output in [
            &b""[..],
            b"Content-Type: text/html\n",
            b"\nbody",
            b"Hello world\n\n",
            b"Status: 100 Continue\n\n",
            b"Status: abc\n\n",
            b"a b: c\n\n",
            fat,
        ] {
            assert!(heard(&[output]).await.is_err(), "{:?}", String::from_utf8_lossy(&output[..output.len().min(40)]));
        }
    }
}
