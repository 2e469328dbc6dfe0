//! An app in a tokio runtime of your own, without the command line: `lodger::serve` in place of `lodger::run`.

use axum::{Router, extract::Request, routing::get};
use lodger::RequestExt as _;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lodger::Error> {
    let app = Router::new().route("/", get(|request: Request| async move { format!("Hello by {}", request.listener().unwrap_or("stdin")) }));
    lodger::serve(app).await
}
