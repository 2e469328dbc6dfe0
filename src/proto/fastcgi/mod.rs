//! FastCGI 1.0: records, name-value pairs, and the order of records on a connection.

pub(crate) mod client;
mod codec;
mod connection;
pub(crate) mod name_value;
mod record;
mod stream;
mod whole;

pub(crate) use codec::RecordCodec;
pub(crate) use connection::Connection;
pub(crate) use record::{Record, RecordType, record_head};

use super::Role;

/// Specification 8: the version of the protocol.
pub(crate) const VERSION_1: u8 = 1;

/// Specification 8: "Mask for flags component of FCGI_BeginRequestBody".
pub(crate) const FCGI_KEEP_CONN: u8 = 1;

/// Specification 5.1: the three values of the component `role`.
pub(crate) const FCGI_RESPONDER: u16 = 1;
pub(crate) const FCGI_AUTHORIZER: u16 = 2;
pub(crate) const FCGI_FILTER: u16 = 3;

/// The role that a web server asks for, if it is one that anybody knows.
fn role_of(value: u16) -> Option<Role> {
    match value {
        FCGI_RESPONDER => Some(Role::Responder),
        FCGI_AUTHORIZER => Some(Role::Authorizer),
        FCGI_FILTER => Some(Role::Filter),
        _ => None,
    }
}

/// Specification 5.5: "normal end of request".
pub(crate) const FCGI_REQUEST_COMPLETE: u8 = 0;

/// Specification 5.5: "rejecting a new request [with] a role that is unknown to the application".
pub(crate) const FCGI_UNKNOWN_ROLE: u8 = 3;
