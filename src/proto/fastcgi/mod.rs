//! FastCGI 1.0: records, name-value pairs, and the order of records on a connection.

pub(crate) mod client;
mod codec;
mod connection;
pub(crate) mod name_value;
mod record;

pub(crate) use codec::RecordCodec;
pub(crate) use connection::Connection;
pub(crate) use record::{Record, RecordType, record_head};

/// Specification 8: the version of the protocol.
pub(crate) const VERSION_1: u8 = 1;

/// Specification 8: "Mask for flags component of FCGI_BeginRequestBody".
pub(crate) const FCGI_KEEP_CONN: u8 = 1;

/// Specification 6.1: the only role that lodger plays so far.
pub(crate) const FCGI_RESPONDER: u16 = 1;

/// Specification 5.5: "normal end of request".
pub(crate) const FCGI_REQUEST_COMPLETE: u8 = 0;

/// Specification 5.5: "rejecting a new request [with] a role that is unknown to the application".
pub(crate) const FCGI_UNKNOWN_ROLE: u8 = 3;
