//! What a request has to pass: addresses, rates, how many at one time, bytes.
