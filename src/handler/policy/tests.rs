//! Requests that come to a gate.
#![expect(clippy::result_large_err, reason = "what a gate gives is what is looked at")]

use super::*;
use crate::{
    app::ResponseBody,
    cgi::{CgiVars, request::Meta},
    config::model::{Bandwidth, Per, Rate},
    error::BoxError,
    ext::Exchange,
    gateway::Gateway,
    handler::{empty, full},
    hints::SendFile,
    profile,
    proto::Role,
};
use bytes::Bytes;
use http_body::Frame;
use http_body_util::{BodyExt as _, LengthLimitError, StreamBody};
use std::{
    net::SocketAddr,
    sync::atomic::{AtomicUsize, Ordering},
};
use tokio::{sync::Barrier, time::advance};
use tokio_stream::iter;

fn from(address: &str) -> Request<Body> {
    let remote_addr: Option<SocketAddr> = address.parse().ok().map(|ip| SocketAddr::new(ip, 4711));
    let meta = Meta { remote_addr, ..Meta::default() };
    let mut request = Request::new(Body::empty());
    request.extensions_mut().insert(Exchange::new(CgiVars::new(), Gateway::FastCgi, &profile::UNKNOWN, meta, Role::Responder, None));
    request
}

fn visitor() -> Request<Body> {
    from("192.0.2.7")
}

fn rate(requests: u32, burst: u32) -> Option<Rate> {
    Some(Rate { requests, within: Duration::from_secs(60), burst, per: Per::Client })
}

fn bandwidth(bytes_per_second: u64, burst: u64) -> Option<Bandwidth> {
    Some(Bandwidth { bytes_per_second, burst, per: Per::Client })
}

/// Status, code and Retry-After of the answer that a request was refused with.
fn refusal(entered: Result<(Request<Body>, Pass), Answer>) -> (u16, &'static str, Option<String>) {
    let answer = entered.expect_err("refused");
    let failure = answer.extensions().get::<Failure>().expect("a failure becomes a page");
    let wait = answer.headers().get(header::RETRY_AFTER).map(|wait| wait.to_str().unwrap().to_owned());
    assert_eq!(answer.status(), failure.status);
    (failure.status.as_u16(), failure.code.map_or("", code::Code::as_str), wait)
}

