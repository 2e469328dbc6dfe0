//! What stands around a handler: CORS, headers, caching, compression.
