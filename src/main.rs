//! The stock binary: serves what `lodger.toml` says, and without one shows that the way from the web server to here works.

use http::{Response, header};
use lodger::RequestExt as _;

fn main() -> std::process::ExitCode {
    let welcome = tower::service_fn(async |request: http::Request<lodger::Body>| {
        let way = request.gateway().map_or("?", lodger::Gateway::as_str);
        let text = format!("lodger works here, over {way}. Put a lodger.toml beside the program to say what it serves.\n");
        Response::builder().header(header::CONTENT_TYPE, "text/plain; charset=utf-8").body(text)
    });
    lodger::Program::of_sites(welcome).run()
}
