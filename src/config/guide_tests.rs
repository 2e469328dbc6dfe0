//! What the guide shows can be used as it stands.

use super::Config;
use std::path::Path;

/// The pieces of a page between the given fence and the next.
fn pieces(page: &str) -> impl Iterator<Item = &str> {
    page.split("```toml\n").skip(1).filter_map(|rest| rest.split_once("```")).map(|(piece, _)| piece)
}

#[test]
fn every_file_of_the_guide_can_be_used() {
    let pages = [("docs/sites.md", include_str!("../../docs/sites.md")), ("README.md", include_str!("../../README.md"))];
    for (name, page) in pages {
        assert!(pieces(page).count() > 0, "{name}");
        for piece in pieces(page) {
            // Secrets lie outside the repository.
            let piece = piece.replace("${file:../private/hook-token}", "a token of the guide");
            let read = Config::parse(&piece, Path::new("lodger.toml"));
            assert!(read.is_ok(), "{name}: {}", read.unwrap_err());
        }
    }
}
