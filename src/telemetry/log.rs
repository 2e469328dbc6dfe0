//! The log: warnings and errors of a request go to the web server's log for that site, everything else to stderr.
//!
//! Under mod_fcgid stderr is the main log of the machine, which the owner of a site cannot read; FCGI_STDERR records go to the log that a panel
//! shows. So a line that is written while a request is being worked on is kept until the connection can send it as such a record.

use crate::sys;
use std::{
    cell::{Cell, RefCell},
    fmt::{self, Write as _},
    future::poll_fn,
    io::{ErrorKind, Write as _},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    task::Poll,
};
use tracing::{
    Dispatch, Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{
    Layer,
    filter::{LevelFilter, Targets},
    layer::Context,
};

/// How much text one request may keep between two looks at it, in bytes. Of more, one line says that it was left out.
const KEPT_MAX: usize = 64 * 1024;

thread_local! {
    /// The lines of the request that this thread works on, `None` while it works on none.
    static KEPT: RefCell<Option<String>> = const { RefCell::new(None) };

    /// Whether a panic on this thread is caught and told by [`guard`].
    static GUARDED: Cell<bool> = const { Cell::new(false) };

    /// Where the last panic under [`guard`] happened; only the hook is told.
    static PANIC_PLACE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Runs `work` for one request and returns what it logged beside its result.
pub(crate) fn keep<R>(work: impl FnOnce() -> R) -> (R, String) {
    /// Puts back what was there before, also when `work` panics.
    struct Outer(Option<String>);
    impl Drop for Outer {
        fn drop(&mut self) {
            KEPT.with_borrow_mut(|kept| *kept = self.0.take());
        }
    }
    let _outer = Outer(KEPT.replace(Some(String::new())));
    let result = work();
    (result, KEPT.take().unwrap_or_default())
}

/// The layer that sends warnings and errors of a request to the log of the web server, and all else to stderr.
///
/// It writes every event it gets: put a filter on it, or everything down to `trace` goes to stderr. Programs made with [`run`](crate::run()) have it. Add it to a registry of your own when you use [`serve`](crate::serve()):
///
/// ```
/// use tracing_subscriber::layer::SubscriberExt as _;
/// let subscriber = tracing_subscriber::registry().with(lodger::log_layer());
/// # drop(subscriber);
/// ```
#[must_use]
pub fn log_layer<S: Subscriber>() -> impl Layer<S> + Send + Sync + 'static {
    LogLayer
}

/// The target of the line that a site writes for each request.
pub(crate) const REQUESTS: &str = "lodger::requests";

/// Installs the log, unless the program has installed one of its own. `RUST_LOG` picks what is written, e.g. `debug` or `lodger=info,warn`; without it `configured` does,
/// and without that warnings and errors are.
pub(crate) fn install(configured: Option<&str>) {
    let targets = |text: &str| text.parse::<Targets>().ok();
    let filter = std::env::var("RUST_LOG").ok().as_deref().and_then(targets).or_else(|| configured.and_then(targets));
    let filter = filter.unwrap_or_else(|| Targets::new().with_default(Level::WARN));
    // It fails when the program has its own, which then is what the program wants.
    let _ = tracing::subscriber::set_global_default(Log { filter });
}

/// Keeps the place of a panic under [`guard`] for the line that the log gets; any other panic is reported as before.
pub(crate) fn install_panic_hook() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if GUARDED.try_with(Cell::get).unwrap_or(false) {
            let place = info.location().map(ToString::to_string).unwrap_or_default();
            let _ = PANIC_PLACE.try_with(|kept| kept.replace(place));
        } else {
            before(info);
        }
    }));
}

/// Runs code of the app. A panic of it is caught, and comes back as its text and its place.
pub(crate) fn guard<R>(work: impl FnOnce() -> R) -> Result<R, String> {
    let before = GUARDED.replace(true);
    let result = catch_unwind(AssertUnwindSafe(work));
    GUARDED.set(before);
    result.map_err(|payload| panic_text(&*payload))
}

/// The same for a future of the app: each time that it goes on.
///
/// # Errors
///
/// What [`guard`] tells of a panic.
pub(crate) async fn guarded<F: Future>(future: F) -> Result<F::Output, String> {
    let mut future = pin!(future);
    poll_fn(|cx| match guard(|| future.as_mut().poll(cx)) {
        Ok(poll) => poll.map(Ok),
        Err(panic) => Poll::Ready(Err(panic)),
    })
    .await
}

