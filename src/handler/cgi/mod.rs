//! `cgi`: a program that is started for each request.
