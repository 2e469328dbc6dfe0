//! A connection that became something else.

use super::*;
use crate::{app::App as _, gateway::Ownership, transport::connection::serve_connection};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
};
use tokio_util::sync::CancellationToken;

#[tokio::test]
async fn a_connection_that_became_something_else_is_work_until_its_end() {
    let app = tower::service_fn(|request: Request<crate::body::Body>| async move {
        tokio::spawn(async move {
            let upgraded = hyper::upgrade::on(request).await.unwrap();
            // It lives for as long as the other end does.
            TokioIo::new(upgraded).read_to_end(&mut Vec::new()).await.unwrap();
        });
        let response = http::Response::builder().status(StatusCode::SWITCHING_PROTOCOLS);
        response.header("connection", "upgrade").header("upgrade", "something").body(String::new())
    });
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let shared = Shared::new(crate::settings::Settings::default(), Ownership::Shared, CancellationToken::new());
    let served =
        tokio::spawn(serve_connection(Socket::from_fd(theirs.into_std().unwrap().into()).unwrap(), app.into_box(), Arc::clone(&shared), None));
    ours.write_all(b"GET / HTTP/1.1\r\nHost: example.org\r\nConnection: upgrade\r\nUpgrade: something\r\n\r\n").await.unwrap();
    let mut answer = vec![0; 12];
    ours.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, b"HTTP/1.1 101");
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!((shared.work().in_work, shared.in_work.load(Ordering::Relaxed)), (1, 0));
    drop(ours);
    served.await.unwrap();
    assert_eq!(shared.work().in_work, 0);
}
