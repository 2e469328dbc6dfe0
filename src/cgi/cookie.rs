//! Cookies that a web server split or joined on the way, put back into one `Cookie` header (RFC 6265, 5.4: one header, pairs
//! parted by "; ").

/// Joins the `HTTP_COOKIE` values of one request.
///
/// HTTP/2 clients split cookies, and nginx passes each piece as a variable of its own. Apache and Caddy join them with ", " instead
/// (`comma_joined`); there a comma counts as a joint only when `name=` follows it and it does not stand in a quoted value.
pub(super) fn join<'a>(values: impl Iterator<Item = &'a [u8]>, comma_joined: bool) -> Vec<u8> {
    let mut joined = Vec::new();
    for value in values.filter(|value| !value.is_empty()) {
        if !joined.is_empty() {
            joined.extend_from_slice(b"; ");
        }
        if comma_joined {
            append_unjoined(value, &mut joined);
        } else {
            joined.extend_from_slice(value);
        }
    }
    joined
}

fn append_unjoined(value: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(value);
    let mut quoted = false;
    for (at, &byte) in value.iter().enumerate() {
        quoted ^= byte == b'"';
        let joint = byte == b',' && !quoted && value.get(at + 1..).is_some_and(|after| after.strip_prefix(b" ").is_some_and(starts_with_name));
        if joint && let Some(comma) = out.get_mut(start + at) {
            *comma = b';';
        }
    }
}

fn starts_with_name(text: &[u8]) -> bool {
    let name = text.iter().take_while(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte)).count();
    name > 0 && text.get(name) == Some(&b'=')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(values: &[&str], comma_joined: bool) -> String {
        String::from_utf8(join(values.iter().map(|value| value.as_bytes()), comma_joined)).unwrap()
    }

    #[test]
    fn pieces_become_one_header() {
        assert_eq!(joined(&["a=1", "", "b=2"], false), "a=1; b=2");
    }

    #[test]
    fn a_comma_is_a_joint_only_where_a_name_follows() {
        assert_eq!(joined(&["a=1, b=2"], true), "a=1; b=2");
        assert_eq!(joined(&["a=1, b=2"], false), "a=1, b=2");
        assert_eq!(joined(&["a=Thu, 01 Jan; b=2"], true), "a=Thu, 01 Jan; b=2");
        assert_eq!(joined(&["a=\"x, y=1\", b=2"], true), "a=\"x, y=1\"; b=2");
    }
}
