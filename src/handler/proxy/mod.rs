//! `proxy`: another HTTP server.
