//! The variables that a web server would make of a request: the other direction, for trying a program out.

use http::{Request, Version};
use std::path::Path;

/// Where the program is said to live.
#[derive(Debug, Clone, Default)]
pub(crate) struct Script {
    /// `SCRIPT_NAME`.
    pub(crate) name: String,
    /// The rest of the path behind it, when the request is addressed to the program itself.
    pub(crate) path_info: Option<String>,
    /// `SCRIPT_FILENAME`.
    pub(crate) file: Option<std::path::PathBuf>,
}

/// Variables for `request`, in the order in which Apache sends them, as if a client on this machine had asked.
pub(crate) fn vars<B>(request: &Request<B>, script: &Script, content_length: Option<u64>) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut vars = Vec::new();
    let mut put = |name: &str, value: &[u8]| vars.push((name.as_bytes().to_vec(), value.to_vec()));
    for (name, value) in request.headers() {
        let name = name.as_str().to_ascii_uppercase().replace('-', "_");
        match name.as_str() {
            "CONTENT_LENGTH" => {}
            "CONTENT_TYPE" => put("CONTENT_TYPE", value.as_bytes()),
            name => put(&format!("HTTP_{name}"), value.as_bytes()),
        }
    }
    let protocol = match request.version() {
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2.0",
        Version::HTTP_3 => "HTTP/3.0",
        _ => "HTTP/1.1",
    };
    let host = request.headers().get(http::header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    put("SERVER_SOFTWARE", concat!("lodger/", env!("CARGO_PKG_VERSION")).as_bytes());
    put("SERVER_NAME", host.split(':').next().unwrap_or_default().as_bytes());
    put("SERVER_ADDR", b"127.0.0.1");
    put("SERVER_PORT", b"80");
    put("REMOTE_ADDR", b"127.0.0.1");
    put("REMOTE_PORT", b"40000");
    put("REQUEST_SCHEME", b"http");
    put("GATEWAY_INTERFACE", b"CGI/1.1");
    put("SERVER_PROTOCOL", protocol.as_bytes());
    put("REQUEST_METHOD", request.method().as_str().as_bytes());
    put("QUERY_STRING", request.uri().query().unwrap_or_default().as_bytes());
    put("REQUEST_URI", request.uri().to_string().as_bytes());
    put("SCRIPT_NAME", script.name.as_bytes());
    if let Some(path_info) = &script.path_info {
        put("PATH_INFO", path_info.as_bytes());
    }
    if let Some(file) = &script.file {
        use std::os::unix::ffi::OsStrExt as _;
        put("SCRIPT_FILENAME", file.as_os_str().as_bytes());
        put("DOCUMENT_ROOT", file.parent().map(Path::as_os_str).unwrap_or_default().as_bytes());
    }
    if let Some(length) = content_length {
        put("CONTENT_LENGTH", length.to_string().as_bytes());
    }
    vars
}
