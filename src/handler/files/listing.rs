//! The page that lists a folder.

use super::{
    find::{LISTED, Listing, Row},
    path::{Names, encode_name},
};
use crate::{
    handler::{Answer, full},
    page::escaped,
};
use bytesize::ByteSize;
use http::{HeaderValue, Response, header};
use std::fmt::Write as _;

const HEAD: &str = "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n\
                    <meta name=\"color-scheme\" content=\"light dark\">\n";

/// The page. Its links are relative, so that they hold wherever the site is mounted; names that are not UTF-8 are shown with replacement characters and linked as
/// the bytes that they are.
pub(super) fn page(names: &Names, listing: &Listing, head: bool) -> Answer {
    let shown: Vec<_> = names.names.iter().map(|name| escaped(&name.to_string_lossy())).collect();
    let title = format!("Index of /{}", shown.join("/"));
    let mut page = format!("{HEAD}<title>{title}</title>\n<h1>{title}</h1>\n<table>\n<tr><th>Name<th>Size<th>Modified\n");
    if !names.names.is_empty() {
        page.push_str("<tr><td><a href=\"../\">../</a><td><td>\n");
    }
    for row in &listing.rows {
        push_row(&mut page, row);
    }
    page.push_str("</table>\n");
    if listing.more {
        // Writing to a string cannot fail.
        let _ = writeln!(page, "<p>There is more here; these are {LISTED} of it.");
    }
    let length = HeaderValue::from(page.len());
    let mut answer = Response::new(full(if head { String::new() } else { page }));
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(header::CONTENT_LENGTH, length);
    // It changes with every upload, and has no date or tag that a cache could ask with.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    answer
}

fn push_row(page: &mut String, row: &Row) {
    let slash = if row.folder { "/" } else { "" };
    let (link, name) = (encode_name(&row.name), escaped(&row.name.to_string_lossy()));
    let size = if row.folder { String::new() } else { ByteSize(row.size).to_string() };
    let modified = row.modified.map(httpdate::fmt_http_date).unwrap_or_default();
    // Writing to a string cannot fail.
    let _ = writeln!(page, "<tr><td><a href=\"{link}{slash}\">{name}{slash}</a><td>{size}<td>{modified}");
}
