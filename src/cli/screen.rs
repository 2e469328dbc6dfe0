//! What a person sees who starts the program by hand.

/// Says what this is and what to type next.
pub(super) fn text(name: &str) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let what = if name == "lodger" {
        format!("lodger {version} is a web application server for shared hosting.")
    } else {
        format!("{name} is a web application for shared hosting, built with lodger {version}.")
    };
    format!(
        "{what}\n\
         It is meant to be started by Apache, LiteSpeed or nginx, which hands it a socket. Nobody did that here.\n\
         \n\
         \x20 {name} request GET /           try a page right now, without a web server\n\
         \x20 {name} serve --socket PATH     listen on a Unix socket, for a web server on this machine\n\
         \x20 {name} --help                  everything it can do\n"
    )
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_screen_is_as_in_its_fixture() {
        assert_eq!(super::text("lodger"), include_str!("../../fixtures/cli/screen.txt"));
    }
}
