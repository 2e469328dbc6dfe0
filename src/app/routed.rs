//! An axum router as an app, called as axum's own server calls it.

use super::{Call, Callable, boxed};
use crate::body::Body;
use axum::Router;
use futures_util::FutureExt as _;
use http::Request;
use std::{
    any::Any,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};
use tower_service::Service as _;

/// A router. It is always ready to be called, so that nothing has to wait for that, and its routes can be made once.
#[derive(Clone)]
pub(super) struct Routed(Arc<Routes>);

struct Routes {
    /// As the program wrote it: each request makes the route that it needs anew, with all layers around it.
    written: Router,
    asked: AtomicBool,
    /// With all routes made, as of the second request. A CGI program has but one, and to make a route that it does not need costs it as much as to write it down.
    made: OnceLock<Router>,
}

impl Routed {
    /// The app, if it is a router.
    pub(super) fn of<S: Any>(app: &S) -> Option<Self> {
        let written = <dyn Any>::downcast_ref::<Router>(app)?.clone();
        Some(Self(Arc::new(Routes { written, asked: AtomicBool::new(false), made: OnceLock::new() })))
    }

    /// The router for the next request.
    fn router(&self) -> Router {
        let Routes { written, asked, made } = &*self.0;
        match made.get() {
            Some(made) => made.clone(),
            None if asked.swap(true, Ordering::Relaxed) => made.get_or_init(|| written.clone().with_state(())).clone(),
            None => written.clone(),
        }
    }
}

impl Callable for Routed {
    /// Finds the route and makes its future; what belongs to the program runs when that is polled, but for clones of its services and layers.
    fn call(&self, request: Request<Body>) -> Call {
        // To no body axum gives no box.
        let request = request.map(|body| if body.is_none() { axum::body::Body::empty() } else { axum::body::Body::new(body) });
        Box::pin(self.router().call(request).map(|response| match response {
            Ok(response) => Ok(boxed(response)),
            Err(never) => match never {},
        }))
    }

    fn clone_box(&self) -> Box<dyn Callable> {
        Box::new(self.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::{App as _, BoxApp};
    use axum::{Extension, routing::get};
    use http::StatusCode;
    use http_body_util::BodyExt as _;
    use std::sync::atomic::AtomicUsize;
    use tower::layer::layer_fn;

    async fn ask(app: &BoxApp, request: Request<Body>) -> (StatusCode, String) {
        let response = app.call(request).await.unwrap();
        let status = response.status();
        (status, String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().into()).unwrap())
    }

    fn get_of(path: &str) -> Request<Body> {
        Request::get(path).body(Body::empty()).unwrap()
    }

    /// Three routes, and how many were made.
    fn counted() -> (BoxApp, Arc<AtomicUsize>) {
        let made = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&made);
        let layer = layer_fn(move |route| {
            count.fetch_add(1, Ordering::Relaxed);
            route
        });
        let page = |name: &'static str| get(move || async move { name });
        let router = Router::new().route("/a", page("a")).route("/b", page("b")).route("/c", page("c")).route_layer(layer);
        (router.into_box(), made)
    }

    #[tokio::test]
    async fn the_first_request_makes_its_own_route_and_later_ones_none() {
        let (app, made) = counted();
        let before = made.load(Ordering::Relaxed);
        assert_eq!(ask(&app, get_of("/a")).await, (StatusCode::OK, "a".into()));
        assert_eq!(made.load(Ordering::Relaxed) - before, 1, "a CGI program makes no route that nobody asked for");
        assert_eq!(ask(&app.clone(), get_of("/b")).await, (StatusCode::OK, "b".into()));
        let all = made.load(Ordering::Relaxed);
        for (path, page) in [("/c", "c"), ("/a", "a"), ("/b", "b"), ("/a", "a")] {
            assert_eq!(ask(&app.clone(), get_of(path)).await, (StatusCode::OK, page.into()));
        }
        assert_eq!(made.load(Ordering::Relaxed), all);
    }

    #[tokio::test]
    async fn a_router_sees_the_whole_request_and_answers_what_it_has_no_route_for() {
        let echo = |Extension(tag): Extension<&'static str>, body: String| async move { format!("{tag}: {body}") };
        let app = Router::new().route("/echo", get(echo).post(echo)).into_box();
        for (body, expected) in [(Body::empty(), "tag: "), (Body::from("words"), "tag: words")] {
            let mut request = Request::post("/echo").body(body).unwrap();
            request.extensions_mut().insert("tag");
            assert_eq!(ask(&app, request).await, (StatusCode::OK, expected.into()));
        }
        assert_eq!(ask(&app, get_of("/none")).await.0, StatusCode::NOT_FOUND);
        let delete = Request::delete("/echo").body(Body::empty()).unwrap();
        assert_eq!(ask(&app, delete).await.0, StatusCode::METHOD_NOT_ALLOWED);
    }
}
