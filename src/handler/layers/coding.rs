//! Which packing a client can undo.

use http::{HeaderMap, header};

/// Whether a client takes gzip, and would not rather have the bytes as they are (RFC 9110, 12.5.3).
pub(super) fn takes_gzip(headers: &HeaderMap) -> bool {
    let (mut gzip, mut any, mut identity) = (None, None, None);
    for value in headers.get_all(header::ACCEPT_ENCODING) {
        for item in value.to_str().unwrap_or("").split(',') {
            let (name, weight) = item.split_once(';').unwrap_or((item, ""));
            let name = name.trim();
            let place = if name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip") {
                &mut gzip
            } else if name.eq_ignore_ascii_case("identity") {
                &mut identity
            } else if name == "*" {
                &mut any
            } else {
                continue;
            };
            *place = Some(weigh(weight));
        }
    }
    let weight = gzip.or(any).unwrap_or(0);
    weight > 0 && weight >= identity.unwrap_or(0)
}

/// The weight in `;q=0.5`, in thousandths; 1000 where there is none, 0 where it cannot be read.
fn weigh(parameter: &str) -> u16 {
    let parameter = parameter.trim();
    if parameter.is_empty() {
        return 1000;
    }
    let weight = parameter.strip_prefix("q=").or_else(|| parameter.strip_prefix("Q=")).and_then(|weight| weight.trim().parse::<f32>().ok());
    weight.filter(|weight| (0.0..=1.0).contains(weight)).map_or(0, |weight| (weight * 1000.0).round() as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_gets_what_it_takes_best() {
        let cases = [
            ("gzip, deflate, br, zstd", true),
            ("gzip, deflate", true),
            ("GZIP", true),
            ("x-gzip", true),
            ("br;q=0.5, gzip;q=0.8", true),
            ("br; q=0.8 , gzip ;Q=0.5", true),
            ("br;q=0, gzip;q=0.000", false),
            ("*", true),
            ("*;q=0", false),
            ("br;q=0, *", true),
            ("gzip, *;q=0", true),
            ("gzip;q=0.5, identity", false),
            ("gzip;q=0.5, identity;q=0.5", true),
            ("identity;q=0", false),
            ("deflate, br", false),
            ("", false),
            ("gzip;q=2", false),
            ("gzip;q=-1", false),
            ("gzipped", false),
        ];
        for (accepted, takes) in cases {
            let headers = HeaderMap::from_iter([(header::ACCEPT_ENCODING, accepted.parse().unwrap())]);
            assert_eq!(takes_gzip(&headers), takes, "{accepted}");
        }
        assert!(!takes_gzip(&HeaderMap::new()));
        let mut twice = HeaderMap::new();
        twice.append(header::ACCEPT_ENCODING, "deflate".parse().unwrap());
        twice.append(header::ACCEPT_ENCODING, "gzip".parse().unwrap());
        assert!(takes_gzip(&twice));
    }
}
