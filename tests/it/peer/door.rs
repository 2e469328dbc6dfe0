//! Every protocol that one socket speaks, asked in the same way.

use super::ask::Ask;
use super::bare::Bare;
use super::conn::{Conn, Reply};
use super::{Peer, lsapi};

/// A protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    FastCgi,
    Lsapi,
    Scgi,
    Uwsgi,
    Http,
}

pub(crate) const DOORS: [Door; 5] = [Door::FastCgi, Door::Lsapi, Door::Scgi, Door::Uwsgi, Door::Http];

impl Door {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::FastCgi => "fastcgi",
            Self::Lsapi => "lsapi",
            Self::Scgi => "scgi",
            Self::Uwsgi => "uwsgi",
            Self::Http => "http",
        }
    }

    /// A request with its body, as bytes.
    pub(crate) fn all(self, ask: &Ask) -> Vec<u8> {
        match self {
            Self::FastCgi => ask.all(),
            Self::Lsapi => lsapi::all(ask),
            Self::Scgi => Bare::Scgi.all(ask),
            Self::Uwsgi => Bare::Uwsgi.all(ask),
            Self::Http => http(ask),
        }
    }

    /// Reads the answer to the only request of a connection. However a protocol has it, `stdout` holds it as CGI does.
    #[track_caller]
    pub(crate) fn reply(self, conn: &mut Conn) -> Reply {
        match self {
            Self::FastCgi => conn.reply(1),
            Self::Lsapi => lsapi::reply(conn),
            Self::Scgi => Bare::Scgi.reply(conn),
            // A response of HTTP without chunks, at the end of which the connection is closed, looks as that of uwsgi does.
            Self::Uwsgi | Self::Http => Bare::Uwsgi.reply(conn),
        }
    }

    /// Asks on a connection of its own.
    #[track_caller]
    pub(crate) fn ask(self, peer: &Peer, ask: &Ask) -> Reply {
        let mut conn = peer.connect();
        conn.send(&self.all(ask));
        self.reply(&mut conn)
    }
}

/// As a proxy asks that closes after each request.
fn http(ask: &Ask) -> Vec<u8> {
    let text = |bytes: &[u8]| str::from_utf8(bytes).unwrap().to_owned();
    let var = |name: &str| ask.vars().iter().find(|(known, _)| known == name.as_bytes()).map(|(_, value)| text(value)).unwrap_or_default();
    let mut head = format!("{} {} HTTP/1.1\r\nConnection: close\r\n", var("REQUEST_METHOD"), var("REQUEST_URI"));
    for (name, value) in ask.vars() {
        if let Some(name) = text(name).strip_prefix("HTTP_") {
            head.push_str(&format!("{}: {}\r\n", name.replace('_', "-"), text(value)));
        }
    }
    if !ask.body().is_empty() {
        head.push_str(&format!("Content-Length: {}\r\n", ask.body().len()));
    }
    [format!("{head}\r\n").as_bytes(), ask.body()].concat()
}