/// An answer with a body of these pieces.
fn pieces(pieces: &[&'static [u8]]) -> Answer {
    let frames: Vec<_> = pieces.iter().map(|piece| Ok::<_, BoxError>(Frame::data(Bytes::from_static(piece)))).collect();
    Answer::new(ResponseBody::new(StreamBody::new(iter(frames))))
}

#[test]
fn an_open_gate_leaves_request_and_answer_alone() {
    let gate = Gate::new(&Policy { timeout: Some(Duration::from_secs(1)), ..Policy::default() });
    assert!(gate.0.is_none());
    let (_, pass) = gate.enter(visitor()).unwrap();
    let mut answer = Answer::new(full("body"));
    answer.extensions_mut().insert(SendFile::new("/file"));
    assert!(pass.watch(answer).extensions().get::<SendFile>().is_some());
}

#[test]
fn an_address_that_is_kept_out_is_forbidden_before_anything_is_counted() {
    let gate = Gate::new(&Policy { deny: vec!["192.0.2.7".parse().unwrap()], rate: rate(1, 1), ..Policy::default() });
    let refused = gate.enter(from("192.0.2.7")).unwrap_err();
    assert_eq!(refused.extensions().get::<Failure>(), Some(&Failure::FORBIDDEN));
    assert!(gate.enter(from("192.0.2.8")).is_ok());
    assert!(gate.enter(from("")).is_ok(), "a client without an address is on no list");
    let few = Gate::new(&Policy { allow: vec!["192.0.2.7".parse().unwrap()], ..Policy::default() });
    assert!(few.enter(from("192.0.2.7")).is_ok());
    assert_eq!(refusal(few.enter(from(""))).0, 403);
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_by_its_declared_length_or_cut_where_it_goes_over() {
    let gate = Gate::new(&Policy { max_body: Some(4), ..Policy::default() });
    let declared = |length: &str| {
        let mut request = visitor();
        request.headers_mut().insert(header::CONTENT_LENGTH, length.parse().unwrap());
        request
    };
    for (length, refused) in [("4", false), ("5", true), ("99999999999999999999", false), ("five", false)] {
        assert_eq!(gate.enter(declared(length)).is_err(), refused, "{length}");
    }
    assert_eq!(refusal(gate.enter(declared("5"))), (413, "LG0503", None));
    assert_eq!(refusal(gate.enter(visitor().map(|_| Body::from("12345")))).0, 413);

    let (request, _pass) = gate.enter(visitor().map(|_| Body::from("1234"))).unwrap();
    assert_eq!((request.body().size_hint().exact(), request.body().is_end_stream()), (Some(4), false));
    assert_eq!(request.into_body().collect().await.unwrap().to_bytes(), "1234");

    let unknown = Body::new(pieces(&[b"123", b"45"]).into_body());
    let (request, _pass) = gate.enter(visitor().map(|_| unknown)).unwrap();
    let error = request.into_body().collect().await.unwrap_err();
    assert!(error.is::<LengthLimitError>(), "{error}");
    let (request, _pass) = gate.enter(visitor()).unwrap();
    assert!(request.body().is_end_stream());
}

#[tokio::test(start_paused = true)]
async fn who_comes_too_often_is_told_when_to_come_back_and_let_in_then() {
    let gate = Gate::new(&Policy { rate: rate(40, 2), ..Policy::default() });
    let clone = gate.clone();
    assert!(gate.enter(visitor()).is_ok() && clone.enter(visitor()).is_ok());
    assert_eq!(refusal(gate.enter(visitor())), (429, "LG0508", Some("2".into())), "a second and a half, in whole seconds");
    assert!(gate.enter(from("192.0.2.8")).is_ok());
    advance(Duration::from_secs(2)).await;
    assert!(gate.enter(visitor()).is_ok());
}

#[tokio::test(start_paused = true)]
async fn who_was_sent_too_much_waits_until_the_debt_is_over() {
    let gate = Gate::new(&Policy { bandwidth: bandwidth(10, 10), ..Policy::default() });
    let (_, pass) = gate.enter(visitor()).unwrap();
    let mut answer = pieces(&[b"twelve bytes", b"and twelve more"]);
    answer.extensions_mut().insert(SendFile::new("/file"));
    let answer = pass.watch(answer);
    assert!(answer.extensions().get::<SendFile>().is_none(), "what the web server sends cannot be counted");
    let mut body = answer.into_body();
    assert!(gate.enter(visitor()).is_ok(), "nothing is charged before it is sent");
    body.frame().await.unwrap().unwrap();
    assert_eq!(refusal(gate.enter(visitor())), (429, "LG0510", Some("1".into())), "two bytes over ten");
    body.frame().await.unwrap().unwrap();
    assert_eq!(refusal(gate.enter(visitor())), (429, "LG0510", Some("2".into())), "seventeen bytes over ten");
    assert!(gate.enter(from("192.0.2.8")).is_ok());
    advance(Duration::from_millis(1699)).await;
    assert!(gate.enter(visitor()).is_err());
    advance(Duration::from_millis(1)).await;
    assert!(gate.enter(visitor()).is_ok());
}

#[tokio::test]
async fn a_response_that_is_dropped_half_way_is_charged_for_what_was_sent() {
    let gate = Gate::new(&Policy { bandwidth: bandwidth(1, 3), ..Policy::default() });
    let (_, pass) = gate.enter(visitor()).unwrap();
    let mut body = pass.watch(pieces(&[b"123", b"456"])).into_body();
    body.frame().await.unwrap().unwrap();
    drop(body);
    assert!(gate.enter(visitor()).is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn never_more_are_in_work_than_may_be_and_never_fewer_while_there_is_room() {
    const MOST: usize = 17;
    let gate = Gate::new(&Policy { max_concurrent: Some(MOST), ..Policy::default() });
    for _ in 0..5 {
        let (in_work, most_seen) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let all_asked = Arc::new(Barrier::new(1000));
        let tasks: Vec<_> = (0..1000)
            .map(|_| {
                let (gate, in_work, most_seen, all_asked) = (gate.clone(), in_work.clone(), most_seen.clone(), all_asked.clone());
                tokio::spawn(async move {
                    let entered = gate.enter(visitor()).inspect(|_| {
                        most_seen.fetch_max(in_work.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    });
                    all_asked.wait().await;
                    entered.is_ok()
                })
            })
            .collect();
        let mut let_in = 0;
        for task in tasks {
            let_in += usize::from(task.await.unwrap());
        }
        assert_eq!((let_in, most_seen.load(Ordering::SeqCst)), (MOST, MOST));
    }
}

#[tokio::test]
async fn a_place_is_free_again_however_the_request_is_over() {
    let gate = Gate::new(&Policy { max_concurrent: Some(1), ..Policy::default() });
    let enter = || gate.enter(visitor());
    let full_up = || refusal(enter()) == (503, "LG0509", Some("1".into()));

    let (_, pass) = enter().unwrap();
    let mut body = pass.watch(pieces(&[b"1", b"2"])).into_body();
    body.frame().await.unwrap().unwrap();
    body.frame().await.unwrap().unwrap();
    assert!(full_up(), "the body has not ended");
    assert!(body.frame().await.is_none());
    drop(enter().expect("the body has ended"));
    drop(body);

    let (_, pass) = enter().unwrap();
    let mut body = pass.watch(pieces(&[b"1", b"2"])).into_body();
    body.frame().await.unwrap().unwrap();
    assert!(full_up());
    drop(body);
    drop(enter().expect("the body was dropped"));

    let (_, pass) = enter().unwrap();
    let broken = ResponseBody::new(StreamBody::new(iter([Err::<Frame<Bytes>, BoxError>("broken".into())])));
    let mut body = pass.watch(Answer::new(broken)).into_body();
    assert!(full_up());
    assert!(body.frame().await.unwrap().is_err());
    drop(enter().expect("the body failed"));

    let (_, pass) = enter().unwrap();
    let answer = pass.watch(empty(StatusCode::NO_CONTENT));
    drop(enter().expect("there is no body"));
    drop(answer);

    let (_, pass) = enter().unwrap();
    let handler = tokio::spawn(async move {
        let _pass = pass;
        panic!("the handler panics");
    });
    assert!(handler.await.is_err());
    drop(enter().expect("the handler panicked"));

    let (_, pass) = enter().unwrap();
    let handler = async move {
        let _pass = pass;
        std::future::pending::<()>().await;
    };
    assert!(full_up());
    drop(handler);
    drop(enter().expect("the future of the handler was dropped"));
}

#[test]
fn a_watched_body_is_as_long_as_before() {
    let gate = Gate::new(&Policy { max_concurrent: Some(1), ..Policy::default() });
    let (_, pass) = gate.enter(visitor()).unwrap();
    let answer = pass.watch(Answer::new(full("four")));
    assert_eq!((answer.body().size_hint().exact(), answer.body().is_end_stream()), (Some(4), false));
}

#[tokio::test(start_paused = true)]
async fn who_is_refused_pays_for_what_was_asked_before_and_for_nothing_after() {
    let policy = Policy { max_body: Some(1), rate: rate(60, 2), bandwidth: bandwidth(1, 0), max_concurrent: Some(1), ..Policy::default() };
    let gate = Gate::new(&policy);
    assert_eq!(refusal(gate.enter(visitor().map(|_| Body::from("12")))).0, 413);
    let (_, pass) = gate.enter(visitor()).expect("a body that is too large is not counted in the rate");
    assert_eq!(refusal(gate.enter(visitor())).1, "LG0509");
    assert_eq!(refusal(gate.enter(visitor())).1, "LG0508", "who was refused for want of room has spent its part of the rate");

    let mut body = pass.watch(pieces(&[b"1234"])).into_body();
    body.frame().await.unwrap().unwrap();
    drop(body);
    advance(Duration::from_secs(1)).await;
    assert_eq!(refusal(gate.enter(visitor())).1, "LG0510");
    assert_eq!(refusal(gate.enter(visitor())).1, "LG0508");
    assert!(gate.enter(from("192.0.2.8")).is_ok(), "those who were refused hold no place");
}

#[test]
fn gates_of_a_site_and_of_its_route_both_count() {
    let site = Gate::new(&Policy { max_concurrent: Some(2), ..Policy::default() });
    let route = Gate::new(&Policy { max_concurrent: Some(1), ..Policy::default() });
    let enter = || {
        let (request, of_site) = site.enter(visitor()).ok()?;
        route.enter(request).ok().map(|(_, of_route)| (of_site, of_route))
    };
    let first = enter().unwrap();
    assert!(enter().is_none());
    assert!(site.enter(visitor()).is_ok(), "who was refused by the route gives the place of the site back");
    drop(first);
    assert!(enter().is_some());
}
