//! The ways in which a real web server reaches the application, and what each of them can and cannot do.

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
}

/// What a door lets through. A test asserts each of these as it stands: that a server cannot do something is knowledge
/// that the program acts upon, so a server that learns it one day should be noticed.
pub(crate) struct Abilities {
    /// What `/env` calls the protocol.
    pub(crate) gateway: &'static str,
    /// What `/env` calls the profile.
    pub(crate) profile: &'static str,
    /// The longest request body that the program gets to see; one byte more and the server itself answers 500.
    pub(crate) longest_body: Option<usize>,
    /// Whether the visitor sees an event when it is sent, and not when all is over.
    pub(crate) streams: bool,
    /// Whether a declared length reaches the visitor of a response that is too long to be held back.
    pub(crate) passes_length: bool,
    /// Whether the visitor can see that a response of unknown length was cut short.
    pub(crate) shows_failure: bool,
    /// Whether the visitor can see it when a length was declared.
    pub(crate) shows_failure_of_declared: bool,
    /// Whether a header block of more than 4 KiB arrives.
    pub(crate) takes_fat_head: bool,
    /// What the visitor gets instead of a response with a header line of 9 KB.
    pub(crate) answer_to_long_line: u16,
    /// Whether two headers of one name reach the program as two.
    pub(crate) keeps_repeated: bool,
    /// Whether a login reaches the program, with what the sample says where there is one.
    pub(crate) passes_authorization: bool,
    /// Whether the program sees a path with an escaped slash in it; Apache has no page of that name.
    pub(crate) passes_escaped_slash: bool,
    /// Whether the program is told when the visitor has gone.
    pub(crate) tells_departure: bool,
}

/// Apache in front of CGI: it streams, and has no way to show that a program broke off.
const CGI: Abilities = Abilities {
    gateway: "cgi",
    profile: "mod_cgid",
    longest_body: None,
    streams: true,
    passes_length: false,
    shows_failure: false,
    shows_failure_of_declared: false,
    takes_fat_head: true,
    answer_to_long_line: 500,
    keeps_repeated: false,
    passes_authorization: true,
    passes_escaped_slash: false,
    tells_departure: false,
};

const FCGID: Abilities = Abilities {
    gateway: "fastcgi",
    profile: "mod_fcgid",
    longest_body: Some(131_072),
    streams: false,
    passes_length: true,
    shows_failure: false,
    shows_failure_of_declared: true,
    takes_fat_head: true,
    answer_to_long_line: 500,
    keeps_repeated: false,
    passes_authorization: true,
    passes_escaped_slash: false,
    tells_departure: false,
};

const PROXY_FCGI: Abilities = Abilities {
    gateway: "fastcgi",
    profile: "mod_proxy_fcgi",
    longest_body: None,
    streams: false,
    passes_length: false,
    shows_failure: true,
    shows_failure_of_declared: true,
    takes_fat_head: true,
    answer_to_long_line: 500,
    keeps_repeated: false,
    passes_authorization: false,
    passes_escaped_slash: false,
    tells_departure: false,
};

const NGINX: Abilities = Abilities {
    gateway: "fastcgi",
    profile: "nginx",
    longest_body: None,
    streams: true,
    passes_length: true,
    shows_failure: true,
    shows_failure_of_declared: true,
    takes_fat_head: false,
    answer_to_long_line: 502,
    keeps_repeated: true,
    passes_authorization: true,
    passes_escaped_slash: true,
    tells_departure: true,
};

const NGINX_KEEP_CONN: Abilities = Abilities { profile: "nginx-keep-conn", ..NGINX };

impl Door {
    pub(crate) fn abilities(self) -> &'static Abilities {
        match self {
            Self::Fcgid | Self::FcgidSuexec => &FCGID,
            Self::Cgid | Self::Cgi => &CGI,
            Self::ProxyFcgi => &PROXY_FCGI,
            Self::Nginx => &NGINX,
            Self::NginxKeepConn => &NGINX_KEEP_CONN,
        }
    }

    pub(crate) fn is_nginx(self) -> bool {
        matches!(self, Self::Nginx | Self::NginxKeepConn)
    }

    /// Whether the program runs before the web server does, and listens on a socket that it made itself.
    pub(crate) fn needs_socket(self) -> bool {
        matches!(self, Self::ProxyFcgi | Self::Nginx | Self::NginxKeepConn)
    }

    /// The program in the document root, for the servers that start it out of there.
    pub(crate) fn program(self) -> Option<&'static str> {
        match self {
            Self::Fcgid | Self::FcgidSuexec => Some("app.fcgi"),
            Self::Cgid | Self::Cgi => Some("app.cgi"),
            Self::ProxyFcgi | Self::Nginx | Self::NginxKeepConn => None,
        }
    }

    /// The sample that a site owner would put beside that program.
    pub(crate) fn sample(self) -> Option<&'static str> {
        match self {
            Self::Fcgid | Self::FcgidSuexec => Some("apache-fcgid.htaccess"),
            Self::Cgid | Self::Cgi => Some("apache-cgi.htaccess"),
            Self::ProxyFcgi | Self::Nginx | Self::NginxKeepConn => None,
        }
    }
}
