//! The hello with the crate tokio-fastcgi, the way its example goes. The listening socket is fd 0.

use std::os::{fd::AsFd as _, unix};
use tokio::net::{UnixListener, unix::WriteHalf};
use tokio_fastcgi::{Request, RequestResult, Requests};

const HELLO: &[u8] = b"Content-Type: text/plain; charset=utf-8\r\nContent-Length: 13\r\n\r\nhello, world\n";
const MISSING: &[u8] = b"Status: 404 Not Found\r\nContent-Length: 0\r\n\r\n";

async fn hello(request: &Request<WriteHalf<'_>>) -> RequestResult {
    let page = if request.get_str_param("request_uri") == Some("/hello") { HELLO } else { MISSING };
    match request.get_stdout().write(page).await {
        Ok(_) => RequestResult::Complete(0),
        Err(_) => RequestResult::Complete(1),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let listener = unix::net::UnixListener::from(std::io::stdin().as_fd().try_clone_to_owned()?);
    listener.set_nonblocking(true)?;
    let listener = UnixListener::from_std(listener)?;
    loop {
        let (mut stream, _) = listener.accept().await?;
        tokio::spawn(async move {
            let mut requests = Requests::from_split_socket(stream.split(), 255, 255);
            while let Ok(Some(request)) = requests.next().await {
                if request.process(async |request| hello(&request).await).await.is_err() {
                    break;
                }
            }
        });
    }
}
