//! Ordinary requests: those that the wire of our own reads, driven as those of any other protocol are.

use super::{Conn, front::Front};
use crate::{
    app::BoxApp,
    cgi::{
        CgiVars,
        http::{Lines, parts_from_lines},
    },
    gateway::Gateway,
    proto::{
        RequestId, Role, Wire,
        http1::{Date, Http, RequestHead},
    },
    transport::{
        Shared,
        admit::{Candidate, Refused, admit},
        driver::Driver,
        exchanges::Slot,
        failure::Failure,
        socket::Link,
        spare,
    },
};
use http::{HeaderValue, Version};
use std::{
    cell::Cell,
    sync::Arc,
    task::Context,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// Serves the ordinary requests of a connection and returns it when something else comes.
pub(super) async fn serve(conn: Conn, front: Front, app: BoxApp, shared: Arc<Shared>) -> Option<Conn> {
    let wire = Http::new(conn.framed, Arc::clone(&shared.limits), now);
    let mut driver = Driver::new(conn.socket, wire, Gateway::Http, app, shared);
    (driver.front, driver.input, driver.byte_left, driver.received_any) = (front, conn.input, conn.byte_left, conn.used);
    driver.run().await;
    if driver.handed_over {
        spare::keep_output(driver.out.release());
        let Driver { link: socket, input, mut byte_left, received_any: used, wire, .. } = driver;
        // It was left there only until the version was known, and is in the input too.
        if byte_left && wire.is_framed() {
            socket.discard(1);
            byte_left = false;
        }
        return Some(Conn { socket, input, byte_left, used, framed: wire.is_framed() });
    }
    spare::keep_input(driver.input);
    spare::keep_output(driver.out.release());
    None
}

impl<L: Link, W: Wire> Driver<L, W> {
    /// Begins a request of HTTP.
    pub(in crate::transport) fn begin_head(&mut self, id: RequestId, head: RequestHead, cx: &mut Context<'_>) {
        let RequestHead { bytes, method, target, is_1_0, headers } = head;
        let version = if is_1_0 { Version::HTTP_10 } else { Version::HTTP_11 };
        // The token is watched only by a connection that has to wait.
        if self.shared.stop.is_cancelled() {
            self.wire.leave();
        }
        let head_request = bytes.starts_with(b"HEAD ");
        let lines = Lines { bytes: &bytes, method, target, version, headers: &headers };
        let profile = self.front.profile(|name| lines.has(name));
        let mapped = parts_from_lines(&lines, &self.front.arrival(&self.shared, profile, false, false));
        let (parts, meta) = match mapped {
            Ok(mapped) => mapped,
            Err(error) => return self.refuse(id, Failure::from(error), None, head_request),
        };
        let (vars, gateway, role) = (CgiVars::new(), Gateway::Http, Role::Responder);
        let candidate = Candidate { parts, meta, vars, gateway, profile, role, body_ended: true, upgrade: false, last_call: false };
        match admit(&self.shared, &self.app, candidate) {
            Ok(admitted) => self.work_on_whole(Slot::new(id, admitted, None, profile, true), cx),
            Err(Refused { failure, accept }) => self.refuse(id, failure, accept.as_ref().map(HeaderValue::as_bytes), head_request),
        }
    }
}

/// The last second that has a date of four digits for its year.
const LAST: u64 = 253_402_300_799;

/// The time, which is written anew when another second has come.
fn now() -> Date {
    thread_local! {
        static WRITTEN: Cell<(u64, Date)> = const { Cell::new((u64::MAX, *b"date: Thu, 01 Jan 1970 00:00:00 GMT\r\n")) };
    }
    let second = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs().min(LAST);
    let (written, mut line) = WRITTEN.get();
    if written != second {
        let text = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(second));
        line.iter_mut().skip(b"date: ".len()).zip(text.bytes()).for_each(|(to, from)| *to = from);
        WRITTEN.set((second, line));
    }
    line
}

#[cfg(test)]
#[path = "ordinary_tests.rs"]
mod tests;
