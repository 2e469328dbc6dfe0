//! One request whose variables are known and whose body follows bare: plain CGI.
//!
//! RFC 3875, 4.2: "A request-body is supplied with the request if the CONTENT_LENGTH is not NULL", and 6: the response goes out bare too.

use super::{Event, Outbox, Params, RequestId, ResponsePart, Rest, Role, Violation, Wire};
use bytes::BytesMut;

/// The only request on such a connection.
pub(super) const ID: RequestId = 1;

/// How the end of a bare body is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyLength {
    /// There is no body: not a byte of the input is read.
    None,
    /// So many bytes belong to the body; what follows belongs to nobody.
    Exact(u64),
    /// The body goes on until the input ends.
    UntilEof,
}

/// A request with a bare body.
#[derive(Debug)]
pub(crate) struct Plain {
    request: Option<Params>,
    left: BodyLength,
    body: BodyState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BodyState {
    Open,
    /// The input is over; the event that says so is still to be told.
    InputEnded,
    Told,
}

impl Plain {
    /// A request with these variables and a body of this length.
    pub(crate) fn new(params: Params, length: BodyLength) -> Self {
        Self { request: Some(params), left: length, body: BodyState::Open }
    }

    /// The body of a request that was told already.
    pub(super) fn body(length: BodyLength) -> Self {
        Self { request: None, left: length, body: BodyState::Open }
    }

    /// How many bytes of the body were not told yet, at most.
    pub(super) fn left(&self) -> u64 {
        match self.left {
            BodyLength::None => 0,
            BodyLength::Exact(left) => left,
            BodyLength::UntilEof => u64::MAX,
        }
    }

    fn told(&mut self, event: Event) -> Option<Event> {
        self.body = BodyState::Told;
        Some(event)
    }
}

/// All variables of the only request on a connection.
pub(super) fn request(params: Params) -> Event {
    Event::Request { id: ID, keep_conn: false, role: Role::Responder, params }
}

impl Wire for Plain {
    const HAS_STDERR: bool = false;

    fn next_event(&mut self, input: &mut BytesMut, _out: &mut Outbox) -> Result<Option<Event>, Violation> {
        if let Some(params) = self.request.take() {
            return Ok(Some(request(params)));
        }
        if self.body == BodyState::Told {
            input.clear();
            return Ok(None);
        }
        let wanted = match self.left {
            BodyLength::None | BodyLength::Exact(0) => return Ok(self.told(Event::BodyEnd { id: ID })),
            BodyLength::Exact(left) => usize::try_from(left).unwrap_or(usize::MAX),
            BodyLength::UntilEof => usize::MAX,
        };
        if !input.is_empty() {
            let chunk = input.split_to(wanted.min(input.len())).freeze();
            if let BodyLength::Exact(left) = &mut self.left {
                *left -= chunk.len() as u64;
            }
            return Ok(Some(Event::Body { id: ID, chunk }));
        }
        Ok(match (self.body, self.left) {
            (BodyState::InputEnded, BodyLength::UntilEof) => self.told(Event::BodyEnd { id: ID }),
            (BodyState::InputEnded, _) => self.told(Event::BodyCut { id: ID }),
            _ => None,
        })
    }

    fn wants_input(&self) -> bool {
        self.body != BodyState::Told
    }

    fn end_of_input(&mut self) {
        if self.body == BodyState::Open {
            self.body = BodyState::InputEnded;
        }
    }

    fn respond(&mut self, _id: RequestId, part: ResponsePart<'_>, out: &mut Outbox) {
        match part {
            ResponsePart::Head { block, .. } => out.put_slice(block),
            ResponsePart::Data(data) => out.put(data),
            _ => {}
        }
    }

    fn rest(&self) -> Rest {
        if self.body == BodyState::Told { Rest::Close } else { Rest::Linger }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(length: BodyLength, input: &[u8], eof: bool) -> (Vec<Event>, Rest) {
        let (mut plain, mut buf, mut out) = (Plain::new(Params::default(), length), BytesMut::from(input), Outbox::default());
        let mut events = Vec::new();
        let mut ended = false;
        loop {
            match plain.next_event(&mut buf, &mut out).unwrap() {
                Some(event) => events.push(event),
                None if eof && !ended => {
                    plain.end_of_input();
                    ended = true;
                }
                None => return (events.split_off(1), plain.rest()),
            }
        }
    }

    fn body(text: &'static str) -> Event {
        Event::Body { id: 1, chunk: text.into() }
    }

    #[test]
    fn a_declared_length_is_exact_and_what_follows_is_nobodys() {
        assert_eq!(events(BodyLength::Exact(3), b"abcdef", false), (vec![body("abc"), Event::BodyEnd { id: 1 }], Rest::Close));
    }

    #[test]
    fn a_body_that_stops_short_is_cut() {
        assert_eq!(events(BodyLength::Exact(3), b"ab", true).0, vec![body("ab"), Event::BodyCut { id: 1 }]);
    }

    #[test]
    fn a_body_of_unknown_length_ends_with_the_input() {
        assert_eq!(events(BodyLength::UntilEof, b"ab", true).0, vec![body("ab"), Event::BodyEnd { id: 1 }]);
        assert_eq!(events(BodyLength::UntilEof, b"ab", false), (vec![body("ab")], Rest::Linger));
    }

    #[test]
    fn without_a_body_nothing_is_waited_for() {
        assert_eq!(events(BodyLength::None, b"", false), (vec![Event::BodyEnd { id: 1 }], Rest::Close));
    }
}