/// An error with all its sources, which are code of the app too. A wrapper that says only what its source says is passed over.
pub(crate) fn chain(error: Box<dyn std::error::Error + Send + Sync>) -> String {
    let told = guard(move || {
        let first: &(dyn std::error::Error + 'static) = &*error;
        let mut sentences: Vec<String> = std::iter::successors(Some(first), |error| error.source()).map(ToString::to_string).collect();
        sentences.dedup();
        sentences.join(": ")
    });
    told.unwrap_or_else(|panic| format!("an error whose text panicked: {panic}"))
}

/// The text that a caught panic carries, and its place where the hook has kept it.
fn panic_text(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("(no text)");
    match PANIC_PLACE.take() {
        place if place.is_empty() => text.to_owned(),
        place => format!("{text}, at {place}"),
    }
}

/// The log of [`run`](crate::run()): the layer above with a filter, in one piece. It keeps nothing of spans, which the lines of the log do not tell of.
///
/// The registry of `tracing-subscriber` keeps them, for which it fills 28 KiB when a process starts, and each layer on it takes code from another page of the program.
struct Log {
    filter: Targets,
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.filter.would_enable(metadata.target(), metadata.level())
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        let named = self.filter.iter().map(|(_, level)| level);
        named.chain(self.filter.default_level()).max()
    }

    /// As by default, but beside the others: where the compiler puts the default method, nothing else is that a CGI program runs, and each such place is a page fault.
    fn on_register_dispatch(&self, _dispatch: &Dispatch) {}

    fn new_span(&self, _span: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _span: &Id, _values: &Record<'_>) {}

    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}

    fn event(&self, event: &Event<'_>) {
        log(event);
    }

    fn enter(&self, _span: &Id) {}

    fn exit(&self, _span: &Id) {}
}

struct LogLayer;

impl<S: Subscriber> Layer<S> for LogLayer {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        log(event);
    }
}

fn log(event: &Event<'_>) {
    let line = format_line(event);
    let is_of_request = *event.metadata().level() <= Level::WARN || event.metadata().target() == REQUESTS;
    let is_kept = is_of_request && KEPT.try_with(|kept| append(&mut kept.borrow_mut(), &line)).unwrap_or(false);
    if !is_kept {
        let _ = write_stderr(&line);
    }
}

fn append(kept: &mut Option<String>, line: &str) -> bool {
    const LEFT_OUT: &str = "lodger:warn: more lines of this request were left out\n";
    let Some(kept) = kept else { return false };
    if kept.len() + line.len() <= KEPT_MAX {
        kept.push_str(line);
    } else if !kept.ends_with(LEFT_OUT) {
        kept.push_str(LEFT_OUT);
    }
    true
}

/// One write, so that lines of several processes do not mix. A log that cannot be written is no reason to fail.
fn write_stderr(line: &str) -> std::io::Result<()> {
    let now = httpdate::fmt_http_date(std::time::SystemTime::now());
    let line = format!("[{now}] [pid {}] {line}", std::process::id());
    match std::io::stderr().write_all(line.as_bytes()) {
        // stderr may be the same pipe as the stdout of a CGI exchange, which does not block while it is driven.
        Err(error) if error.kind() == ErrorKind::WouldBlock && sys::wait_for_stderr() => std::io::stderr().write_all(line.as_bytes()),
        result => result,
    }
}

/// `lodger:warn: text key=value`, always one line: a line break in it would let a visitor forge lines of the log.
fn format_line(event: &Event<'_>) -> String {
    let metadata: &Metadata<'_> = event.metadata();
    let mut line = Line(format!("{}:{}:", metadata.target().split(':').next().unwrap_or_default(), metadata.level().as_str().to_ascii_lowercase()));
    event.record(&mut line);
    line.0.push('\n');
    line.0
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = if field.name() == "message" { format!(" {value:?}") } else { format!(" {}={value:?}", field.name()) };
        for char in text.chars() {
            if char.is_control() {
                let _ = write!(self.0, "{}", char.escape_default());
            } else {
                self.0.push(char);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(work: impl FnOnce()) -> String {
        let log = Log { filter: Targets::new().with_default(Level::TRACE) };
        tracing::subscriber::with_default(log, || keep(work).1)
    }

    #[test]
    fn warnings_of_a_request_are_kept_for_it_on_one_line_each() {
        let text = kept(|| {
            tracing::warn!(target: "app", user = 7, "one\ntwo");
            tracing::error!(target: "app::db", "three");
            tracing::debug!(target: "app", "not for the web server");
        });
        assert_eq!(text, "app:warn: one\\ntwo user=7\napp:error: three\n");
    }

    #[test]
    fn requests_inside_one_another_do_not_mix() {
        let mut inner = String::new();
        let outer = kept(|| {
            tracing::warn!(target: "app", "outer");
            inner = keep(|| tracing::warn!(target: "app", "inner")).1;
            tracing::warn!(target: "app", "outer again");
        });
        assert_eq!((outer.as_str(), inner.as_str()), ("app:warn: outer\napp:warn: outer again\n", "app:warn: inner\n"));
    }
}
