//! What an app is, and what [`run`](crate::run()) makes one of.

#[cfg(feature = "axum08")]
mod routed;
mod response_body;

pub use response_body::ResponseBody;

use crate::{body::Body, error::BoxError, telemetry::log};
use bytes::Bytes;
use http::{Request, Response};
use std::{future::Future, panic::resume_unwind, pin::Pin};
use tower::ServiceExt as _;
use tower_service::Service;

/// A call of an app, in one piece of memory: its clone for this request with the request, and then the future of the response.
pub(crate) type Call = Pin<Box<dyn Future<Output = Result<Response<ResponseBody>, BoxError>> + Send>>;

/// Any app, behind one type.
#[doc(hidden)]
pub struct BoxApp(Box<dyn Callable>);

impl BoxApp {
    /// Calls a clone of the app, once it is ready. Never panics: what does so on the way there, such as the clone, does it when the call is polled, where a panic of a handler comes too
    /// and is told with its request.
    pub(crate) fn call(&self, request: Request<Body>) -> Call {
        log::guard(|| self.0.call(request)).unwrap_or_else(panics_when_polled)
    }
}

#[cold]
fn panics_when_polled(panic: String) -> Call {
    Box::pin(async { resume_unwind(Box::new(panic)) })
}

impl Clone for BoxApp {
    fn clone(&self) -> Self {
        Self(self.0.clone_box())
    }
}

trait Callable: Send {
    fn call(&self, request: Request<Body>) -> Call;
    fn clone_box(&self) -> Box<dyn Callable>;
}

impl<S> Callable for S
where
    S: Service<Request<Body>, Response = Response<ResponseBody>, Error = BoxError> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    fn call(&self, request: Request<Body>) -> Call {
        Box::pin(self.clone().oneshot(request))
    }

    fn clone_box(&self) -> Box<dyn Callable> {
        Box::new(self.clone())
    }
}

/// An app: a cloneable [`tower::Service`] that takes an `http::Request<lodger::Body>` and answers with an `http::Response` of any body.
///
/// Implemented for everything that fits, an `axum::Router` among it; nobody implements it by hand.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an app",
    note = "an app is a `tower::Service<http::Request<lodger::Body>>` that is `Clone + Send`, such as an `axum::Router` without missing state"
)]
pub trait App: Clone + Send + 'static {
    #[doc(hidden)]
    fn into_box_for(self, requests: Requests) -> BoxApp;

    #[doc(hidden)]
    fn into_box(self) -> BoxApp {
        self.into_box_for(Requests::Many)
    }
}

/// How many requests an app is built for.
#[doc(hidden)]
#[derive(Debug, Clone, Copy)]
pub enum Requests {
    /// That of a CGI program.
    One,
    /// Those of a process that stays.
    Many,
}

impl<S, B> App for S
where
    S: Service<Request<Body>, Response = Response<B>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    #[cfg_attr(not(feature = "axum08"), expect(unused_variables, reason = "nothing but a router cares"))]
    fn into_box_for(self, requests: Requests) -> BoxApp {
        #[cfg(feature = "axum08")]
        if let Some(router) = routed::Routed::of(&self, requests) {
            return BoxApp(Box::new(router));
        }
        BoxApp(Box::new(self.map_response(|response| response.map(ResponseBody::new)).map_err(Into::into)))
    }
}

/// Tells the shapes of [`IntoApp`] apart; nobody names them.
#[doc(hidden)]
pub mod shape {
    #![allow(missing_docs, reason = "each is the name of a shape")]

    #[derive(Debug)]
    pub struct Ready;
    #[derive(Debug)]
    pub struct Sync;
    #[derive(Debug)]
    pub struct TrySync;
    #[derive(Debug)]
    pub struct Async;
    #[derive(Debug)]
    pub struct TryAsync;
}

/// Anything that [`run`](crate::run()) takes: an [`App`], or a closure that makes one, with or without `async`, with or without a `Result`.
///
/// A closure is called inside the runtime, after lodger knows who started it. It is `Fn` and not `FnOnce` because a start that failed is tried again.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an app and does not make one",
    note = "pass a `tower::Service`, or a closure `|| app`, `|| Ok(app)`, `|| async {{ app }}` or `|| async {{ Ok(app) }}`"
)]
pub trait IntoApp<M>: Send + Sync + 'static {
    #[doc(hidden)]
    fn build(&self, requests: Requests) -> impl Future<Output = Result<BoxApp, BoxError>> + Send;

    /// Whether the app is a tree of sites, which knows its apps by itself.
    #[cfg(feature = "site")]
    #[doc(hidden)]
    fn is_tree(&self) -> bool;
}

/// Whether an app is a tree of sites.
#[cfg(feature = "site")]
fn is_tree<S: 'static>() -> bool {
    std::any::TypeId::of::<S>() == std::any::TypeId::of::<crate::handler::Tree>()
}

impl<S: App + Sync> IntoApp<shape::Ready> for S {
    async fn build(&self, requests: Requests) -> Result<BoxApp, BoxError> {
        Ok(self.clone().into_box_for(requests))
    }

    #[cfg(feature = "site")]
    fn is_tree(&self) -> bool {
        is_tree::<S>()
    }
}

impl<F, S> IntoApp<shape::Sync> for F
where
    F: Fn() -> S + Send + Sync + 'static,
    S: App,
{
    async fn build(&self, requests: Requests) -> Result<BoxApp, BoxError> {
        Ok(self().into_box_for(requests))
    }

    #[cfg(feature = "site")]
    fn is_tree(&self) -> bool {
        is_tree::<S>()
    }
}

impl<F, S, E> IntoApp<shape::TrySync> for F
where
    F: Fn() -> Result<S, E> + Send + Sync + 'static,
    S: App,
    E: Into<BoxError>,
{
    async fn build(&self, requests: Requests) -> Result<BoxApp, BoxError> {
        self().map(|app| app.into_box_for(requests)).map_err(Into::into)
    }

    #[cfg(feature = "site")]
    fn is_tree(&self) -> bool {
        is_tree::<S>()
    }
}

impl<F, Fut, S> IntoApp<shape::Async> for F
where
    F: Fn() -> Fut + Send + Sync + 'static,
    Fut: Future<Output = S> + Send,
    S: App,
{
    async fn build(&self, requests: Requests) -> Result<BoxApp, BoxError> {
        Ok(self().await.into_box_for(requests))
    }

    #[cfg(feature = "site")]
    fn is_tree(&self) -> bool {
        is_tree::<S>()
    }
}

impl<F, Fut, S, E> IntoApp<shape::TryAsync> for F
where
    F: Fn() -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<S, E>> + Send,
    S: App,
    E: Into<BoxError>,
{
    async fn build(&self, requests: Requests) -> Result<BoxApp, BoxError> {
        self().await.map(|app| app.into_box_for(requests)).map_err(Into::into)
    }

    #[cfg(feature = "site")]
    fn is_tree(&self) -> bool {
        is_tree::<S>()
    }
}
