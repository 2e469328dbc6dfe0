//! `files`: what lies in a folder.
