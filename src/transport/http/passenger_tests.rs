//! What is different under Phusion Passenger, over a pair of sockets.

use super::*;
use crate::{
    app::App as _,
    body::Body,
    ext::RequestExt as _,
    gateway::{Ownership, http::HttpStart},
    settings::Settings,
};
use bytes::Bytes;
use http::Response;
use http_body_util::{BodyExt as _, Full};
use std::convert::Infallible;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
};
use tokio_util::sync::CancellationToken;

/// An app that sends the body back, and the headers it saw in front of it.
async fn echo(request: Request<Body>) -> Result<Response<Full<Bytes>>, Infallible> {
    let names: Vec<_> = request.headers().keys().map(ToString::to_string).collect();
    let (remote, mount) = (request.remote_addr(), request.mount().to_owned());
    let target = request.uri().to_string();
    let body = request.into_body().collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let text = format!("{} {remote:?} {mount} {target} {}", names.join(","), String::from_utf8_lossy(&body));
    Ok(Response::new(Full::from(text)))
}

/// What comes back for `request` on a connection of Passenger's.
async fn ask(request: &str) -> String {
    let mut shared = Shared::new(Settings::default(), Ownership::Own, CancellationToken::new());
    Arc::get_mut(&mut shared).unwrap().http = HttpStart { peer: HttpPeer::Passenger, mount: b"/sub".into() };
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let serving =
        tokio::spawn(serve_http(Socket::from_fd(theirs.into_std().unwrap().into()).unwrap(), false, tower::service_fn(echo).into_box(), shared));
    ours.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    ours.read_to_string(&mut answer).await.unwrap();
    serving.await.unwrap();
    answer
}

#[tokio::test]
async fn its_own_headers_are_believed_and_kept_from_the_app() {
    let answer = ask("GET /sub/x?y HTTP/1.1\r\nConnection: close\r\nhost: site.example\r\nX-Forwarded-For: 192.0.2.66\r\n\
                      !~Passenger-Client-Address: 203.0.113.7\r\n!~Passenger-Envvars: TVlWQVIA\r\n\r\n")
    .await;
    assert!(answer.ends_with("\r\n\r\nhost,x-forwarded-for Some(203.0.113.7:0) /sub /x?y "), "{answer}");
}

#[tokio::test]
async fn no_interim_response_goes_out() {
    let answer = ask("POST /sub/ HTTP/1.1\r\nConnection: close\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\nabc").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with(" abc"), "{answer}");
}

#[tokio::test]
async fn no_interim_response_goes_out_for_a_later_request_either() {
    let request = |close| format!("POST /sub/ HTTP/1.1\r\n{close}host: a\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\nabc");
    let answer = ask(&(request("") + &request("connection: close\r\n"))).await;
    assert!(answer.matches("HTTP/1.1 ").count() == 2 && answer.matches("HTTP/1.1 200 OK\r\n").count() == 2, "{answer}");
}

#[tokio::test]
async fn a_websocket_is_refused_and_other_upgrades_are_not_noticed() {
    let request = |protocol| format!("GET /sub/ HTTP/1.1\r\nConnection: upgrade, close\r\nhost: a\r\nupgrade: {protocol}\r\n\r\n");
    let answer = ask(&request("websocket")).await;
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("LG0315"), "{answer}");
    let answer = ask(&request("h2c")).await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("\r\n\r\nhost None"), "{answer}");
}
