//! The ways in which a real web server reaches the application.

/// One web server with one way to reach the application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    /// Apache with mod_fcgid: it starts `app.fcgi` out of the document root.
    Fcgid,
    /// The same, with the program running as the owner of the web space.
    FcgidSuexec,
    /// Apache (event MPM) with mod_cgid: `app.cgi` is started for every request, with a connected socket as its stdin.
    Cgid,
    /// Apache (prefork MPM) with mod_cgi: the same with pipes.
    Cgi,
    /// Apache with mod_proxy_fcgi, to a program that somebody started with `serve --socket`.
    ProxyFcgi,
    /// nginx with `fastcgi_pass`, a new connection for every request, to the same.
    Nginx,
    /// nginx with `fastcgi_keep_conn on`.
    NginxKeepConn,
    /// lighttpd with `bin-path`: it starts the program with a listening socket as its stdin.
    Lighttpd,
    /// lighttpd with `cgi.assign`: `app.cgi` is started for every request.
    LighttpdCgi,
    /// Caddy with `transport fastcgi`.
    Caddy,
    /// HAProxy with an `fcgi-app` and its `option keep-conn`, which is the default.
    Haproxy,
    /// The same with `option mpxs-conns`: many requests at one time on a connection.
    HaproxyMpxs,
    /// The same with `option get-values` as well: it asks what the program can do before it sends a request.
    HaproxyGetValues,
    /// h2o with `fastcgi.connect`.
    H2o,
    /// nginx with `scgi_pass`.
    NginxScgi,
    /// Apache with mod_proxy_scgi.
    ProxyScgi,
    /// lighttpd with `scgi.server` and `bin-path`.
    LighttpdScgi,
    /// nginx with `uwsgi_pass`.
    NginxUwsgi,
    /// Apache with mod_proxy_uwsgi.
    ProxyUwsgi,
    /// nginx with `proxy_pass http://unix:…`.
    NginxHttp,
    /// Apache with mod_proxy_http.
    ProxyHttp,
    /// Phusion Passenger in Apache, told by a `Passengerfile.json` above the document root.
    PassengerFile,
    /// The same with `PassengerAppType node` and `PassengerNodejs` in the server's configuration.
    PassengerNode,
}

/// The programs that can stand before the application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Software {
    Apache,
    Nginx,
    Lighttpd,
    Caddy,
    Haproxy,
    H2o,
}

impl Door {
    /// All of them, in the order of the table.
    pub(crate) const ALL: &[Self] = &[
        Self::Fcgid,
        Self::FcgidSuexec,
        Self::ProxyFcgi,
        Self::Nginx,
        Self::NginxKeepConn,
        Self::Lighttpd,
        Self::Caddy,
        Self::Haproxy,
        Self::HaproxyMpxs,
        Self::HaproxyGetValues,
        Self::H2o,
        Self::Cgid,
        Self::Cgi,
        Self::LighttpdCgi,
        Self::NginxScgi,
        Self::ProxyScgi,
        Self::LighttpdScgi,
        Self::NginxUwsgi,
        Self::ProxyUwsgi,
        Self::NginxHttp,
        Self::ProxyHttp,
        Self::PassengerFile,
        Self::PassengerNode,
    ];

