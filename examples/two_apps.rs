//! Two apps in one program. The `lodger.toml` beside it says on which hosts and below which paths they live: `app = "shop"`, `app = "api"`.

use axum::{Router, routing::get};
use lodger::{BoxError, RequestExt as _, config::Config, handler::Tree};

fn main() -> std::process::ExitCode {
    lodger::run(|| -> Result<Tree, BoxError> {
        let shop = Router::new().route("/", get(async |request: axum::extract::Request| format!("the shop, at {}/\n", request.mount())));
        let api = Router::new().route("/price", get(async || "42\n"));
        Ok(Tree::new(&Config::find()?)?.with_app("shop", shop).with_app("api", api))
    })
}
