//! What holds for a whole site, and what a route does with a request: redirects, headers, methods, apps, locks, limits and pages.

use super::tree_tests::{app, ask, get, tree, tree_in};
use crate::Body;
use http::{Request, Response};
use std::{fs, time::Duration};

/// A site with `extra` keys and one route that says "here".
fn site(extra: &str) -> String {
    format!("[[site]]\nhosts = [\"a.example\", \"b.example\", \"*.b.example\"]\n{extra}\n[[site.route]]\npath = \"/\"\nrespond = \"here\"\n")
}

#[tokio::test]
async fn visitors_of_other_hosts_are_sent_to_the_first_with_path_port_and_query() {
    let tree = tree(&site("canonical-host = true"));
    for (host, target, expected) in [
        ("b.example", "/x?y=%20", "http://a.example/x?y=%20"),
        ("B.example.:8080", "/x", "http://a.example:8080/x"),
        ("deep.b.example", "//evil.example", "http://a.example//evil.example"),
    ] {
        let seen = ask(&tree, target, &[("HTTP_HOST", host)]).await;
        assert_eq!((seen.status, seen.header("location").as_str()), (308, expected), "{host}{target}");
    }
    let below = ask(&tree, "/sub/x", &[("HTTP_HOST", "b.example"), ("LODGER_MOUNT", "/sub")]).await;
    assert_eq!(below.header("location"), "http://a.example/sub/x");
    for host in ["a.example", "A.EXAMPLE:8080", "a.example."] {
        assert_eq!(ask(&tree, "/", &[("HTTP_HOST", host)]).await.status, 200, "{host}");
    }
}

#[tokio::test]
async fn a_question_about_the_whole_server_is_sent_to_no_strange_host() {
    let tree = tree(&site("canonical-host = true"));
    let seen = ask(&tree, "*", &[("REQUEST_METHOD", "OPTIONS"), ("HTTP_HOST", "b.example")]).await;
    assert_eq!(seen.header("location"), "http://a.example/");
}

#[tokio::test]
async fn http_becomes_https_without_the_port_and_in_one_step() {
    let tree = tree(&site("canonical-host = true\nhttps = \"redirect\""));
    for (host, https, expected) in [
        ("a.example", "", "https://a.example/x?y"),
        ("a.example:8080", "off", "https://a.example/x?y"),
        ("b.example:8080", "", "https://a.example/x?y"),
        ("b.example:8443", "on", "https://a.example:8443/x?y"),
    ] {
        let seen = ask(&tree, "/x?y", &[("HTTP_HOST", host), ("HTTPS", https)]).await;
        assert_eq!((seen.status, seen.header("location").as_str()), (308, expected), "{host}");
    }
    assert_eq!(ask(&tree, "/", &[("HTTPS", "on")]).await.status, 200);
}

#[tokio::test]
async fn who_checks_for_a_certificate_is_not_sent_to_https() {
    let tree = tree(&site("https = \"redirect\""));
    assert_eq!(get(&tree, "/.well-known/acme-challenge/token").await, (200, "here".to_owned()));
    assert_eq!(get(&tree, "/.well-known/acme-challenge").await.0, 308);
    assert_eq!(get(&tree, "/.well-known/acme-challenge/../x").await.0, 400);
}

#[tokio::test]
async fn behind_a_front_that_ends_tls_nobody_goes_round_in_circles() {
    let tree = tree(&site("https = \"redirect\""));
    for (name, value) in [
        ("HTTP_X_FORWARDED_PROTO", "https"),
        ("HTTP_X_FORWARDED_PROTO", "http, HTTPS"),
        ("HTTP_X_FORWARDED_SCHEME", "https"),
        ("HTTP_X_FORWARDED_PROTOCOL", "https"),
        ("HTTP_X_URL_SCHEME", "https"),
        ("HTTP_CLOUDFRONT_FORWARDED_PROTO", "https"),
        ("HTTP_X_FORWARDED_SSL", "on"),
        ("HTTP_FRONT_END_HTTPS", "On"),
        ("HTTP_FORWARDED", "for=192.0.2.9;proto=https"),
        ("HTTP_FORWARDED", "for=192.0.2.9;Proto=\"https\""),
        ("HTTP_CF_VISITOR", "{\"scheme\":\"https\"}"),
    ] {
        assert_eq!(ask(&tree, "/", &[(name, value)]).await.status, 200, "{name}: {value}");
    }
    for (name, value) in [("HTTP_X_FORWARDED_PROTO", "http"), ("HTTP_CF_VISITOR", "{\"scheme\":\"http\"}"), ("HTTP_FORWARDED", "proto=http")] {
        assert_eq!(ask(&tree, "/", &[(name, value)]).await.status, 308, "{name}: {value}");
    }
}

