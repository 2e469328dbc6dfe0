//! A request over HTTP/1.1.

use super::{Broken, Seen, while_sending};
use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

/// Sends a request over HTTP/1.1 and reads the response to its end.
///
/// # Errors
///
/// When the other end does not answer by the book.
pub(crate) async fn http<S>(stream: S, request: &Request<Bytes>, mut seen: impl FnMut(Seen)) -> Result<(), Broken>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| broke(&error))?;
    let body_len = request.body().len();
    let mut request = request.clone().map(Full::new);
    // The body tells its length itself.
    request.headers_mut().remove(header::CONTENT_LENGTH);
    let line = format!("{} {} {:?}", request.method(), request.uri(), request.version());
    let headers = request.headers().len();
    seen(Seen::Record(format!("sent     {line} with {headers} headers and a body of {body_len} bytes")));
    let receive = async {
        let (head, mut body) = sender.send_request(request).await.map_err(|error| broke(&error))?.into_parts();
        seen(Seen::Record(format!("received {:?} {} with {} headers", head.version, head.status, head.headers.len())));
        seen(Seen::Head(head.status, head.headers));
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(|error| broke(&error))?.into_data() else { continue };
            seen(Seen::Record(format!("received {} bytes", data.len())));
            seen(Seen::Body(data));
        }
        seen(Seen::Record("received the end of the response".to_owned()));
        Ok(())
    };
    // How the connection ends is seen by who waits for the response.
    while_sending(async { drop(connection.await) }, receive).await
}

/// hyper says what went wrong in its source.
fn broke(error: &hyper::Error) -> Broken {
    let cause = std::error::Error::source(error).map(|source| format!(": {source}")).unwrap_or_default();
    Broken(format!("{error}{cause}"))
}
