//! A request over LSAPI.

use super::{Broken, READ, Request, ResponseReader, Seen, broke, while_sending};
use crate::proto::lsapi::client::{Answer, Begin, next_answer};
use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// Sends a request over LSAPI and reads the response to its end.
///
/// A response that broke is ended there like any other, so that only one with a declared length is seen to be short: LiteSpeed would take an early close for
/// an accident and ask again.
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
    let receive = async {
        let (mut input, mut response, mut ended) = (BytesMut::new(), ResponseReader::default(), false);
        loop {
            while let Some(answer) = next_answer(&mut input).map_err(|sentence| Broken(sentence.to_owned()))? {
                seen(Seen::Record(format!("received {}", describe(&answer))));
                match answer {
                    Answer::Received | Answer::Close => {}
                    Answer::Head { status, lines } => response.push(header_block(status, &lines), &mut seen)?,
                    Answer::Stream(data) => response.push(data, &mut seen)?,
                    Answer::Stderr(text) => seen(Seen::Stderr(text)),
                    Answer::End => ended = true,
                }
            }
            // What came with the end, such as CONN_CLOSE, is told too; nothing more is waited for.
            if ended {
                return response.finish(request.head_request);
            }
            input.reserve(READ);
            if reader.read_buf(&mut input).await.map_err(|error| broke(&error))? == 0 {
                return Err(Broken("the connection was closed before the response had ended".to_owned()));
            }
        }
    };
    while_sending(send, receive).await
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