#[tokio::test]
async fn strict_transport_security_is_said_over_https_alone() {
    let tree = tree(&site("hsts = \"1y\"\nhsts-subdomains = true"));
    assert_eq!(ask(&tree, "/", &[("HTTPS", "on")]).await.header("strict-transport-security"), "max-age=31557600; includeSubDomains");
    for vars in [&[][..], &[("HTTPS", "off")], &[("HTTP_X_FORWARDED_PROTO", "https")]] {
        assert_eq!(ask(&tree, "/", vars).await.header("strict-transport-security"), "", "{vars:?}");
    }
}

#[tokio::test]
async fn security_headers_stand_on_every_answer_and_replace_none() {
    let own = "security-headers = true\nheaders = { X-Frame-Options = \"DENY\" }\ndeny = [\"203.0.113.1\"]";
    let tree = tree(&site(own));
    for vars in [&[][..], &[("REMOTE_ADDR", "203.0.113.1")]] {
        let seen = ask(&tree, "/", vars).await;
        assert_eq!(seen.header("x-frame-options"), "DENY", "{vars:?}");
        assert_eq!(seen.header("x-content-type-options"), "nosniff", "{vars:?}");
        assert_eq!(seen.header("referrer-policy"), "strict-origin-when-cross-origin", "{vars:?}");
    }
}

/// One route with these keys.
fn route(keys: &str) -> String {
    format!("[[site]]\n[[site.route]]\n{keys}\n")
}

#[tokio::test]
async fn a_method_that_no_route_takes_is_told_which_ones_do() {
    let tree = tree(
        "[[site]]\n[[site.route]]\npath = \"/x\"\nmethods = [\"GET\"]\nrespond = \"got\"\n\
         [[site.route]]\npath = \"/x\"\nmethods = [\"POST\", \"PUT\"]\nrespond = \"put\"\n",
    );
    for (method, status, body) in [("GET", 200, "got"), ("HEAD", 200, "got"), ("POST", 200, "put"), ("PUT", 200, "put")] {
        let seen = ask(&tree, "/x", &[("REQUEST_METHOD", method)]).await;
        assert_eq!((seen.status, seen.body.as_str()), (status, body), "{method}");
    }
    for method in ["DELETE", "OPTIONS", "BREW"] {
        let seen = ask(&tree, "/x", &[("REQUEST_METHOD", method)]).await;
        assert_eq!((seen.status, seen.header("allow").as_str()), (405, "GET, HEAD, POST, PUT"), "{method}");
    }
}

#[tokio::test]
async fn a_header_chooses_among_routes_and_caches_are_told() {
    let tree = tree(
        "[[site]]\n[[site.route]]\npath = \"/x\"\nheader = \"X-Beta: yes\"\nrespond = \"beta\"\n\
         [[site.route]]\npath = \"/x\"\nrespond = \"stable\"\n[[site.route]]\npath = \"/y\"\nheader = \"X-Any\"\nrespond = \"any\"\n",
    );
    for (vars, expected) in [
        (&[("HTTP_X_BETA", "yes")][..], "beta"),
        (&[("HTTP_X_BETA", "no"), ("HTTP_X_BETA", "yes")], "beta"),
        (&[("HTTP_X_BETA", "no")], "stable"),
        (&[], "stable"),
    ] {
        let seen = ask(&tree, "/x", vars).await;
        assert_eq!((seen.body.as_str(), seen.header("vary").as_str()), (expected, "x-any, x-beta"), "{vars:?}");
    }
    assert_eq!(ask(&tree, "/y", &[("HTTP_X_ANY", "")]).await.status, 200);
    let without = ask(&tree, "/y", &[]).await;
    assert_eq!(without.status, 404);
    assert!(without.header("vary").contains("x-any"), "{}", without.header("vary"));
}

