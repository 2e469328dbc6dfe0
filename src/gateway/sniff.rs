//! Which protocol does a peer speak? Told by its first bytes, which no two of them share.

/// How much is looked at. A protocol is told by far less; the rest is for the first line of a request in HTTP, which is seldom longer.
pub(crate) const LONGEST: usize = 256;

/// What a peer speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spoken {
    FastCgi,
    Lsapi,
    /// The whole netstring takes so many bytes.
    Scgi {
        head_len: usize,
    },
    /// The variables and what stands in front of them take so many bytes.
    Uwsgi {
        head_len: usize,
    },
    Http {
        /// The first line says HTTP/1.1. False as well where not all of it has been seen.
        is_1_1: bool,
    },
}

/// Why a peer is not understood: what it seems to speak, and the setting that changes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Foreign {
    pub(crate) what: &'static str,
    pub(crate) cure: &'static str,
}

/// What the first bytes of a connection tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sniffed {
    Spoken(Spoken),
    Foreign(Foreign),
    /// More bytes are needed.
    Short,
}

const PROXY_TEXT: Foreign =
    Foreign { what: "the PROXY protocol", cure: "take `send-proxy` (HAProxy) or `proxy_protocol on` (nginx) away from this backend" };
const PROXY_BINARY: Foreign = Foreign { what: "the PROXY protocol, version 2", cure: "take `send-proxy-v2` away from this backend" };
const HTTP2: Foreign =
    Foreign { what: "HTTP/2 without TLS", cure: "let the web server speak HTTP/1.1 here: `http://` and not `h2c://`, `proxy_http_version 1.1`" };
const TLS: Foreign =
    Foreign { what: "TLS", cure: "let the web server speak plain HTTP or FastCGI here: `http://` and not `https://`, no `ssl` for this backend" };
const UWSGI_MODIFIER: Foreign = Foreign {
    what: "uwsgi with a modifier other than 0",
    cure: "set `uwsgi_modifier1 0` and `uwsgi_modifier2 0` (nginx), or take the modifiers away",
};
const UNKNOWN: Foreign =
    Foreign { what: "nothing that lodger knows", cure: "let the web server speak FastCGI, LSAPI, SCGI, uwsgi or HTTP/1.1 on this socket" };

/// The bytes in front of the variables of uwsgi, which say how long those are.
const UWSGI_HEAD: usize = 4;

/// The most digits that the length of a netstring may have: more than any limit on variables needs.
const NETSTRING_DIGITS: usize = 7;

/// Tells the protocol. `first` holds what has come so far.
///
/// FastCGI is taken by its version alone, whatever the type of the record: an unknown one is answered by the book. LSAPI is taken with any type of packet too, since no
/// method of HTTP has such a byte in it.
pub(crate) fn sniff(first: &[u8]) -> Sniffed {
    let could_be = |text: &[u8]| text.starts_with(first) || first.starts_with(text);
    match *first {
        [] => Sniffed::Short,
        [1, ..] => Sniffed::Spoken(Spoken::FastCgi),
        [b'L', b'S', ..0x20, ..] => Sniffed::Spoken(Spoken::Lsapi),
        [b'L'] | [b'L', b'S'] => Sniffed::Short,
        [b'0'..=b'9', ..] => netstring(first),
        [0x16, 3, ..] => Sniffed::Foreign(TLS),
        [0x0D, ..] if first.starts_with(b"\r\n\r\n\0") => Sniffed::Foreign(PROXY_BINARY),
        [0x0D, ..] if could_be(b"\r\n\r\n\0") => Sniffed::Short,
        [b'P', ..] if first.starts_with(b"PROXY ") => Sniffed::Foreign(PROXY_TEXT),
        [b'P', ..] if first.starts_with(b"PRI ") => Sniffed::Foreign(HTTP2),
        [b'P', ..] if could_be(b"PROXY ") || could_be(b"PRI ") => Sniffed::Short,
        [b'a'..=b'z' | b'A'..=b'Z', ..] => Sniffed::Spoken(Spoken::Http { is_1_1: is_1_1(first) }),
        [0, low, high, 0, ..] => {
            let head_len = UWSGI_HEAD + usize::from(u16::from_le_bytes([low, high]));
            Sniffed::Spoken(Spoken::Uwsgi { head_len })
        }
        [0, _, _, _, ..] | [_, _, _, 0, ..] => Sniffed::Foreign(UWSGI_MODIFIER),
        [_, _, _, _, ..] => Sniffed::Foreign(UNKNOWN),
        _ => Sniffed::Short,
    }
}

