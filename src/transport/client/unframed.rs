//! A request over SCGI or uwsgi: variables, a bare body, and a response that ends with the connection.
//!
//! "Broken" and "over" look alike here but for one thing: a program that wants to be seen to fail resets the connection.

use super::{Broken, READ, Request, ResponseReader, Seen, broke, while_sending};
use crate::{cgi::response::Opening, proto};
use bytes::{Bytes, BytesMut};
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// Sends a request over SCGI and reads the response to its end.
///
/// # Errors
///
/// When the other end does not answer by the book.
pub(crate) async fn scgi<S>(stream: S, request: Request<'_>, mut seen: impl FnMut(Seen)) -> Result<(), Broken>
where
    S: AsyncRead + AsyncWrite,
{
    let head = proto::scgi::client::request_head(request.vars(), request.body.len());
    seen(Seen::Record(format!("sent     a netstring with {} variables, {} bytes", request.vars.len(), head.len())));
    exchange(stream, head, request, Opening::Headers, seen).await
}

/// Sends a request over uwsgi and reads the response to its end.
///
/// # Errors
///
/// The outer one when uwsgi cannot carry the request, the inner one when the other end does not answer by the book.
pub(crate) async fn uwsgi<S>(stream: S, request: Request<'_>, mut seen: impl FnMut(Seen)) -> io::Result<Result<(), Broken>>
where
    S: AsyncRead + AsyncWrite,
{
    let too_large = || io::Error::new(io::ErrorKind::InvalidInput, "the headers are larger than uwsgi can carry, which is 64 KiB with all variables");
    let head = proto::uwsgi::client::request_head(request.vars()).ok_or_else(too_large)?;
    seen(Seen::Record(format!("sent     a packet with {} variables, {} bytes", request.vars.len(), head.len())));
    Ok(exchange(stream, head, request, Opening::StatusLine, seen).await)
}

async fn exchange<S>(stream: S, head: Bytes, request: Request<'_>, opening: Opening, mut seen: impl FnMut(Seen)) -> Result<(), Broken>
where
    S: AsyncRead + AsyncWrite,
{
    let (mut reader, mut writer) = tokio::io::split(stream);
    if !request.body.is_empty() {
        seen(Seen::Record(format!("sent     a body of {} bytes", request.body.len())));
    }
    let send = async {
        // A program may answer and close before it has read everything: the response tells how it went.
        let _ = writer.write_all(&[&head[..], request.body].concat()).await;
    };
    let receive = async {
        let mut response = ResponseReader::beginning_with(opening);
        loop {
            let mut input = BytesMut::with_capacity(READ);
            let read = reader.read_buf(&mut input).await.map_err(|error| broke(&error))?;
            if read == 0 {
                seen(Seen::Record("received the end of the connection".to_owned()));
                return response.finish(request.head_request);
            }
            seen(Seen::Record(format!("received {read} bytes")));
            response.push(input.freeze(), &mut seen)?;
        }
    };
    while_sending(send, receive).await
}
