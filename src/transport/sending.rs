//! From a request in work to the wire: what its exchange wants to happen becomes parts of a response.

use super::{driver::OUT_MAX, exchange::Step, exchanges::Slot, spare};
use crate::{
    cgi::response::Head,
    profile::Profile,
    proto::{Outbox, RequestId, ResponsePart, Wire},
    telemetry::log,
};
use bytes::Bytes;
use std::task::{Context, Poll};

/// Takes from one request what it has to send, and tells whether it had anything.
pub(super) fn poll<W: Wire>(slot: &mut Slot, wire: &mut W, out: &mut Outbox, cx: &mut Context<'_>) -> bool {
    let (id, profile, mut moved) = (slot.id, slot.profile, false);
    loop {
        if slot.exchange.is_sending() && out.len() >= Outbox::HIGH {
            slot.poll_again();
            return moved;
        }
        let Poll::Ready(step) = logged(wire, out, id, profile, || slot.exchange.poll(cx)) else { return moved };
        moved = true;
        match step {
            Step::Head { head, start } => {
                slot.timeout = None;
                if !head.body_allowed {
                    wire.no_body_follows();
                }
                respond_head(wire, out, id, &head, &start, profile);
                if !slot.exchange.has_told_all() {
                    continue;
                }
                wire.respond(id, ResponsePart::End, out);
            }
            Step::Data(data) => {
                wire.respond(id, ResponsePart::Data(data), out);
                continue;
            }
            Step::End => wire.respond(id, ResponsePart::End, out),
            Step::Broken { declared } => {
                slot.broken = Some(declared);
                return moved;
            }
        }
        slot.over = true;
        return moved;
    }
}

/// Sends the head of a response with the first bytes of its body, and tells how long that is.
pub(super) fn respond_head<W: Wire>(wire: &mut W, out: &mut Outbox, id: RequestId, head: &Head, start: &[u8], profile: &Profile) -> usize {
    out.lend(spare::output);
    spare::with_block(|block| {
        let head_len = head.write(start, profile, block);
        wire.respond(id, ResponsePart::Head { block, head_len }, out);
        block.len()
    })
}

/// Works on a request, and passes on what is logged meanwhile where the wire has a way for it; not while the peer takes nothing: an app that logs must not fill the memory.
pub(super) fn logged<W: Wire, R>(wire: &mut W, out: &mut Outbox, id: RequestId, profile: &Profile, work: impl FnOnce() -> R) -> R {
    if !W::HAS_STDERR {
        return work();
    }
    let (result, lines) = log::keep(work);
    let mut lines = Bytes::from(lines);
    while !lines.is_empty() && out.len() <= OUT_MAX {
        let piece = lines.split_to(lines.len().min(profile.stderr_chunk));
        wire.respond(id, ResponsePart::Stderr(piece), out);
    }
    result
}