#[tokio::test]
async fn who_lacks_the_header_of_a_route_meets_the_next_wider_one() {
    let toml = "[[site]]\n[[site.route]]\npath = \"/api/\"\nheader = \"X-Beta\"\nrespond = \"beta\"\n[[site.route]]\npath = \"/\"\nheader = \"X-Top\"\nrespond = \"top\"\n";
    let tree = tree(toml).with_app("app", app("app"));
    for (vars, expected) in [(&[("HTTP_X_BETA", "1")][..], "beta"), (&[("HTTP_X_TOP", "1")], "top"), (&[], "app GET /api/x")] {
        let seen = ask(&tree, "/api/x", vars).await;
        assert!(seen.body.starts_with(expected), "{vars:?}: {}", seen.body);
    }
}

#[tokio::test]
async fn a_lock_on_a_page_holds_however_the_server_behind_reads_its_path() {
    let toml = "[[site]]\n[[site.route]]\npath = \"/\"\nrespond = \"open\"\n[[site.route]]\npath = \"/login.php\"\nrespond = \"locked\"\nallow = [\"203.0.113.1\"]\n\
                [[site.route]]\npath = \"/admin/{*rest}\"\nrespond = \"locked\"\nallow = [\"203.0.113.1\"]\n";
    let tree = tree(toml);
    for target in [
        "/login.php",
        "/login.php/",
        "/login.php/x/y",
        "/login.php;a=b",
        "/login%2Ephp",
        "/login.php%2Fx",
        "/admin",
        "/admin/",
        "/admin/x",
        "/admin%2Fx",
        "/admin%5Cx",
        "/admin;x/y",
        "/;/admin/x",
        "/x%2F..%2Fadmin/",
    ] {
        let (status, body) = get(&tree, target).await;
        assert!(matches!(status, 400 | 403 | 308) && body != "locked" && body != "open", "{target}: {status} {body}");
    }
    for target in ["/", "/login", "/login.ph", "/a;b/c", "/x%5Cy", "/administrator"] {
        assert_eq!(get(&tree, target).await, (200, "open".to_owned()), "{target}");
    }
}

#[tokio::test]
async fn browsers_that_ask_beforehand_pass_the_same_gates() {
    let toml = "[[site]]\n[[site.route]]\npath = \"/\"\nrespond = \"x\"\nallow = [\"203.0.113.1\"]\ncors = { origins = [\"https://b.example\"] }\n";
    let asking = [("REQUEST_METHOD", "OPTIONS"), ("HTTP_ORIGIN", "https://b.example"), ("HTTP_ACCESS_CONTROL_REQUEST_METHOD", "GET")];
    assert_eq!(ask(&tree(toml), "/", &asking).await.status, 403);
}

#[tokio::test]
async fn what_a_handler_fails_with_gets_the_page_of_its_site() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("5xx"), "own 5xx").unwrap();
    let text = "[[site]]\nsecurity-headers = true\n[site.error-pages]\n5xx = \"5xx\"\n";
    let failing = tower::service_fn(async |request: Request<Body>| match request.uri().path() {
        "/panic" => panic!("as it may happen"),
        _ => Err::<Response<String>, crate::BoxError>("it broke".into()),
    });
    let tree = tree_in(folder.path(), text).with_app("app", failing);
    for target in ["/panic", "/error"] {
        let seen = ask(&tree, target, &[]).await;
        assert_eq!((seen.status, seen.body.as_str(), seen.header("x-content-type-options").as_str()), (500, "own 5xx", "nosniff"), "{target}");
    }
}

