//! Who may come in: basic with an htpasswd file, a session with a form, bearer tokens.
