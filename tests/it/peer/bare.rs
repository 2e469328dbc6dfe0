//! SCGI and uwsgi as a web server writes them: variables, a bare body, and an answer that ends with the connection.

use super::Peer;
use super::ask::Ask;
use super::conn::{Conn, Reply};

/// One of the two protocols.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bare {
    Scgi,
    Uwsgi,
}

pub(crate) const BOTH: [Bare; 2] = [Bare::Scgi, Bare::Uwsgi];

impl Bare {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Scgi => "scgi",
            Self::Uwsgi => "uwsgi",
        }
    }

    /// The variables of a request. SCGI has `CONTENT_LENGTH` as its first one, and `0` where there is no body.
    pub(crate) fn head(self, ask: &Ask) -> Vec<u8> {
        match self {
            Self::Scgi => {
                let (length, others): (Vec<_>, Vec<_>) = ask.vars().iter().cloned().partition(|(name, _)| name == b"CONTENT_LENGTH");
                let length = length.into_iter().map(|(name, value)| if value.is_empty() { (name, b"0".to_vec()) } else { (name, value) });
                netstring(&[length.collect(), vec![(b"SCGI".to_vec(), b"1".to_vec())], others].concat())
            }
            Self::Uwsgi => packet(ask.vars()),
        }
    }

    pub(crate) fn all(self, ask: &Ask) -> Vec<u8> {
        [&self.head(ask), ask.body()].concat()
    }

    /// Asks on a connection of its own.
    #[track_caller]
    pub(crate) fn ask(self, peer: &Peer, ask: &Ask) -> Reply {
        let mut conn = peer.connect();
        conn.send(&self.all(ask));
        self.reply(&mut conn)
    }

    /// Reads to the end of the connection. What comes is told as CGI has it, `Status` first, whatever the protocol makes of that.
    #[track_caller]
    pub(crate) fn reply(self, conn: &mut Conn) -> Reply {
        let (mut stdout, reset) = conn.rest_and_end();
        if self == Self::Uwsgi && !stdout.is_empty() {
            let rest = stdout.strip_prefix(b"HTTP/1.1 ").unwrap_or_else(|| panic!("no status line: {:?}", String::from_utf8_lossy(&stdout)));
            stdout = [b"Status: ", rest].concat();
        }
        Reply { stdout, reset, ..Reply::default() }
    }
}

fn netstring(vars: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let text: Vec<u8> = vars.iter().flat_map(|(name, value)| [name, &b"\0"[..], value, b"\0"].concat()).collect();
    [text.len().to_string().as_bytes(), b":", &text, b","].concat()
}

fn packet(vars: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let size = |length: usize| u16::try_from(length).expect("no more than uwsgi can say").to_le_bytes();
    let text: Vec<u8> = vars.iter().flat_map(|(name, value)| [&size(name.len())[..], name, &size(value.len()), value].concat()).collect();
    let [low, high] = size(text.len());
    [&[0, low, high, 0], &text[..]].concat()
}