    /// What heads the column of this door in the table. Two doors that behave alike share one.
    pub(crate) fn column(self) -> &'static str {
        match self {
            Self::Fcgid | Self::FcgidSuexec => "Apache mod_fcgid",
            Self::Cgid | Self::Cgi => "Apache CGI",
            Self::ProxyFcgi => "Apache mod_proxy_fcgi",
            Self::Nginx => "nginx FastCGI",
            Self::NginxKeepConn => "nginx FastCGI, keep_conn",
            Self::Lighttpd => "lighttpd FastCGI",
            Self::LighttpdCgi => "lighttpd CGI",
            Self::Caddy => "Caddy FastCGI",
            Self::Haproxy => "HAProxy FastCGI",
            Self::HaproxyMpxs => "HAProxy, mpxs-conns",
            Self::HaproxyGetValues => "HAProxy, get-values",
            Self::H2o => "h2o FastCGI",
            Self::NginxScgi => "nginx SCGI",
            Self::ProxyScgi => "Apache mod_proxy_scgi",
            Self::LighttpdScgi => "lighttpd SCGI",
            Self::NginxUwsgi => "nginx uwsgi",
            Self::ProxyUwsgi => "Apache mod_proxy_uwsgi",
            Self::NginxHttp => "nginx HTTP",
            Self::ProxyHttp => "Apache mod_proxy_http",
            Self::PassengerFile | Self::PassengerNode => "Passenger",
        }
    }

    pub(crate) fn software(self) -> Software {
        match self {
            Self::Fcgid
            | Self::FcgidSuexec
            | Self::Cgid
            | Self::Cgi
            | Self::ProxyFcgi
            | Self::ProxyScgi
            | Self::ProxyUwsgi
            | Self::ProxyHttp
            | Self::PassengerFile
            | Self::PassengerNode => Software::Apache,
            Self::Nginx | Self::NginxKeepConn | Self::NginxScgi | Self::NginxUwsgi | Self::NginxHttp => Software::Nginx,
            Self::Lighttpd | Self::LighttpdCgi | Self::LighttpdScgi => Software::Lighttpd,
            Self::Caddy => Software::Caddy,
            Self::Haproxy | Self::HaproxyMpxs | Self::HaproxyGetValues => Software::Haproxy,
            Self::H2o => Software::H2o,
        }
    }

    /// What `/env` calls the protocol.
    pub(crate) fn gateway(self) -> &'static str {
        match self {
            Self::Cgid | Self::Cgi | Self::LighttpdCgi => "cgi",
            Self::NginxScgi | Self::ProxyScgi | Self::LighttpdScgi => "scgi",
            Self::NginxUwsgi | Self::ProxyUwsgi => "uwsgi",
            Self::NginxHttp | Self::ProxyHttp | Self::PassengerFile | Self::PassengerNode => "http",
            _ => "fastcgi",
        }
    }

    /// What `/env` calls the profile.
    pub(crate) fn profile(self) -> &'static str {
        match self {
            Self::Fcgid | Self::FcgidSuexec => "mod_fcgid",
            Self::Cgid | Self::Cgi => "mod_cgid",
            Self::ProxyFcgi => "mod_proxy_fcgi",
            Self::Nginx => "nginx",
            Self::NginxKeepConn => "nginx-keep-conn",
            Self::Lighttpd | Self::LighttpdCgi | Self::LighttpdScgi => "lighttpd",
            Self::Caddy => "caddy",
            Self::Haproxy | Self::HaproxyMpxs | Self::HaproxyGetValues => "haproxy",
            Self::H2o => "h2o",
            Self::ProxyScgi => "mod_proxy_scgi",
            Self::ProxyUwsgi => "mod_proxy_uwsgi",
            Self::NginxScgi | Self::NginxUwsgi => "nginx",
            Self::NginxHttp => "unknown",
            Self::ProxyHttp => "mod_proxy_http",
            Self::PassengerFile | Self::PassengerNode => "passenger",
        }
    }

    /// Whether nothing that a program can do shows the visitor of this door that a response broke off, with or without a declared length.
    pub(crate) fn hides_failure(self, declared: bool) -> bool {
        match self {
            // Apache takes the end of a CGI program for the end of its response, always.
            Self::Cgid | Self::Cgi => true,
            Self::Fcgid | Self::FcgidSuexec | Self::PassengerFile | Self::PassengerNode => !declared,
            Self::Lighttpd | Self::LighttpdCgi | Self::LighttpdScgi | Self::Caddy | Self::H2o => !declared,
            Self::ProxyFcgi | Self::ProxyScgi | Self::ProxyUwsgi | Self::ProxyHttp => false,
            Self::Nginx | Self::NginxKeepConn | Self::NginxScgi | Self::NginxUwsgi | Self::NginxHttp => false,
            Self::Haproxy | Self::HaproxyMpxs | Self::HaproxyGetValues => false,
        }
    }

    /// Whether Passenger starts the program.
    pub(crate) fn is_passenger(self) -> bool {
        matches!(self, Self::PassengerFile | Self::PassengerNode)
    }

    /// Whether the program runs before the web server does, and listens on a socket that it made itself.
    pub(crate) fn needs_socket(self) -> bool {
        self.program().is_none() && !self.is_passenger()
    }

    /// The program in the document root, for the servers that start it out of there.
    pub(crate) fn program(self) -> Option<&'static str> {
        match self {
            Self::Fcgid | Self::FcgidSuexec | Self::Lighttpd | Self::LighttpdScgi => Some("app.fcgi"),
            Self::Cgid | Self::Cgi | Self::LighttpdCgi => Some("app.cgi"),
            _ => None,
        }
    }

    /// The sample that a site owner would put beside that program.
    pub(crate) fn sample(self) -> Option<&'static str> {
        match self {
            Self::Fcgid | Self::FcgidSuexec => Some("apache-fcgid.htaccess"),
            Self::Cgid | Self::Cgi => Some("apache-cgi.htaccess"),
            _ => None,
        }
    }
}
