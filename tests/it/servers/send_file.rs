//! A file that the web server sends in the place of the app's own body.

use super::door::Door;
use super::server::Setup;
use super::site::Site;

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn nginx_sends_the_file_itself_where_it_can() {
    for door in [Door::Nginx, Door::NginxKeepConn, Door::NginxScgi, Door::NginxUwsgi] {
        let site = Site::new();
        site.write("report.txt", "from nginx\n");
        let internal = format!("location /files/ {{ internal; alias {}/; }}", site.docroot().display());
        let server = Setup::new(door).lines(&internal).start_in(site);
        let answer = server.get("/send-file?path=/x/report.txt&accel=/files/report.txt");
        answer.expect(200, "from nginx\n");
        assert_eq!(answer.header("content-length"), Some("11"), "{door:?}");
        // Ranges are the business of nginx then.
        let part = server.ask("/send-file?path=/x/report.txt&accel=/files/report.txt").header("Range: bytes=0-3").send();
        part.expect(206, "from");
        // Without an address inside nginx the app's own body is sent.
        server.get("/send-file?path=/x/report.txt").expect(200, "from the app\n");
    }
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn lighttpd_sends_the_file_itself_once_it_is_told_to() {
    let site = Site::new();
    site.write("report.txt", "from lighttpd\n");
    let (folder, file) = (site.docroot(), site.docroot().join("report.txt"));
    let told = format!("cgi.x-sendfile = \"enable\"\ncgi.x-sendfile-docroot = (\"{}\")", folder.display());
    let server = Setup::new(Door::LighttpdCgi).lines(&told).start_in(site);
    server.get(&format!("/send-file?path={}", file.display())).expect(200, "from lighttpd\n");
}

#[test]
#[ignore = "needs real web servers: make test-servers"]
fn a_server_that_cannot_do_it_gets_the_body() {
    for door in [Door::Caddy, Door::NginxHttp] {
        let server = Setup::new(door).start();
        let answer = server.get("/send-file?path=/x/report.txt&accel=/files/report.txt");
        answer.expect(200, "from the app\n");
        for header in ["x-accel-redirect", "x-sendfile"] {
            assert_eq!(answer.header(header), None, "{door:?} and the path of a file is nobody's business");
        }
    }
}
