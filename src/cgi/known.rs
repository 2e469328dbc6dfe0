//! The headers that browsers and proxies send, found by their names in whatever letters with one look into a table.

use super::slots::{self, ANY_CASE, Slots, slot};
use http::{HeaderName, header};

/// What a header means here, beside being one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Nothing.
    None,
    /// No app gets it.
    StaysBehind,
    Host,
    Cookie,
    Accept,
    ForwardedFor,
    ForwardedHost,
    ForwardedProto,
    PassengerClient,
    PassengerProto,
}

/// A header with its name in small letters.
#[derive(Debug)]
pub(super) struct Known {
    text: &'static str,
    pub(super) name: HeaderName,
    pub(super) meaning: Meaning,
}

const fn known(text: &'static str, name: HeaderName) -> Known {
    Known { text, name, meaning: Meaning::None }
}

/// A header that has no constant in `http`: as a constant its name needs no check and no memory.
const fn other(text: &'static str, meaning: Meaning) -> Known {
    Known { text, name: HeaderName::from_static(text), meaning }
}

static KNOWN: [Known; 50] = [
    Known { text: "host", name: header::HOST, meaning: Meaning::Host },
    Known { text: "cookie", name: header::COOKIE, meaning: Meaning::Cookie },
    Known { text: "accept", name: header::ACCEPT, meaning: Meaning::Accept },
    known("user-agent", header::USER_AGENT),
    known("accept-charset", header::ACCEPT_CHARSET),
    known("accept-encoding", header::ACCEPT_ENCODING),
    known("accept-language", header::ACCEPT_LANGUAGE),
    known("authorization", header::AUTHORIZATION),
    known("cache-control", header::CACHE_CONTROL),
    known("dnt", header::DNT),
    known("forwarded", header::FORWARDED),
    known("from", header::FROM),
    known("if-match", header::IF_MATCH),
    known("if-modified-since", header::IF_MODIFIED_SINCE),
    known("if-none-match", header::IF_NONE_MATCH),
    known("if-range", header::IF_RANGE),
    known("if-unmodified-since", header::IF_UNMODIFIED_SINCE),
    known("origin", header::ORIGIN),
    known("pragma", header::PRAGMA),
    known("range", header::RANGE),
    known("referer", header::REFERER),
    known("upgrade-insecure-requests", header::UPGRADE_INSECURE_REQUESTS),
    known("via", header::VIA),
    other("priority", Meaning::None),
    other("sec-ch-ua", Meaning::None),
    other("sec-ch-ua-mobile", Meaning::None),
    other("sec-ch-ua-platform", Meaning::None),
    other("sec-fetch-dest", Meaning::None),
    other("sec-fetch-mode", Meaning::None),
    other("sec-fetch-site", Meaning::None),
    other("sec-fetch-user", Meaning::None),
    other("sec-gpc", Meaning::None),
    other("x-csrf-token", Meaning::None),
    other("x-forwarded-port", Meaning::None),
    other("x-real-ip", Meaning::None),
    other("x-request-id", Meaning::None),
    other("x-requested-with", Meaning::None),
    other("x-forwarded-for", Meaning::ForwardedFor),
    other("x-forwarded-host", Meaning::ForwardedHost),
    other("x-forwarded-proto", Meaning::ForwardedProto),
    other("x-forwarded-server", Meaning::None),
    other("!~passenger-client-address", Meaning::PassengerClient),
    other("!~passenger-proto", Meaning::PassengerProto),
    other("proxy", Meaning::StaysBehind),
    Known { text: "connection", name: header::CONNECTION, meaning: Meaning::StaysBehind },
    other("keep-alive", Meaning::StaysBehind),
    other("proxy-connection", Meaning::StaysBehind),
    Known { text: "te", name: header::TE, meaning: Meaning::StaysBehind },
    Known { text: "trailer", name: header::TRAILER, meaning: Meaning::StaysBehind },
    Known { text: "upgrade", name: header::UPGRADE, meaning: Meaning::StaysBehind },
];

static SLOTS: Slots = {
    let mut wanted = [0; KNOWN.len()];
    let mut at = 0;
    while at < KNOWN.len() {
        wanted[at] = slot(KNOWN[at].text.as_bytes(), ANY_CASE);
        at += 1;
    }
    slots::place(wanted)
};

impl Known {
    /// Whether this is the header `name`. Nothing but the case of letters differs in this one bit, except `~`, which is a letter in no other way.
    fn is(&self, name: &[u8]) -> bool {
        const LETTERS: u64 = 0x4040_4040_4040_4040;
        let text = self.text.as_bytes();
        let differ = |ours: u64, theirs: u64| (ours ^ theirs) & !((ours & LETTERS) >> 1);
        if text.len() != name.len() || text.starts_with(b"!") && !name.starts_with(b"!~") {
            return false;
        }
        let (ours, theirs) = (text.as_chunks().0.iter(), name.as_chunks().0.iter());
        let whole = ours.zip(theirs).fold(0, |all, (ours, theirs)| all | differ(u64::from_le_bytes(*ours), u64::from_le_bytes(*theirs)));
        whole | differ(end(text), end(name)) == 0
    }
}

/// The last eight bytes, or all of them where they are fewer: some may be there twice.
fn end(text: &[u8]) -> u64 {
    if let Some(last) = text.last_chunk() {
        return u64::from_le_bytes(*last);
    }
    if let (Some(first), Some(last)) = (text.first_chunk(), text.last_chunk()) {
        return u64::from(u32::from_le_bytes(*first)) << 32 | u64::from(u32::from_le_bytes(*last));
    }
    text.iter().fold(0, |all, byte| all << 8 | u64::from(*byte))
}

/// The header `name`, if it is one of those that are known.
pub(super) fn find(name: &[u8]) -> Option<&'static Known> {
    slots::find(&SLOTS, &KNOWN, slot(name, ANY_CASE), |known| known.is(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cgi::request::stays_behind;

    #[test]
    fn every_name_is_found_in_any_letters_and_no_other() {
        for known in &KNOWN {
            for name in [known.text.to_owned(), known.text.to_ascii_uppercase()] {
                assert!(std::ptr::eq(find(name.as_bytes()).unwrap(), known), "{name}");
            }
            assert_eq!((known.name.as_str(), known.meaning == Meaning::StaysBehind), (known.text, stays_behind(known.text.as_bytes())));
        }
        for name in ["", "X", "x-special", "hosts", "accepT5", "user_agent", "!^passenger-proto", "priorit9", "x-forwarded|for"] {
            assert!(find(name.as_bytes()).is_none(), "{name}");
        }
    }
}
