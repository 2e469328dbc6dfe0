//! A request over LSAPI.

use super::{Broken, READ, Request, ResponseReader, Seen, broke, while_sending};
use crate::proto::lsapi::client::{Answer, Begin, next_answer};
use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadHalf, WriteHalf};

/// Sends a request over LSAPI and reads the response to its end.
///
/// A response that broke is ended there like any other, because LiteSpeed would take an early close for an accident and ask again; but behind it the connection is
/// given up. Where the request had a body that may only mean that the body was not read.
///
/// # Errors
///
/// When the other end does not answer by the book.
pub(crate) async fn lsapi<S>(stream: S, request: Request<'_>, mut seen: impl FnMut(Seen)) -> Result<(), Broken>
where
    S: AsyncRead + AsyncWrite,
{
    let (mut reader, mut writer) = tokio::io::split(stream);
    let begin = Begin::from_vars(request.vars(), request.body.len());
    let packet = begin.packet();
    let (env, headers) = (begin.env.len(), begin.headers.len());
    seen(Seen::Record(format!("sent     BEGIN_REQUEST with {env} variables and {headers} headers, {} bytes", packet.len())));
    if !request.body.is_empty() {
        seen(Seen::Record(format!("sent     a body of {} bytes", request.body.len())));
    }
    let send = async {
        // A program may answer and close before it has read everything: the response tells how it went.
        let _ = writer.write_all(&[&packet[..], request.body].concat()).await;
    };
    let (mut input, mut gave_up) = (BytesMut::new(), false);
    let receive = async {
        let (mut response, mut ended) = (ResponseReader::default(), false);
        loop {
            while let Some(answer) = next_answer(&mut input).map_err(|sentence| Broken(sentence.to_owned()))? {
                seen(Seen::Record(format!("received {}", describe(&answer))));
                match answer {
                    Answer::Received => {}
                    Answer::Close => gave_up = true,
                    Answer::Head { status, lines } => response.push(header_block(status, &lines), &mut seen)?,
                    Answer::Stream(data) => response.push(data, &mut seen)?,
                    Answer::Stderr(text) => seen(Seen::Stderr(text)),
                    Answer::End => ended = true,
                }
            }
            // What came with the end is told too.
            if ended {
                return response.finish(request.head_request);
            }
            input.reserve(READ);
            if reader.read_buf(&mut input).await.map_err(|error| broke(&error))? == 0 {
                return Err(Broken("the connection was closed before the response had ended".to_owned()));
            }
        }
    };
    while_sending(send, receive).await?;
    if !request.body.is_empty() || !gave_up && !gives_up(&mut reader, &mut writer, input, &mut seen).await {
        return Ok(());
    }
    Err(Broken("the program gave the connection up behind its response, which says that the response broke off".to_owned()))
}

/// Whether a program that has answered says that the connection is over. It is told that we ask nothing more, so it closes in any case.
async fn gives_up<S>(reader: &mut ReadHalf<S>, writer: &mut WriteHalf<S>, mut input: BytesMut, seen: &mut impl FnMut(Seen)) -> bool
where
    S: AsyncRead + AsyncWrite,
{
    // Whatever fails here, the response is whole.
    let _ = writer.shutdown().await;
    loop {
        while let Ok(Some(answer)) = next_answer(&mut input) {
            seen(Seen::Record(format!("received {}", describe(&answer))));
            if answer == Answer::Close {
                return true;
            }
        }
        if reader.read_buf(&mut input).await.unwrap_or_default() == 0 {
            return false;
        }
    }
}

fn describe(answer: &Answer) -> String {
    match answer {
        Answer::Received => "REQ_RECEIVED".to_owned(),
        Answer::Head { status, lines } => format!("RESP_HEADER with status {status} and {} headers", lines.len()),
        Answer::Stream(data) => format!("RESP_STREAM, {} bytes", data.len()),
        Answer::Stderr(text) => format!("STDERR_STREAM, {} bytes", text.len()),
        Answer::End => "RESP_END".to_owned(),
        Answer::Close => "CONN_CLOSE".to_owned(),
    }
}

/// The head of a response as CGI has it.
fn header_block(status: usize, lines: &[Bytes]) -> Bytes {
    // Without a status it is 200.
    let mut block = if status == 0 { BytesMut::new() } else { BytesMut::from(format!("Status: {status}\r\n").as_bytes()) };
    for line in lines {
        block.extend_from_slice(line);
        block.extend_from_slice(b"\r\n");
    }
    block.extend_from_slice(b"\r\n");
    block.freeze()
}
