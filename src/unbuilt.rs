//! The app of a program before it is built: it is built inside the runtime, and again and again where that fails.

use crate::{
    app::{App, BoxApp, IntoApp, Requests, ResponseBody},
    body::Body,
    diagnostic::codes as code,
    error::{Blame, BoxError, Error},
    page::{self, Form},
    telemetry::log,
};
use http::{Request, Response, StatusCode, header};
use http_body_util::Full;
use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

/// How long after a failed start the next try waits at least.
const START_AGAIN: Duration = Duration::from_secs(1);

/// An app while it is built.
type Building = Pin<Box<dyn Future<Output = Result<BoxApp, BoxError>> + Send>>;

/// What builds an app, each time that it is called.
type Build = Arc<dyn Fn(Requests) -> Building + Send + Sync>;

/// An app that is not built yet, and what it will stand in. Of which type it is, nobody sees any more: what serves it is compiled once, with lodger, and not anew with every program.
pub(crate) struct Unbuilt {
    build: Build,
    surround: Box<dyn FnOnce(BoxApp) -> BoxApp + Send>,
}

impl Unbuilt {
    /// `surround` puts the app where it belongs once it is built.
    pub(crate) fn new<M>(app: impl IntoApp<M>, surround: impl FnOnce(BoxApp) -> BoxApp + Send + 'static) -> Self {
        let app = Arc::new(app);
        let build = move |requests| -> Building {
            let app = Arc::clone(&app);
            Box::pin(async move { app.build(requests).await })
        };
        Self { build: Arc::new(build), surround: Box::new(surround) }
    }

    /// Builds the app; when that fails, an app that says so and tries again. What stands around it is served either way.
    pub(crate) async fn start(self, requests: Requests) -> BoxApp {
        let Self { build, surround } = self;
        let built = try_build(&build, requests).await;
        surround(match built {
            Ok(app) => app,
            Err(error) => retrying(build, &error),
        })
    }

    /// The same for who is to be told why an app does not start.
    ///
    /// # Errors
    ///
    /// When it does not.
    pub(crate) async fn start_or_fail(self) -> Result<BoxApp, Error> {
        let Self { build, surround } = self;
        try_build(&build, Requests::Many).await.map(surround).map_err(app_did_not_start)
    }
}

async fn try_build(build: &Build, requests: Requests) -> Result<BoxApp, BoxError> {
    log::guarded(build(requests)).await.unwrap_or_else(|panic| Err(panicked(&panic)))
}

/// Makes an app of what is there already.
///
/// # Errors
///
/// When a layer of it panics.
pub(crate) fn box_up(app: impl App, requests: Requests) -> Result<BoxApp, Error> {
    log::guard(|| app.into_box_for(requests)).map_err(|panic| app_did_not_start(panicked(&panic)))
}

fn panicked(panic: &str) -> BoxError {
    format!("it panicked: {panic}").into()
}

fn app_did_not_start(cause: BoxError) -> Error {
    let hint = "look for files beside the program, since a web server sets no HOME, and read what the app printed to the log";
    Error::new(code::APP_DID_NOT_START, Blame::App, "the app could not start", hint).with_source(cause)
}

fn note_failed_start(error: &BoxError) {
    tracing::error!(target: "lodger", "{}: the app could not start: {error}", code::APP_DID_NOT_START);
}

/// An app that could not start: each request that comes a while after the last try tries again, all others get a page that says so.
fn retrying(build: Build, error: &BoxError) -> BoxApp {
    struct Start {
        built: Option<BoxApp>,
        tried: Instant,
    }
    note_failed_start(error);
    let start = Arc::new(tokio::sync::Mutex::new(Start { built: None, tried: Instant::now() }));
    let service = tower::service_fn(move |request: Request<Body>| {
        let (build, start) = (Arc::clone(&build), Arc::clone(&start));
        async move {
            let mut start = start.lock().await;
            if start.built.is_none() && start.tried.elapsed() >= START_AGAIN {
                match try_build(&build, Requests::Many).await {
                    Ok(app) => start.built = Some(app),
                    Err(error) => note_failed_start(&error),
                }
                start.tried = Instant::now();
            }
            let call = start.built.as_ref().map(|app| app.call(request));
            drop(start);
            match call {
                Some(call) => call.await,
                None => unavailable(),
            }
        }
    });
    service.into_box()
}

fn unavailable() -> Result<Response<ResponseBody>, BoxError> {
    let status = StatusCode::SERVICE_UNAVAILABLE;
    let page = page::of(status, Some(code::APP_DID_NOT_START.as_str()), Form::Html);
    let response = Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, "text/html; charset=utf-8")
        .header(header::CACHE_CONTROL, "no-store")
        .header(header::RETRY_AFTER, "5");
    Ok(response.body(ResponseBody::new(Full::from(page)))?)
}

#[cfg(all(test, feature = "axum08"))]
mod tests {
    use super::*;
    use axum::{Router, routing::Route, routing::get};
    use tower::layer::layer_fn;

    #[tokio::test]
    async fn an_app_with_a_layer_that_panics_does_not_start_and_says_why() {
        let app = || {
            let broken = layer_fn(|_: Route| -> Route { panic!("no route today") });
            Router::new().route("/", get(|| async {})).route("/broken", get(|| async {}).route_layer(broken))
        };
        let started = Unbuilt::new(app, |app| app).start(Requests::Many).await;
        let response = started.call(Request::new(Body::empty())).await.unwrap();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        for error in [Unbuilt::new(app, |app| app).start_or_fail().await.err().unwrap(), box_up(app(), Requests::Many).err().unwrap()] {
            assert_eq!(error.code(), code::APP_DID_NOT_START);
            assert!(error.report().to_string().contains("no route today"), "{}", error.report());
        }
    }
}
