//! One request and its response: calls the app, holds the head back until it is safe, cuts and checks the body, turns failures into answers.

use super::{
    adapt::{Adapted, adapt, padding},
    failure::Failure,
    grant,
};
use crate::{
    app::{Call, ResponseBody},
    cgi::response::{Allowed, Head},
    diagnostic::codes::{self as code, Code},
    ext,
    proto::Role,
    telemetry::log::{chain, guard},
};
use bytes::{Bytes, BytesMut};
use http::{Method, Response, StatusCode};
use http_body::Body as _;
use std::{
    collections::VecDeque,
    ffi::OsStr,
    os::unix::ffi::OsStrExt as _,
    path::Path,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::time::Instant;

/// Held chunks up to this size in all are sent in the buffer of the head.
const JOIN_BELOW: usize = 4096;

/// What an exchange wants to happen next.
#[derive(Debug)]
pub(super) enum Step {
    /// The response begins. Small bodies come with it, so that they go out in one piece.
    Head { head: Box<Head>, start: Bytes },
    /// A piece of the body.
    Data(Bytes),
    /// The response is complete.
    End,
    /// The response broke after its head went out; `declared` tells whether a length was promised.
    Broken { declared: bool },
}

/// A request in work.
pub(super) struct Exchange {
    stage: Stage,
    allowed: Allowed,
    /// What is known of the request.
    facts: ext::Exchange,
    method: Method,
    /// Whether the request body is still on its way behind a web server that would stop sending it when it saw the head.
    upload_first: bool,
    /// When the response began to be held back for that.
    held_since: Option<Instant>,
    /// A head that is to go out before anything else, and the start of the body.
    ready: Option<(Box<Head>, Bytes)>,
    /// What was held of the body and goes out next.
    pieces: VecDeque<Bytes>,
    /// Whether the log has been told that the body is longer than its declared length.
    excess_told: bool,
    /// How many bytes make the web server pass on an event, for an app that asked for it.
    padding: Option<usize>,
    /// An event went out that the web server may still hold.
    event_held: bool,
}

enum Stage {
    Handling(Call),
    /// The handler has answered, and what becomes of its answer is being decided: all of it is in the hands of who decides, and nothing here.
    Deciding,
    Holding(Box<Holding>),
    Streaming {
        body: ResponseBody,
        left: Option<u64>,
        declared: bool,
    },
    Ending,
    Broken {
        declared: bool,
    },
    Done,
}

/// A response that is held back.
struct Holding {
    head: Box<Head>,
    body: ResponseBody,
    held: Held,
}

/// What is held of the body of a response: most often one piece.
#[derive(Default)]
struct Held {
    first: Bytes,
    others: Vec<Bytes>,
    len: usize,
}

impl Held {
    fn push(&mut self, chunk: Bytes) {
        self.len += chunk.len();
        if self.first.is_empty() {
            self.first = chunk;
        } else {
            self.others.push(chunk);
        }
    }
}

/// What a look at the body of the response found.
enum Look {
    Chunk(Bytes),
    End,
    Failed(Code, String),
    Pending,
}

impl Exchange {
    /// `body_follows`: there is a body, and it has not ended. `upgrade`: the connection may become something else.
    pub(super) fn new(call: Call, method: Method, facts: ext::Exchange, body_follows: bool, upgrade: bool) -> Self {
        Self {
            stage: Stage::Handling(call),
            allowed: Allowed { head_request: method == Method::HEAD, upgrade },
            upload_first: facts.profile().head_ends_upload && body_follows,
            facts,
            method,
            held_since: None,
            ready: None,
            pieces: VecDeque::new(),
            excess_told: false,
            padding: None,
            event_held: false,
        }
    }

    /// Method and path, for the log.
    fn name(&self) -> String {
        format!("{} {}", self.method, self.facts.path())
    }

    /// Where LiteSpeed may take files from.
    fn document_root(&self) -> Option<&Path> {
        self.facts.cgi_vars().get("DOCUMENT_ROOT").map(|root| Path::new(OsStr::from_bytes(root)))
    }

    /// Whether the response head has not gone out, so that any other answer is still possible.
    pub(super) fn is_undecided(&self) -> bool {
        matches!(self.stage, Stage::Handling(_) | Stage::Deciding | Stage::Holding(_))
    }

    /// Whether only the response is left to send, so that an exchange may wait while nobody takes its bytes.
    pub(super) fn is_sending(&self) -> bool {
        !matches!(self.stage, Stage::Handling(_))
    }

    /// Whether nothing follows what was told already but the end.
    pub(super) fn has_told_all(&self) -> bool {
        matches!(self.stage, Stage::Ending) && self.ready.is_none() && self.pieces.is_empty()
    }

    /// The request body has ended, or its sender waits for us.
    pub(super) fn upload_ended(&mut self) {
        self.upload_first = false;
    }

    /// Whether nothing goes on before the request body has ended, so that it has to be read whoever takes it.
    pub(super) fn waits_for_upload(&self) -> bool {
        self.upload_first && matches!(self.stage, Stage::Holding(_))
    }

    /// When the response began to be held back for the request body, while it is.
    pub(super) fn held_since(&self) -> Option<Instant> {
        self.held_since.filter(|_| self.waits_for_upload())
    }

    /// Goes on until there is something to send.
    ///
    /// A panic of the app is caught here and nowhere else: it is the failure of one request.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Step> {
        loop {
            if let Some((head, start)) = self.ready.take() {
                return Poll::Ready(Step::Head { head, start });
            }
            if let Some(piece) = self.pieces.pop_front() {
                return Poll::Ready(Step::Data(piece));
            }
            match &mut self.stage {
                Stage::Handling(call) => match guard(|| call.as_mut().poll(cx)) {
                    Ok(Poll::Pending) => return Poll::Pending,
                    Ok(Poll::Ready(Ok(response))) => {
                        self.set(Stage::Deciding);
                        ready!(self.answered(response, cx));
                    }
                    Ok(Poll::Ready(Err(error))) => self.failed(code::APP_FAILED, &chain(error)),
                    Err(panic) => self.failed(code::APP_PANICKED, &format!("the handler panicked: {panic}")),
                },
                Stage::Holding(_) => {
                    if let Stage::Holding(holding) = std::mem::replace(&mut self.stage, Stage::Deciding) {
                        ready!(self.hold(*holding, cx));
                    }
                }
                Stage::Streaming { .. } => match self.stream(cx) {
                    Some(step) => return Poll::Ready(step),
                    None if matches!(self.stage, Stage::Streaming { .. }) => return Poll::Pending,
                    None => {}
                },
                Stage::Ending => {
                    self.stage = Stage::Done;
                    return Poll::Ready(Step::End);
                }
                Stage::Broken { declared } => {
                    let declared = *declared;
                    self.stage = Stage::Done;
                    return Poll::Ready(Step::Broken { declared });
                }
                Stage::Deciding | Stage::Done => return Poll::Pending,
            }
        }
    }

    /// Gives the request up and answers in the handler's place, or breaks the response when its head is out.
    #[cold]
    pub(super) fn fail(&mut self, failure: Failure) {
        tracing::warn!(target: "lodger", "{}: {} ({})", failure.code, failure.sentence, self.name());
        self.replace(failure.status, failure.code);
    }

    #[cold]
    fn failed(&mut self, code: Code, sentence: &str) {
        tracing::error!(target: "lodger", "{code}: {sentence} ({})", self.name());
        self.replace(StatusCode::INTERNAL_SERVER_ERROR, code);
    }

    #[cold]
    fn replace(&mut self, status: StatusCode, code: Code) {
        if self.is_undecided() {
            let (head, start) = Head::of_error(status, code.as_str(), self.facts.accept(), self.allowed.head_request);
            self.ready = Some((Box::new(head), start));
            self.set(Stage::Ending);
        } else if let Stage::Streaming { declared, .. } = self.stage {
            self.set(Stage::Broken { declared });
        }
    }

    /// Drops what the app left behind; a panic in a destructor must not leave the request.
    fn set(&mut self, stage: Stage) {
        let old = std::mem::replace(&mut self.stage, stage);
        self.drop_guarded(old);
    }

    fn drop_guarded<T>(&self, of_the_app: T) {
        if let Err(panic) = guard(|| drop(of_the_app)) {
            self.tell_panic_of_destructor(&panic);
        }
    }

    #[cold]
    fn tell_over_budget(&self, warning: &str) {
        tracing::warn!(target: "lodger", "{}: {warning} ({})", code::FAT_HEADER, self.name());
    }

    #[cold]
    fn tell_panic_of_destructor(&self, panic: &str) {
        tracing::error!(target: "lodger", "{}: a destructor panicked: {panic} ({})", code::APP_PANICKED, self.name());
    }

    fn answered(&mut self, response: Response<ResponseBody>, cx: &mut Context<'_>) -> Poll<()> {
        let (mut parts, body) = response.into_parts();
        let profile = self.facts.profile();
        let granted = (self.facts.role() == Role::Authorizer).then(|| grant::take(&mut parts, profile)).flatten();
        let Adapted { offloaded, padding } = if granted.is_some() { Adapted::default() } else { adapt(&mut parts, profile, || self.document_root()) };
        self.padding = padding;
        self.drop_guarded(std::mem::take(&mut parts.extensions));
        let head = granted.map_or_else(|| Head::new(parts, self.allowed), |variables| Ok(Head::of_grant(variables)));
        let head = head.map_err(|error| (code::RESPONSE_UNSENDABLE, error.to_string()));
        // A length that is known is declared: it is what makes a broken response visible behind most web servers.
        let known = guard(|| body.size_hint().exact()).map_err(|panic| (code::APP_PANICKED, format!("the body of the response panicked: {panic}")));
        let (mut head, known) = match head.and_then(|head| Ok((Box::new(head), known?))) {
            Ok(both) => both,
            Err((code, sentence)) => {
                self.failed(code, &sentence);
                self.drop_guarded(body);
                return Poll::Ready(());
            }
        };
        if let Some(warning) = head.over_budget(profile) {
            self.tell_over_budget(&warning);
        }
        head.declared = head.declared.or(known.filter(|length| *length > 0 || !self.allowed.head_request)).filter(|_| !offloaded);
        if head.body_allowed && !offloaded {
            self.held_since = self.upload_first.then(Instant::now);
            return self.hold(Holding { head, body, held: Held::default() }, cx);
        }
        self.ready = Some((head, Bytes::new()));
        self.stage = Stage::Ending;
        self.drop_guarded(body);
        Poll::Ready(())
    }

    /// The head goes out when the body has ended, when enough is held, or when the body is pending: until then a failure becomes a clean error.
    /// Behind a web server whose upload the head would end, a response that is not complete waits for that.
    fn hold(&mut self, mut holding: Holding, cx: &mut Context<'_>) -> Poll<()> {
        let commit_at = self.facts.profile().commit_bytes;
        let Holding { body, held, .. } = &mut holding;
        let ended = loop {
            if held.len >= commit_at {
                break false;
            }
            match look(body, cx) {
                Look::Chunk(chunk) => {
                    held.push(chunk);
                    // A body that is known to be over need not be asked for more.
                    if guard(|| body.is_end_stream()).unwrap_or(false) {
                        break true;
                    }
                }
                Look::End => break true,
                Look::Pending => break false,
                Look::Failed(code, sentence) => {
                    self.failed(code, &sentence);
                    self.drop_guarded(holding);
                    return Poll::Ready(());
                }
            }
        };
        if !ended && self.upload_first {
            self.stage = Stage::Holding(Box::new(holding));
            return Poll::Pending;
        }
        self.commit(holding, ended, cx);
        Poll::Ready(())
    }

    fn commit(&mut self, holding: Holding, ended: bool, cx: &mut Context<'_>) {
        let Holding { mut head, body, held } = holding;
        let held_len = held.len as u64;
        if let Some(declared) = head.declared.filter(|declared| ended && held_len < *declared) {
            self.failed(code::BODY_TOO_SHORT, &format!("the app declared {declared} bytes and sent {held_len}"));
            return self.drop_guarded((body, held));
        }
        head.declared = head.declared.or(ended.then_some(held_len));
        let (mut left, declared) = (head.declared, head.declared.is_some() && self.facts.profile().trusts_length);
        let (joined, alone) = (held.len <= JOIN_BELOW, held.others.is_empty());
        let mut start = self.take_held(held.first, &mut left);
        let others = held.others.into_iter().map(|piece| self.take_held(piece, &mut left));
        if !joined {
            let pieces = std::iter::once(std::mem::take(&mut start)).chain(others);
            self.pieces = pieces.filter(|piece| !piece.is_empty()).collect();
        } else if !alone {
            let mut whole = BytesMut::from(start);
            others.for_each(|piece| whole.extend_from_slice(&piece));
            start = whole.freeze();
        }
        self.ready = Some((head, start));
        if ended {
            self.stage = Stage::Ending;
            self.drop_guarded(body);
        } else {
            self.stage = Stage::Streaming { body, left, declared };
            if left == Some(0) {
                self.end_at_declared(cx);
            }
        }
    }

    /// A piece that was held, as it goes out.
    fn take_held(&mut self, piece: Bytes, left: &mut Option<u64>) -> Bytes {
        let piece = self.within(piece, left);
        self.event_held = self.padding.is_some() && left.is_none() && piece.ends_with(b"\n\n");
        piece
    }

    /// A body longer than its declared length is cut there: the bytes behind it would be taken for the next response.
    fn within(&mut self, mut chunk: Bytes, left: &mut Option<u64>) -> Bytes {
        let Some(left) = left else { return chunk };
        if chunk.len() as u64 > *left {
            self.tell_excess();
            chunk.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
        }
        *left -= chunk.len() as u64;
        chunk
    }

    #[cold]
    fn tell_excess(&mut self) {
        if !std::mem::replace(&mut self.excess_told, true) {
            tracing::warn!(target: "lodger", "{}: the body is longer than the Content-Length that the app declared, and was cut ({})", code::BODY_TOO_LONG, self.name());
        }
    }

    /// All that was declared has been taken. Whether there is more is looked at once, for the log.
    fn end_at_declared(&mut self, cx: &mut Context<'_>) {
        if let Stage::Streaming { body, .. } = &mut self.stage
            && let Look::Chunk(_) = look(body, cx)
        {
            self.tell_excess();
        }
        self.set(Stage::Ending);
    }

    fn stream(&mut self, cx: &mut Context<'_>) -> Option<Step> {
        let Stage::Streaming { body, left, declared } = &mut self.stage else { return None };
        let declared = *declared;
        match look(body, cx) {
            Look::Pending => {
                let bytes = self.padding.filter(|_| std::mem::take(&mut self.event_held))?;
                Some(Step::Data(padding(bytes)))
            }
            Look::Chunk(chunk) => {
                let mut left = *left;
                // A comment may stand between two events and nowhere else.
                self.event_held = self.padding.is_some() && left.is_none() && chunk.ends_with(b"\n\n");
                let chunk = self.within(chunk, &mut left);
                if left == Some(0) {
                    self.end_at_declared(cx);
                } else if let Stage::Streaming { left: old, .. } = &mut self.stage {
                    *old = left;
                }
                Some(Step::Data(chunk))
            }
            Look::End => {
                match left {
                    Some(missing) if *missing > 0 => {
                        let missing = *missing;
                        tracing::error!(target: "lodger", "{}: the body ended {missing} bytes before the length that the app declared ({})", code::BODY_TOO_SHORT, self.name());
                        self.set(Stage::Broken { declared });
                    }
                    _ => self.set(Stage::Ending),
                }
                None
            }
            Look::Failed(code, sentence) => {
                tracing::error!(target: "lodger", "{code}: {sentence}, after a part of the response had gone out ({})", self.name());
                self.set(Stage::Broken { declared });
                None
            }
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        // The other stages hold nothing of the app.
        if matches!(self.stage, Stage::Handling(_) | Stage::Holding(_) | Stage::Streaming { .. }) {
            self.set(Stage::Done);
        }
    }
}

/// Takes the next piece of a response body. Trailers have no place in CGI and are passed over.
fn look(body: &mut ResponseBody, cx: &mut Context<'_>) -> Look {
    loop {
        return match guard(|| Pin::new(&mut *body).poll_frame(cx)) {
            Ok(Poll::Pending) => Look::Pending,
            Ok(Poll::Ready(None)) => Look::End,
            Ok(Poll::Ready(Some(Ok(frame)))) => match frame.into_data() {
                Ok(data) if !data.is_empty() => Look::Chunk(data),
                _ => continue,
            },
            Ok(Poll::Ready(Some(Err(error)))) => Look::Failed(code::BODY_FAILED, format!("the body of the response failed: {}", chain(error))),
            Err(panic) => Look::Failed(code::APP_PANICKED, format!("the body of the response panicked: {panic}")),
        };
    }
}