#[tokio::test]
async fn a_file_without_a_site_leaves_the_app_where_it_is() {
    for text in ["", "# nothing yet\n", "[server]\nmax-body = \"1MiB\"\n"] {
        let tree = tree(text).with_app("app", app("app"));
        assert!(get(&tree, "/x").await.1.starts_with("app GET /x"), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_waited_too_long_sees_the_page_of_the_site() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("504"), "too long").unwrap();
    let text = "[server]\nrequest-timeout = \"2s\"\n[[site]]\n[site.error-pages]\n504 = \"504\"\n";
    let endless = tower::service_fn(|_: Request<Body>| std::future::pending::<Result<Response<String>, crate::BoxError>>());
    let tree = tree_in(folder.path(), text).with_app("app", endless);
    assert_eq!(get(&tree, "/").await, (504, "too long".to_owned()));
}

#[tokio::test]
async fn pages_behind_a_lock_are_kept_by_no_shared_cache() {
    let toml = "[[site]]\ncache = \"1h\"\n[[site.route]]\npath = \"/\"\nrespond = \"x\"\n[[site.route]]\npath = \"/api\"\nrespond = \"x\"\nauth = { kind = \"bearer\", tokens = \"0123456789abcdef\" }\n";
    let tree = tree(toml);
    assert_eq!(ask(&tree, "/", &[]).await.header("cache-control"), "public, max-age=3600");
    let seen = ask(&tree, "/api", &[("HTTP_AUTHORIZATION", "Bearer 0123456789abcdef")]).await;
    assert_eq!((seen.status, seen.header("cache-control").as_str()), (200, "private, max-age=3600"));
}

#[tokio::test]
async fn an_app_sees_what_follows_the_prefix_of_its_route() {
    let toml = "[[site]]\nname = \"shop\"\n[[site.route]]\npath = \"/api/\"\napp = \"api\"\n\
                [[site.route]]\npath = \"/login\"\nrate = \"100/s\"\napp = \"app\"\n[[site.route]]\npath = \"/user/{id}\"\napp = \"app\"\n\
                [[site.route]]\npath = \"/old/{*rest}\"\nrewrite = \"/new/{*rest}\"\napp = \"app\"\n[[site.route]]\npath = \"/\"\napp = \"app\"\n";
    let tree = tree(toml).with_app("app", app("app")).with_app("api", app("api"));
    for (target, expected) in [
        ("/api/users?q", "api GET /users?q mount=/api site=shop original=/api/users?q "),
        ("/api", "api GET / mount=/api site=shop original=/api "),
        ("//%61pi//users", "api GET //users mount=//%61pi site=shop original=//%61pi//users "),
        ("/other/%7E?q", "app GET /other/%7E?q mount= site=shop original=/other/%7E?q "),
        ("/login", "app GET /login mount= site=shop original=/login "),
        ("/user/7", "app GET /user/7 mount= site=shop original=/user/7 "),
        ("/old/a%2Fb/c?q", "app GET /new/a%2Fb/c?q mount= site=shop original=/old/a%2Fb/c?q "),
    ] {
        assert_eq!(get(&tree, target).await, (200, expected.to_owned()), "{target}");
    }
    let below = ask(&tree, "/sub/api/x", &[("LODGER_MOUNT", "/sub")]).await;
    assert_eq!(below.body, "api GET /x mount=/sub/api site=shop original=/sub/api/x ");
}

#[tokio::test]
async fn a_site_without_a_route_to_an_app_ends_in_the_app() {
    let text = "[[site]]\nname = \"s\"\n[[site.route]]\npath = \"/x\"\nrespond = \"x\"\n";
    assert_eq!(get(&tree(text), "/other").await.0, 404, "there is no app");
    let with_app = tree(text).with_app("app", app("app"));
    assert_eq!(get(&with_app, "/other").await, (200, "app GET /other mount= site=s original=/other ".to_owned()));
    assert_eq!(get(&with_app, "/x").await.1, "x");
    let other = tree("[[site]]\n[[site.route]]\npath = \"/api/\"\napp = \"app\"\n").with_app("app", app("app"));
    assert_eq!(get(&other, "/other").await.0, 404, "the file says where the app is");
}

#[tokio::test]
async fn files_at_the_top_stand_before_the_app() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("www")).unwrap();
    fs::write(folder.path().join("www/a.txt"), "file").unwrap();
    let tree = tree_in(folder.path(), "[[site]]\nname = \"s\"\n[[site.route]]\npath = \"/\"\nfiles = \"www\"\n").with_app("app", app("app"));
    assert_eq!(get(&tree, "/a.txt").await, (200, "file".to_owned()));
    assert_eq!(get(&tree, "/b?q").await.1, "app GET /b?q mount= site=s original=/b?q ");
    let posted = ask(&tree, "/a.txt", &[("REQUEST_METHOD", "POST"), ("BODY", "form"), ("CONTENT_LENGTH", "4")]).await;
    assert_eq!(posted.body, "app POST /a.txt mount= site=s original=/a.txt form");
}

