//! An axum router as an app, made ready as axum's own server makes it, and called without a detour.

use super::{Call, Callable, Requests, ResponseBody};
use crate::{body::Body, error::BoxError};
use axum::{Router, routing::future::RouteFuture};
use http::{Request, Response};
use std::{
    any::Any,
    convert::Infallible,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};
use tower_service::Service as _;

/// A router that is an app. As long as nobody says that it has its state, a router makes the route of each request anew, with all layers around it: that
/// takes time, and a layer that counts or limits begins again with each request.
#[derive(Clone)]
pub(super) struct Routed(Router);

/// The response of a router, with its body behind lodger's type.
struct Answering(RouteFuture<Infallible>);

impl Future for Answering {
    type Output = Result<Response<ResponseBody>, BoxError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map(|response| match response {
            Ok(response) => Ok(response.map(ResponseBody::new)),
            Err(never) => match never {},
        })
    }
}

impl Routed {
    /// The app, if it is a router.
    pub(super) fn of<S: Any>(app: &S, requests: Requests) -> Option<Self> {
        let router = <dyn Any>::downcast_ref::<Router>(app)?.clone();
        Some(Self(match requests {
            // It needs one route, and all others would be made for nobody.
            Requests::One => router,
            Requests::Many => router.with_state(()),
        }))
    }
}

impl Callable for Routed {
    /// A router is always ready, so that it is called at once. Of the program only what it does when a service is cloned, or put around the one route that is made, runs here: routes are called
    /// when their response is asked for.
    fn call(&self, request: Request<Body>) -> Call {
        // The router would put our body into a box. Its own empty one takes no memory.
        let request = request.map(|body| if body.is_none() { axum::body::Body::empty() } else { axum::body::Body::new(body) });
        Box::pin(Answering(self.0.clone().call(request)))
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
    use futures_util::FutureExt as _;
    use http::StatusCode;
    use http_body_util::BodyExt as _;
    use std::{
        panic::AssertUnwindSafe,
        sync::{
            Arc,
            atomic::{AtomicBool, AtomicUsize, Ordering},
        },
        time::Duration,
    };
    use tokio::sync::Notify;
    use tower::{layer::layer_fn, limit::ConcurrencyLimitLayer};
    use tower_service::Service;

    async fn ask(app: &BoxApp, request: Request<Body>) -> (StatusCode, String) {
        let response = app.call(request).await.unwrap();
        let status = response.status();
        (status, String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().into()).unwrap())
    }

    fn get_of(path: &str) -> Request<Body> {
        Request::get(path).body(Body::empty()).unwrap()
    }

    /// An app of three routes with a layer around each, and how often that was put around one.
    fn layered(requests: Requests) -> (BoxApp, Arc<AtomicUsize>) {
        let made = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&made);
        let layer = layer_fn(move |route| {
            count.fetch_add(1, Ordering::Relaxed);
            route
        });
        let page = |name: &'static str| get(move || async move { name });
        let router = Router::new().route("/a", page("a")).route("/b", page("b")).route("/c", page("c")).route_layer(layer);
        // What answers a wrong method is made when the route is written down.
        made.store(0, Ordering::Relaxed);
        (router.into_box_for(requests), made)
    }

    #[tokio::test]
    async fn a_process_that_stays_makes_its_routes_once() {
        let (app, made) = layered(Requests::Many);
        assert_eq!(made.load(Ordering::Relaxed), 3);
        for page in ["a", "b", "c", "a"] {
            assert_eq!(ask(&app.clone(), get_of(&format!("/{page}"))).await, (StatusCode::OK, page.into()));
        }
        assert_eq!(made.load(Ordering::Relaxed), 3);
    }

    #[tokio::test]
    async fn a_process_of_one_request_makes_the_route_that_it_needs() {
        let (app, made) = layered(Requests::One);
        assert_eq!(made.load(Ordering::Relaxed), 0);
        assert_eq!(ask(&app, get_of("/b")).await, (StatusCode::OK, "b".into()));
        assert_eq!(made.load(Ordering::Relaxed), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_around_a_route_limits_all_requests_together() {
        let (inside, go_on) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
        let wait = {
            let (inside, go_on) = (Arc::clone(&inside), Arc::clone(&go_on));
            move || async move {
                inside.fetch_add(1, Ordering::Relaxed);
                go_on.notified().await;
            }
        };
        let app = Router::new().route("/", get(wait)).layer(ConcurrencyLimitLayer::new(1)).into_box();
        let calls: Vec<_> = (0..3).map(|_| tokio::spawn(app.call(get_of("/")))).collect();
        for expected in 1..=3 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert_eq!(inside.load(Ordering::Relaxed), expected, "one at a time");
            go_on.notify_one();
        }
        for call in calls {
            assert_eq!(call.await.unwrap().unwrap().status(), StatusCode::OK);
        }
    }

    #[tokio::test]
    async fn a_panic_of_a_service_that_is_cloned_comes_when_its_response_is_asked_for() {
        struct Brittle(Arc<AtomicBool>);
        impl Clone for Brittle {
            fn clone(&self) -> Self {
                assert!(!self.0.load(Ordering::Relaxed), "on purpose");
                Self(Arc::clone(&self.0))
            }
        }
        impl Service<Request<axum::body::Body>> for Brittle {
            type Response = Response<String>;
            type Error = Infallible;
            type Future = std::future::Ready<Result<Self::Response, Infallible>>;

            fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
                Poll::Ready(Ok(()))
            }

            fn call(&mut self, _: Request<axum::body::Body>) -> Self::Future {
                std::future::ready(Ok(Response::default()))
            }
        }
        let is_broken = Arc::new(AtomicBool::new(false));
        let app = Router::new().route_service("/", Brittle(Arc::clone(&is_broken))).into_box();
        assert_eq!(ask(&app, get_of("/")).await.0, StatusCode::OK);
        is_broken.store(true, Ordering::Relaxed);
        let call = app.call(get_of("/"));
        let panic = AssertUnwindSafe(call).catch_unwind().await.err().unwrap();
        assert!(panic.downcast_ref::<String>().unwrap().starts_with("on purpose"), "it says what it said");
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
