//! For the tests of an app: requests that take the whole way through lodger, in one process.

use crate::{
    app::{App, Requests},
    cgi::outgoing::{self, Script},
    error::BoxError,
    gateway::Ownership,
    settings::Settings,
    transport::{
        Shared,
        client::{self, Seen},
        connection::serve_connection,
        socket::Socket,
    },
};
use bytes::{Bytes, BytesMut};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use tokio_util::sync::CancellationToken;

/// Sends one request to `app` over FastCGI, exactly as a web server would, and returns its whole response.
///
/// Other than a direct call of the service, it shows what a visitor sees: panics as 500, limits, headers that a gateway leaves out.
///
/// ```
/// # use axum::{Router, routing::get};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), lodger::BoxError> {
/// let app = Router::new().route("/hello", get(|| async { "hello" }));
/// let response = lodger::testing::oneshot(app, http::Request::get("/hello").body(lodger::Body::empty())?).await?;
/// assert_eq!(response.status(), 200);
/// assert_eq!(response.body(), "hello");
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// When the body of the request fails, when no pair of sockets can be made, and when the response breaks off half-way.
///
/// # Panics
///
/// When it is awaited outside a tokio runtime, or in one without IO or time.
pub async fn oneshot<S, B>(app: S, request: Request<B>) -> Result<Response<Bytes>, BoxError>
where
    S: App,
    B: http_body::Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(Into::into)?.to_bytes();
    let request = Request::from_parts(parts, ());
    let head_request = request.method() == http::Method::HEAD;
    let vars = outgoing::vars(&request, &Script::default(), (!body.is_empty()).then_some(body.len() as u64));

    let (ours, theirs) = tokio::net::UnixStream::pair()?;
    let shared = Shared::new(Settings::default(), Ownership::Shared, CancellationToken::new());
    let server = tokio::spawn(serve_connection(Socket::from_fd(theirs.into_std()?.into())?, app.into_box_for(Requests::One), shared, None));
    let (mut head, mut answer) = ((StatusCode::OK, http::HeaderMap::new()), BytesMut::new());
    let sent = client::Request { vars: &vars, body: &body, head_request };
    let result = client::fastcgi(ours, sent, |seen| match seen {
        Seen::Head(status, headers) => head = (status, headers),
        Seen::Body(bytes) => answer.extend_from_slice(&bytes),
        Seen::Record(line) => tracing::debug!(target: "lodger", "{line}"),
        Seen::Stderr(lines) => tracing::warn!(target: "lodger", "{}", String::from_utf8_lossy(&lines).trim_end()),
    })
    .await;
    server.abort();
    result?;
    let mut response = Response::new(answer.freeze());
    *response.status_mut() = head.0;
    *response.headers_mut() = head.1;
    Ok(response)
}
