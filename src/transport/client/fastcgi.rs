//! A request over FastCGI.

use super::{Broken, READ, Request, ResponseReader, Seen, broke, while_sending};
use crate::proto::fastcgi::client::{Answer, next_answer, request_body, request_head};
use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// Sends a request over FastCGI and reads the response to its end.
///
/// # Errors
///
/// When the other end does not answer by the book.
pub(crate) async fn fastcgi<S>(stream: S, request: Request<'_>, mut seen: impl FnMut(Seen)) -> Result<(), Broken>
where
    S: AsyncRead + AsyncWrite,
{
    let Request { vars, body, .. } = request;
    let (mut reader, mut writer) = tokio::io::split(stream);
    let head = request_head(request.vars(), false);
    seen(Seen::Record(format!("sent     BEGIN_REQUEST and PARAMS with {} variables, {} bytes", vars.len(), head.len())));
    if !body.is_empty() {
        seen(Seen::Record(format!("sent     STDIN with a body of {} bytes", body.len())));
    }
    let send = async {
        let mut bytes = BytesMut::from(&head[..]);
        bytes.extend_from_slice(&request_body(body.clone()));
        if !body.is_empty() {
            bytes.extend_from_slice(&request_body(Bytes::new()));
        }
        // A program may answer and close before it has read everything: the response tells how it went.
        let _ = writer.write_all(&bytes).await;
    };
    let receive = async {
        let (mut input, mut response) = (BytesMut::new(), ResponseReader::default());
        loop {
            while let Some((answer, record)) = next_answer(&mut input).map_err(Broken)? {
                seen(Seen::Record(format!("received {:?} id {}, {} bytes", record.kind, record.id, record.content.len())));
                match answer {
                    Answer::Stdout(data) => response.push(data, &mut seen)?,
                    Answer::Stderr(text) => seen(Seen::Stderr(text)),
                    Answer::End { app_status: 0, protocol_status: 0 } => return response.finish(request.head_request),
                    Answer::End { app_status, protocol_status } => {
                        return Err(Broken(format!("the request ended with appStatus {app_status} and protocolStatus {protocol_status}")));
                    }
                    Answer::Other(kind) => return Err(Broken(format!("a record of {kind:?} has no place in a response"))),
                }
            }
            input.reserve(READ);
            if reader.read_buf(&mut input).await.map_err(|error| broke(&error))? == 0 {
                return Err(Broken("the connection was closed before the response had ended".to_owned()));
            }
        }
    };
    while_sending(send, receive).await
}
