//! The table of keys and what is made of it, compared with the files in which people read it.
