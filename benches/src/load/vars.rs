//! The request that is sent: what a browser asks of a site that is rewritten to the program, as Apache's mod_fcgid describes it.

/// The 32 variables, in Apache's order. `script` is the program's file, which PHP-FPM has to be told.
pub(crate) fn browser(script: &str) -> Vec<(&'static str, String)> {
    let vars: [(&str, &str); 32] = [
        ("REDIRECT_STATUS", "200"),
        ("HTTP_HOST", "www.example.org"),
        ("HTTP_USER_AGENT", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"),
        ("HTTP_ACCEPT", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
        ("HTTP_ACCEPT_LANGUAGE", "en-US,en;q=0.5"),
        ("HTTP_ACCEPT_ENCODING", "gzip, deflate"),
        ("HTTP_REFERER", "http://www.example.org/"),
        ("HTTP_COOKIE", "session=4f9c1d7be20a4c5f8a6f0d3b; theme=dark"),
        ("HTTP_UPGRADE_INSECURE_REQUESTS", "1"),
        ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
        ("SERVER_SIGNATURE", ""),
        ("SERVER_SOFTWARE", "Apache/2.4.62 (Debian) mod_fcgid/2.3.9"),
        ("SERVER_NAME", "www.example.org"),
        ("SERVER_ADDR", "192.0.2.10"),
        ("SERVER_PORT", "80"),
        ("REMOTE_ADDR", "198.51.100.7"),
        ("DOCUMENT_ROOT", "/srv/www/site"),
        ("REQUEST_SCHEME", "http"),
        ("CONTEXT_PREFIX", ""),
        ("CONTEXT_DOCUMENT_ROOT", "/srv/www/site"),
        ("SERVER_ADMIN", "webmaster@example.org"),
        ("SCRIPT_FILENAME", script),
        ("REMOTE_PORT", "40712"),
        ("REDIRECT_URL", "/hello"),
        ("GATEWAY_INTERFACE", "CGI/1.1"),
        ("SERVER_PROTOCOL", "HTTP/1.1"),
        ("REQUEST_METHOD", "GET"),
        ("QUERY_STRING", ""),
        ("REQUEST_URI", "/hello"),
        ("SCRIPT_NAME", "/hello.fcgi"),
        ("HTTP_CONNECTION", "close"),
        ("CONTENT_LENGTH", "0"),
    ];
    vars.into_iter().map(|(name, value)| (name, value.to_owned())).collect()
}

/// The headers that the variables stand for, as a browser writes them.
pub(crate) fn headers(vars: &[(&str, String)]) -> Vec<(String, String)> {
    let title = |word: &str| word.chars().enumerate().map(|(at, char)| if at == 0 { char } else { char.to_ascii_lowercase() }).collect::<String>();
    let name = |var: &str| var.split('_').map(title).collect::<Vec<_>>().join("-");
    vars.iter().filter_map(|(var, value)| Some((name(var.strip_prefix("HTTP_")?), value.clone()))).collect()
}

/// The same for another page.
pub(crate) fn asking(path: &str, query: &str) -> Vec<(&'static str, String)> {
    let mut vars = browser("/srv/www/site/hello.fcgi");
    for (name, value) in &mut vars {
        match *name {
            "REDIRECT_URL" => path.clone_into(value),
            "QUERY_STRING" => query.clone_into(value),
            "REQUEST_URI" => *value = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") },
            _ => {}
        }
    }
    vars
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_written_as_browsers_write_them() {
        let vars = [("HTTP_USER_AGENT", "x".to_owned()), ("SERVER_NAME", "y".to_owned()), ("HTTP_HOST", "z".to_owned())];
        assert_eq!(headers(&vars), [("User-Agent".to_owned(), "x".to_owned()), ("Host".to_owned(), "z".to_owned())]);
    }
}
