//! Paths in their normal form, so that every way to write one path meets the same route, and with it the same locks.

use std::borrow::Cow;

/// A path that no honest client sends: it holds a NUL byte or dot segments, plain or encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hostile;

/// Whether a byte stands for itself in the normal form: `pchar` of RFC 3986, 3.3, without percent signs.
fn is_literal(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&byte)
}

/// The normal form of the path of a request: everything is decoded once, and encoded again where it has to be; slashes beside one another are one.
///
/// An encoded slash stays encoded, so that it ends no segment. It costs nothing where the path is in its normal form already.
///
/// # Errors
///
/// For dot segments and NUL bytes, however they are written: what they mean depends on who reads them, and a web server may have read them in another way.
pub(crate) fn normal(path: &str) -> Result<Cow<'_, str>, Hostile> {
    let bytes = path.as_bytes();
    let odd = |pair: &[u8]| matches!(pair, b"//" | b"/.");
    let plain = bytes.first() == Some(&b'/') && bytes.iter().all(|byte| *byte == b'/' || is_literal(*byte)) && !bytes.windows(2).any(odd);
    if plain {
        return Ok(path.into());
    }
    let mut whole = String::with_capacity(path.len() + 1);
    for segment in path.split('/').filter(|segment| !segment.is_empty()) {
        whole.push('/');
        let start = whole.len();
        push_segment(&mut whole, segment)?;
        if matches!(whole.get(start..), Some("." | "..")) {
            return Err(Hostile);
        }
    }
    if path.ends_with('/') || whole.is_empty() {
        whole.push('/');
    }
    Ok(whole.into())
}

fn push_segment(whole: &mut String, segment: &str) -> Result<(), Hostile> {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in percent_encoding::percent_decode_str(segment) {
        if byte == 0 {
            return Err(Hostile);
        }
        if is_literal(byte) {
            whole.push(char::from(byte));
        } else {
            whole.push('%');
            whole.push(char::from(HEX[usize::from(byte >> 4)]));
            whole.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
    Ok(())
}

/// The normal form of a path in a configuration, in which segments may be parameters in braces.
///
/// # Errors
///
/// A sentence that says what is wrong.
pub(super) fn of_pattern(pattern: &str) -> Result<String, &'static str> {
    if !pattern.starts_with('/') {
        return Err("does not begin with a slash");
    }
    if pattern.contains(['?', '#']) {
        return Err("is a path alone, without `?` and `#`");
    }
    let mut whole = String::new();
    for (at, segment) in pattern.split('/').enumerate().skip(1) {
        whole.push('/');
        let last = pattern.split('/').count() == at + 1;
        if segment.is_empty() && !last {
            return Err("has two slashes beside one another");
        }
        if segment.contains(['{', '}']) {
            whole.push_str(parameter(segment, last)?);
            continue;
        }
        let start = whole.len();
        push_segment(&mut whole, segment).map_err(|Hostile| "holds a NUL byte")?;
        if matches!(whole.get(start..), Some("." | "..")) {
            return Err("has a `.` or `..` between slashes");
        }
    }
    Ok(whole)
}

/// A segment that is one parameter.
fn parameter(segment: &str, last: bool) -> Result<&str, &'static str> {
    let inner = segment
        .strip_prefix('{')
        .and_then(|inner| inner.strip_suffix('}'))
        .ok_or("has a parameter beside other text; a parameter is a whole segment")?;
    let name = inner.strip_prefix('*').unwrap_or(inner);
    if name.len() != inner.len() && !last {
        return Err("goes on behind `{*…}`, which takes all that follows");
    }
    let fits = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if fits { Ok(segment) } else { Err("has a parameter without a name of letters, digits and `_`") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_write_a_path_has_one_normal_form() {
        for (written, expected) in [
            ("/", "/"),
            ("/a/b.css", "/a/b.css"),
            ("//a///b/", "/a/b/"),
            ("/%61%2Fb", "/a%2Fb"),
            ("/%2f", "/%2F"),
            ("/a%21b!", "/a!b!"),
            ("/%e4%BD%a0", "/%E4%BD%A0"),
            ("/100%", "/100%25"),
            ("/%25%32%65", "/%252e"),
            ("/a%5cb", "/a%5Cb"),
            ("/.well-known/x", "/.well-known/x"),
            ("/...", "/..."),
            ("", "/"),
        ] {
            assert_eq!(normal(written).unwrap(), expected, "{written}");
        }
    }

    #[test]
    fn paths_that_try_to_get_out_are_refused() {
        for path in ["/..", "/../", "/a/../b", "/./", "/%2e%2E/", "/a/.%2e", "/%00", "/a%00.css", "/a//../b"] {
            assert_eq!(normal(path), Err(Hostile), "{path}");
        }
    }

    #[test]
    fn a_pattern_is_normal_beside_its_parameters() {
        for (written, expected) in [("/", "/"), ("/static/", "/static/"), ("/café/{id}", "/caf%C3%A9/{id}"), ("/%61/{*rest}", "/a/{*rest}")] {
            assert_eq!(of_pattern(written).unwrap(), expected, "{written}");
        }
        for wrong in ["", "a", "/a//b", "/a/../b", "/{a", "/x{a}", "/{}", "/{*a}/b", "/{a b}", "/a?b"] {
            assert!(of_pattern(wrong).is_err(), "{wrong}");
        }
    }
}