#[tokio::test]
async fn an_app_that_the_program_does_not_have_is_a_503_with_a_code() {
    let seen = get(&tree(&route("path = \"/\"\napp = \"nobody\"")), "/").await;
    assert!(seen.0 == 503 && seen.1.contains("LG0213"), "{seen:?}");
}

#[tokio::test]
async fn only_known_tenants_are_found_and_nobody_names_himself_one() {
    let text = "[[site]]\n[[site.route]]\npath = \"/t/{tenant}/{*rest}\"\ntenants = [\"acme\", \"größe\"]\napp = \"tell\"\n\
                [[site.route]]\npath = \"/free/\"\napp = \"tell\"\n";
    let tell = tower::service_fn(|request: Request<Body>| async move {
        let headers = request.headers();
        let said: Vec<String> = headers.iter().map(|(name, value)| format!("{name}={}", String::from_utf8_lossy(value.as_bytes()))).collect();
        Ok::<_, std::convert::Infallible>(Response::new(said.join(" ")))
    });
    let tree = tree(text).with_app("tell", tell);
    for (path, expected) in [("/t/acme/x", "acme"), ("/t/%61cme/x", "acme"), ("/t/gr%C3%B6%C3%9Fe/x", "größe")] {
        let seen = ask(&tree, path, &[("HTTP_X_TENANT_ID", "evil")]).await;
        assert_eq!((seen.status, seen.body.contains(&format!("x-tenant-id={expected}")), seen.body.contains("evil")), (200, true, false), "{path}");
    }
    for path in ["/t/other/x", "/t/ACME/x", "/t/acme%2F/x", "/t/acme%20/x"] {
        assert_eq!(get(&tree, path).await.0, 404, "{path}");
    }
    assert!(!ask(&tree, "/free/x", &[("HTTP_X_TENANT_ID", "evil"), ("HTTP_X_REMOTE_USER", "evil")]).await.body.contains("evil"));
}

#[tokio::test]
async fn a_browser_may_ask_beforehand_without_a_name_and_read_every_refusal() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("users"), "alice:{SHA}L55TUjtiq8FBorTWAZ0jy6g129A=\n").unwrap();
    let text = "[[site]]\nrate = \"2/h\"\n[site.cors]\norigins = [\"https://app.example\"]\nmethods = [\"GET\", \"PUT\"]\n\
                [site.auth]\nkind = \"basic\"\nusers = \"users\"\n[[site.route]]\npath = \"/x\"\nmethods = [\"GET\", \"PUT\"]\nrespond = \"x\"\n";
    let origin = ("HTTP_ORIGIN", "https://app.example");
    for (target, status) in [("/x", 401), ("/nowhere", 404), ("/a/../b", 400)] {
        let seen = ask(&tree_in(folder.path(), text), target, &[origin]).await;
        assert_eq!((seen.status, seen.header("access-control-allow-origin").as_str()), (status, "https://app.example"), "{target}");
    }
    let tree = tree_in(folder.path(), text);
    let preflight = [("REQUEST_METHOD", "OPTIONS"), origin, ("HTTP_ACCESS_CONTROL_REQUEST_METHOD", "PUT")];
    for _ in 0..3 {
        let seen = ask(&tree, "/x", &preflight).await;
        assert_eq!((seen.status, seen.header("access-control-allow-origin").as_str()), (204, "https://app.example"));
    }
    let seen = ask(&tree, "/x", &[origin]).await;
    assert_eq!((seen.status, seen.header("access-control-allow-origin").as_str()), (429, "https://app.example"));
    assert!(!seen.header("retry-after").is_empty());
}

