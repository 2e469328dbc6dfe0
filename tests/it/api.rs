//! Every way to hand an app to lodger compiles, and an app behaves under `testing::oneshot` as it does behind a web server.

use axum::{
    Router,
    body::Bytes,
    extract::{ConnectInfo, OriginalUri},
    http::{Request, Response, StatusCode},
    routing::{get, post},
};
use http_body::Frame;
use http_body_util::{BodyExt as _, Full, StreamBody};
use lodger::{Body, BoxError, RequestExt as _, testing::oneshot};
use std::{convert::Infallible, net::SocketAddr, process::ExitCode, time::Duration};
#[cfg(feature = "axum08")]
use {
    crate::peer::{Process, ask::Ask, conn::Conn},
    axum::routing::Route,
    std::{
        os::unix::net::{UnixListener, UnixStream},
        process::Command,
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
    },
};

fn app() -> Router {
    Router::new()
        .route("/", get(|| async { "hi" }))
        .route("/who", get(|ConnectInfo(client): ConnectInfo<SocketAddr>, OriginalUri(uri): OriginalUri| async move { format!("{client} {uri}") }))
        .route("/body", post(|body: Bytes| async move { body.len().to_string() }))
        .route("/panic", get(|| async { panic!("on purpose") as &'static str }))
}

/// Never called: what it shows is that it compiles.
#[allow(dead_code)]
fn every_call_shape() -> Vec<ExitCode> {
    async fn fallible() -> Result<Router, BoxError> {
        tokio::time::sleep(Duration::ZERO).await;
        Ok(app())
    }
    let plain = tower::service_fn(|_: Request<Body>| async { Ok::<_, Infallible>(Response::new(Full::new(Bytes::new()))) });
    let layered = tower::ServiceBuilder::new().concurrency_limit(4).service(app());
    vec![
        lodger::run(app()),
        lodger::run(app),
        lodger::run(|| Router::new().route("/", get(|| async { "Hello" }))),
        lodger::run(|| async { app() }),
        lodger::run(|| async {
            std::fs::read("/etc/hostname")?;
            Ok::<_, std::io::Error>(app())
        }),
        lodger::run(|| Ok::<_, std::io::Error>(app())),
        lodger::run(fallible),
        lodger::run(plain),
        lodger::run(layered),
        lodger::Program::new(app).with_limits(lodger::Limits::default().with_requests(8)).with_worker_threads(2).run(),
    ]
}

/// Never called: what it shows is that it compiles.
#[allow(dead_code)]
async fn served_in_a_runtime() -> Result<(), lodger::Error> {
    lodger::serve(app()).with_request_timeout(Duration::from_secs(3)).with_limits(lodger::Limits::default()).with_graceful_shutdown(async {}).await
}

fn request(method: &str, target: &str, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    Request::builder().method(method).uri(target).header("host", "example.org").body(Full::new(body.into())).unwrap()
}

#[tokio::test]
async fn an_axum_app_answers_and_its_extractors_work() {
    let response = oneshot(app(), request("GET", "/who?x", "")).await.unwrap();
    assert_eq!((response.status(), &response.body()[..]), (StatusCode::OK, &b"127.0.0.1:40000 /who?x"[..]));
    let response = oneshot(app(), request("POST", "/body", vec![b'x'; 200_000])).await.unwrap();
    assert_eq!(response.body(), "200000");
}

#[tokio::test]
async fn a_panic_is_a_500_and_head_has_no_body() {
    assert_eq!(oneshot(app(), request("GET", "/panic", "")).await.unwrap().status(), StatusCode::INTERNAL_SERVER_ERROR);
    let response = oneshot(app(), request("HEAD", "/", "")).await.unwrap();
    assert_eq!((response.status(), response.body().len(), &response.headers()["content-length"]), (StatusCode::OK, 0, &"2".parse().unwrap()));
}

#[tokio::test]
async fn a_service_that_is_not_axum_is_an_app_too() {
    let service = tower::service_fn(|request: Request<Body>| async move {
        let text = format!("{} {:?}", request.gateway().unwrap(), request.host());
        let body = request.into_body().collect().await?.to_bytes();
        Ok::<_, BoxError>(Response::new(Full::new(Bytes::from(format!("{text} {}", body.len())))))
    });
    let response = oneshot(service, request("POST", "/", "abc")).await.unwrap();
    assert_eq!(response.body(), "fastcgi Some(\"example.org\") 3");
}

#[tokio::test]
async fn a_response_that_breaks_off_is_an_error() {
    let service = tower::service_fn(|_: Request<Body>| async {
        let frames = [Ok(Frame::data(Bytes::from(vec![b'x'; 100_000]))), Err(BoxError::from("on purpose"))];
        Ok::<_, Infallible>(Response::new(StreamBody::new(tokio_stream::iter(frames))))
    });
    let error = oneshot(service, request("GET", "/", "")).await.unwrap_err();
    assert!(error.to_string().contains("closed before the response had ended"), "{error}");
}

#[tokio::test]
async fn poll_ready_is_asked_before_every_call() {
    #[derive(Clone, Default)]
    struct Picky {
        asked: bool,
    }
    impl tower::Service<Request<Body>> for Picky {
        type Response = Response<Full<Bytes>>;
        type Error = Infallible;
        type Future = std::future::Ready<Result<Self::Response, Infallible>>;

        fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Infallible>> {
            self.asked = true;
            std::task::Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: Request<Body>) -> Self::Future {
            std::future::ready(Ok(Response::new(Full::new(Bytes::from(self.asked.to_string())))))
        }
    }
    assert_eq!(oneshot(Picky::default(), request("GET", "/", "")).await.unwrap().body(), "true");
}

#[tokio::test]
async fn run_inside_a_runtime_says_what_to_call_instead() {
    assert_eq!(lodger::run(app()), ExitCode::from(2));
}

#[tokio::test]
async fn serve_started_by_nobody_is_an_error_with_a_code() {
    // The test runner hands over no listening socket.
    let error = lodger::serve(app()).await.unwrap_err();
    assert_eq!((error.code().as_str(), error.blame()), ("LG0101", lodger::Blame::Operator));
    assert!(error.hint().contains("--socket"));
}

/// A program that tells how often its layer was put around a route.
#[cfg(feature = "axum08")]
fn counting() -> Router {
    let made = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&made);
    let layer = tower::layer::layer_fn(move |route: Route| {
        count.fetch_add(1, Ordering::Relaxed);
        route
    });
    let told = get(move || async move { made.load(Ordering::Relaxed).to_string() }).route_layer(layer.clone());
    Router::new().route("/", told).route("/other", get(|| async {}).route_layer(layer))
}

#[cfg(feature = "axum08")]
#[test]
fn a_process_that_stays_makes_the_layers_of_its_router_once() {
    const AS_PROGRAM: &str = "LODGER_TEST_AS_PROGRAM";
    // The test starts itself, as the program that it asks.
    if std::env::var_os(AS_PROGRAM).is_some() {
        assert_eq!(lodger::run(counting), ExitCode::SUCCESS);
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("s");
    let listener = UnixListener::bind(&socket).unwrap();
    let mut program = Command::new("/usr/bin/env");
    let this = "api::a_process_that_stays_makes_the_layers_of_its_router_once";
    program.arg(format!("{AS_PROGRAM}=")).arg(std::env::current_exe().unwrap()).args(["--exact", this]);
    let _process = Process::start(program, listener, &folder.path().join("log"));
    for _ in 0..3 {
        let reply = Conn::new(UnixStream::connect(&socket).unwrap()).ask(&Ask::get("/"));
        assert_eq!((reply.status(), reply.text().as_str()), (200, "2"));
    }
}
