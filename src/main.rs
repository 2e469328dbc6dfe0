//! The stock binary: for now it shows that the way from the web server to here works.

use http::{Response, header};
use lodger::RequestExt as _;

fn main() -> std::process::ExitCode {
    lodger::run(tower::service_fn(async |request: http::Request<lodger::Body>| {
        let way = request.gateway().map_or("?", lodger::Gateway::as_str);
        let text = format!("lodger works here, over {way}.\n");
        Response::builder().header(header::CONTENT_TYPE, "text/plain; charset=utf-8").body(text)
    }))
}