fn netstring(first: &[u8]) -> Sniffed {
    let digits = first.iter().take_while(|byte| byte.is_ascii_digit()).count();
    match first.get(digits) {
        None if digits <= NETSTRING_DIGITS => Sniffed::Short,
        Some(b':') if digits <= NETSTRING_DIGITS => {
            let length: Option<usize> = first.get(..digits).and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
            match length {
                // The digits, the colon and the comma stand around it.
                Some(length) => Sniffed::Spoken(Spoken::Scgi { head_len: digits + 1 + length + 1 }),
                None => Sniffed::Foreign(UNKNOWN),
            }
        }
        _ => Sniffed::Foreign(UNKNOWN),
    }
}

fn is_1_1(first: &[u8]) -> bool {
    let line = memchr::memchr(b'\n', first).and_then(|end| first.get(..end)).unwrap_or_default();
    line.trim_ascii_end().ends_with(b" HTTP/1.1")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spoken(first: &[u8]) -> Spoken {
        match sniff(first) {
            Sniffed::Spoken(spoken) => spoken,
            other => panic!("{first:?}: {other:?}"),
        }
    }

    fn refused(first: &[u8]) -> Foreign {
        match sniff(first) {
            Sniffed::Foreign(foreign) => foreign,
            other => panic!("{first:?}: {other:?}"),
        }
    }

    #[test]
    fn each_protocol_is_told_by_its_first_bytes() {
        assert_eq!(spoken(&[1, 1, 0, 1, 0, 8, 0, 0]), Spoken::FastCgi);
        assert_eq!(spoken(b"LS\x01\x00"), Spoken::Lsapi);
        assert_eq!(spoken(b"70:CONTENT_LENGTH\0"), Spoken::Scgi { head_len: 74 });
        assert_eq!(spoken(&[0, 0x2A, 1, 0]), Spoken::Uwsgi { head_len: 302 });
        for method in ["GET / HT", "POST / H", "PUT /x H", "PROPFIND", "PATCH / ", "LOCK / H", "LINK /x ", "options "] {
            assert_eq!(spoken(method.as_bytes()), Spoken::Http { is_1_1: false }, "{method}");
        }
    }

    #[test]
    fn a_record_of_any_type_is_fastcgi() {
        for kind in [0, 9, 11, 200] {
            assert_eq!(spoken(&[1, kind, 0, 0]), Spoken::FastCgi);
        }
    }

    #[test]
    fn the_version_of_http_is_told_by_the_whole_first_line_alone() {
        for (first, is_1_1) in [
            ("GET / HTTP/1.1\r\nHost: x", true),
            ("GET / HTTP/1.1\n", true),
            ("GET / HTTP/1.1\r", false),
            ("GET / HTTP/1.0\r\nX: HTTP/1.1\r\n", false),
            ("GET /\r\n", false),
        ] {
            assert_eq!(spoken(first.as_bytes()), Spoken::Http { is_1_1 }, "{first:?}");
        }
    }

    #[test]
    fn a_packet_of_any_type_is_lsapi() {
        for kind in [0, 2, 9, 0x1F] {
            assert_eq!(spoken(&[b'L', b'S', kind]), Spoken::Lsapi);
        }
        assert_eq!(spoken(b"LS /x HTTP/1.1"), Spoken::Http { is_1_1: false });
    }

    #[test]
    fn what_is_not_spoken_here_is_told_apart_and_the_setting_named() {
        assert!(refused(b"PROXY TCP4 192.0.2.1").cure.contains("send-proxy"));
        assert!(refused(b"PRI * HTTP/2.0\r\n").cure.contains("proxy_http_version"));
        assert_eq!(refused(&[0x16, 3, 1, 2, 0]), TLS);
        assert_eq!(refused(b"\r\n\r\n\0\r\nQUIT\n"), PROXY_BINARY);
        assert_eq!(refused(&[5, 0x2A, 1, 0]), UWSGI_MODIFIER);
        assert_eq!(refused(&[0, 0x2A, 1, 5]), UWSGI_MODIFIER);
        for nonsense in [&b"\xFF\xFF\xFF\xFF"[..], b"12345678:", b"12x:", b" GET /"] {
            assert_eq!(refused(nonsense), UNKNOWN, "{nonsense:?}");
        }
    }

    #[test]
    fn too_little_is_never_decided() {
        let whole: [&[u8]; 6] = [b"LS\x01", b"70:", &[0, 1, 0, 0], b"\r\n\r\n\0", b"PROXY ", &[0x16, 3]];
        for bytes in whole {
            for cut in 0..bytes.len() {
                assert_eq!(sniff(&bytes[..cut]), Sniffed::Short, "{:?}", &bytes[..cut]);
            }
        }
    }

    #[test]
    fn the_longest_announcement_fits_what_is_looked_at() {
        assert_eq!(sniff(&[b'1'; LONGEST]), Sniffed::Foreign(UNKNOWN));
        const { assert!(NETSTRING_DIGITS + 2 <= LONGEST) };
    }
}