#[tokio::test]
async fn who_is_kept_out_by_address_is_not_asked_for_a_password() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("users"), "").unwrap();
    let text =
        "[[site]]\n[site.auth]\nkind = \"basic\"\nusers = \"users\"\n[[site.route]]\npath = \"/\"\ndeny = [\"203.0.113.0/24\"]\nrespond = \"x\"\n";
    let tree = tree_in(folder.path(), text);
    let kept_out = ask(&tree, "/", &[("REMOTE_ADDR", "203.0.113.7")]).await;
    assert_eq!((kept_out.status, kept_out.header("www-authenticate").as_str()), (403, ""));
    assert_eq!(get(&tree, "/").await.0, 401);
}

/// An app that never answers.
fn hanging() -> impl crate::app::App {
    tower::service_fn(|_: Request<Body>| std::future::pending::<Result<Response<String>, std::convert::Infallible>>())
}

#[tokio::test(start_paused = true)]
async fn a_handler_has_the_time_of_its_route_then_of_its_site_then_of_the_process() {
    let text = "[server]\nrequest-timeout = \"10s\"\n[[site]]\nhosts = [\"a.example\"]\ntimeout = \"3s\"\n[[site.route]]\npath = \"/long\"\ntimeout = \"60s\"\napp = \"app\"\n\
                [[site.route]]\npath = \"/\"\napp = \"app\"\n[[site]]\nhosts = [\"b.example\"]\n";
    let tree = tree(text).with_app("app", hanging());
    for (host, path, seconds) in [("a.example", "/long", 60), ("a.example", "/x", 3), ("b.example", "/x", 10)] {
        let began = tokio::time::Instant::now();
        let seen = ask(&tree, path, &[("HTTP_HOST", host)]).await;
        assert_eq!((seen.status, began.elapsed()), (504, Duration::from_secs(seconds)), "{host}{path}");
        assert!(seen.body.contains("LG0502"));
    }
}

#[tokio::test]
async fn a_body_may_be_as_large_as_the_nearest_limit_says() {
    let text = "[server]\nmax-body = \"8B\"\n[[site]]\nhosts = [\"a.example\"]\nmax-body = \"4B\"\n[[site.route]]\npath = \"/large\"\nmax-body = \"16B\"\napp = \"app\"\n\
                [[site.route]]\npath = \"/\"\napp = \"app\"\n[[site]]\nhosts = [\"b.example\"]\n";
    let tree = tree(text).with_app("app", app("app"));
    for (host, path, most) in [("a.example", "/large", 16), ("a.example", "/x", 4), ("b.example", "/x", 8)] {
        for (length, status) in [(most, 200), (most + 1, 413)] {
            let (body, declared) = ("x".repeat(length), length.to_string());
            let vars = [("REQUEST_METHOD", "POST"), ("HTTP_HOST", host), ("CONTENT_LENGTH", declared.as_str()), ("BODY", body.as_str())];
            assert_eq!(ask(&tree, path, &vars).await.status, status, "{host}{path} {length}");
        }
    }
}

#[tokio::test]
async fn too_many_at_one_time_are_told_when_to_come_back() {
    let tree = tree(&route("path = \"/\"\nmax-concurrent = 1\napp = \"app\"")).with_app("app", hanging());
    let first = tokio::spawn({
        let tree = tree.clone();
        async move { ask(&tree, "/", &[]).await }
    });
    tokio::task::yield_now().await;
    let second = ask(&tree, "/", &[]).await;
    assert_eq!((second.status, second.header("retry-after").as_str()), (503, "1"));
    assert!(second.body.contains("LG0509"));
    first.abort();
}

