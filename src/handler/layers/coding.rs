//! Which packing a client can undo.

use http::{HeaderMap, HeaderValue, header};

/// What a client can unpack, of what we pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    Brotli,
    Gzip,
}

impl Coding {
    /// The coding that a client takes best (RFC 9110, 12.5.3), brotli where it takes both alike; None where it takes neither, or would rather have none.
    pub(super) fn accepted(headers: &HeaderMap) -> Option<Self> {
        let (mut brotli, mut gzip, mut any, mut identity) = (None, None, None, None);
        for value in headers.get_all(header::ACCEPT_ENCODING) {
            for item in value.to_str().unwrap_or("").split(',') {
                let (name, weight) = item.split_once(';').unwrap_or((item, ""));
                let name = name.trim();
                let place = if name.eq_ignore_ascii_case("br") {
                    &mut brotli
                } else if name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip") {
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
        let (brotli, gzip) = (brotli.or(any).unwrap_or(0), gzip.or(any).unwrap_or(0));
        let (coding, weight) = if brotli >= gzip { (Self::Brotli, brotli) } else { (Self::Gzip, gzip) };
        (weight > 0 && weight >= identity.unwrap_or(0)).then_some(coding)
    }

    pub(super) fn name(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Brotli => "br",
            Self::Gzip => "gzip",
        })
    }
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
        use Coding::{Brotli, Gzip};
        let cases = [
            ("gzip, deflate, br, zstd", Some(Brotli)),
            ("gzip, deflate", Some(Gzip)),
            ("GZIP", Some(Gzip)),
            ("x-gzip", Some(Gzip)),
            ("br;q=0.5, gzip;q=0.8", Some(Gzip)),
            ("br; q=0.8 , gzip ;Q=0.5", Some(Brotli)),
            ("br;q=0, gzip", Some(Gzip)),
            ("br;q=0, gzip;q=0.000", None),
            ("*", Some(Brotli)),
            ("*;q=0", None),
            ("br;q=0, *", Some(Gzip)),
            ("gzip, *;q=0", Some(Gzip)),
            ("gzip;q=0.5, identity", None),
            ("gzip;q=0.5, identity;q=0.5", Some(Gzip)),
            ("identity;q=0", None),
            ("deflate, zstd", None),
            ("", None),
            ("gzip;q=2, br;q=nan", None),
            ("gzip;q=-1", None),
            ("gzipped, brotli", None),
        ];
        for (accepted, coding) in cases {
            let headers = HeaderMap::from_iter([(header::ACCEPT_ENCODING, accepted.parse().unwrap())]);
            assert_eq!(Coding::accepted(&headers), coding, "{accepted}");
        }
        assert_eq!(Coding::accepted(&HeaderMap::new()), None);
        let mut twice = HeaderMap::new();
        twice.append(header::ACCEPT_ENCODING, HeaderValue::from_static("deflate"));
        twice.append(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        assert_eq!(Coding::accepted(&twice), Some(Gzip));
    }
}
