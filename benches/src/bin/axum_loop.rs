//! The yardstick of the instruction counts: an axum router called in a loop, with no server around it. Each turn builds the request that lodger would build of the
//! same variables, calls the router and writes the response into a buffer.
//! The argument is how many times.

#[expect(dead_code, reason = "the load generator also asks for other pages")]
#[path = "../load/vars.rs"]
mod vars;

use axum::{
    Router,
    body::{self, Body},
    http::{HeaderName, HeaderValue, Request, Response},
    routing::get,
};
use std::{error::Error, hint::black_box};
use tower_service::Service as _;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let times = std::env::args().nth(1).ok_or("how many times?")?.parse::<u64>()?;
    let headers = vars::headers(&vars::browser("/srv/www/site/hello.fcgi"));
    tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
        // As axum's own server does before it serves.
        let mut app: Router = Router::new().route("/hello", get(|| async { "hello, world\n" })).with_state(());
        let mut out = Vec::with_capacity(4096);
        for _ in 0..times {
            let response = app.call(request(&headers)?).await?;
            out.clear();
            write(response, &mut out).await?;
            black_box(&out);
        }
        Ok(())
    })
}

/// Names and values come as bytes that nobody has checked, as they do from a web server.
fn request(headers: &[(String, String)]) -> Result<Request<Body>> {
    let mut request = Request::builder().method("GET").uri("/hello").body(Body::empty())?;
    for (name, value) in headers {
        request.headers_mut().append(HeaderName::from_bytes(name.as_bytes())?, HeaderValue::from_bytes(value.as_bytes())?);
    }
    Ok(request)
}

async fn write(response: Response<Body>, out: &mut Vec<u8>) -> Result<()> {
    let (head, body) = response.into_parts();
    out.extend_from_slice(b"Status: ");
    out.extend_from_slice(head.status.as_str().as_bytes());
    for (name, value) in &head.headers {
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(name.as_ref());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
    }
    out.extend_from_slice(b"\r\n\r\n");
    out.extend_from_slice(&body::to_bytes(body, usize::MAX).await?);
    Ok(())
}