#[tokio::test]
async fn error_pages_are_found_by_status_and_kind_and_speak_as_the_visitor_asks() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["404", "4xx", "5xx"] {
        fs::write(folder.path().join(name), format!("own {name}")).unwrap();
    }
    let text = "[[site]]\n[site.error-pages]\n404 = \"404\"\n4xx = \"4xx\"\n5xx = \"5xx\"\n[[site.route]]\npath = \"/get\"\nmethods = [\"GET\"]\nrespond = \"x\"\n\
                [[site.route]]\npath = \"/app\"\napp = \"nobody\"\n[[site.route]]\npath = \"/teapot\"\nrespond = \"short and stout\"\nstatus = 418\n";
    let tree = tree_in(folder.path(), text);
    let delete = ("REQUEST_METHOD", "DELETE");
    for (target, vars, status, expected) in [
        ("/nowhere", &[][..], 404, "own 404"),
        ("/get", &[delete], 405, "own 4xx"),
        ("/app", &[], 503, "own 5xx"),
        ("/teapot", &[], 418, "short and stout"),
    ] {
        let seen = ask(&tree, target, vars).await;
        assert_eq!((seen.status, seen.body.as_str()), (status, expected), "{target}");
    }
    let json = ask(&tree, "/app", &[("HTTP_ACCEPT", "application/json")]).await;
    let problem: serde_json::Value = serde_json::from_str(&json.body).unwrap();
    assert_eq!(
        (json.header("content-type").as_str(), &problem["status"], &problem["code"]),
        ("application/problem+json", &503.into(), &"LG0213".into())
    );
    let text = ask(&tree, "/nowhere", &[("HTTP_ACCEPT", "text/plain")]).await;
    assert!(text.header("content-type").starts_with("text/plain") && text.body.starts_with("404 Not Found"), "{text:?}");
    assert!(text.header("vary").contains("Accept"), "{text:?}");
}

#[tokio::test]
async fn own_pages_stand_in_for_those_of_apps_where_the_site_says_so() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("4xx"), "own").unwrap();
    let text = "[[site]]\nmaintenance = \"closed\"\n[site.error-pages]\n4xx = \"4xx\"\n5xx = \"4xx\"\nreplace = true\n\
                [[site.route]]\npath = \"/gone\"\nrespond = \"gone for good\"\nstatus = 410\n";
    let refusing =
        tower::service_fn(async |_: Request<Body>| Ok::<_, crate::BoxError>(Response::builder().status(404).body("the app's".to_owned())?));
    let tree = tree_in(folder.path(), text).with_app("app", refusing);
    assert_eq!(get(&tree, "/").await, (404, "own".to_owned()));
    assert_eq!(get(&tree, "/gone").await, (410, "gone for good".to_owned()), "what the operator wrote is meant");
    fs::write(folder.path().join("closed"), "back at noon").unwrap();
    assert_eq!(get(&tree, "/").await, (503, "back at noon".to_owned()));
}

#[tokio::test]
async fn while_the_file_of_maintenance_is_there_visitors_see_its_text() {
    let folder = tempfile::tempdir().unwrap();
    let tree = tree_in(folder.path(), &site("maintenance = \"closed.html\""));
    assert_eq!(get(&tree, "/").await, (200, "here".to_owned()));
    fs::write(folder.path().join("closed.html"), "<p>Back at noon").unwrap();
    let closed = ask(&tree, "/", &[]).await;
    assert_eq!((closed.status, closed.body.as_str(), closed.header("retry-after").as_str()), (503, "<p>Back at noon", "300"));
    assert_eq!((closed.header("cache-control").as_str(), closed.header("content-type").as_str()), ("no-store", "text/html; charset=utf-8"));
    fs::write(folder.path().join("closed.html"), "").unwrap();
    assert!(get(&tree, "/").await.1.contains("LG0411"));
    fs::remove_file(folder.path().join("closed.html")).unwrap();
    assert_eq!(get(&tree, "/").await.0, 200);
}

#[tokio::test]
async fn lodger_tells_about_itself() {
    let text = "[[site]]\nname = \"s\"\n[[site.route]]\npath = \"/health\"\nserve = \"health\"\n[[site.route]]\npath = \"/metrics\"\nserve = \"metrics\"\n\
                [[site.route]]\npath = \"/status\"\nserve = \"status\"\n";
    let tree = tree(text);
    assert_eq!(get(&tree, "/health").await, (200, "ok\n".to_owned()));
    assert!(get(&tree, "/metrics").await.1.contains("\nlodger_info{version=\""));
    let status = get(&tree, "/status").await.1;
    assert!(status.contains("\ngateway fastcgi\n") && status.contains("\nsite s\n"), "{status}");
}
