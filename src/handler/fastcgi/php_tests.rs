//! The handler and a real PHP-FPM.

use super::*;
use crate::handler::cgi::testing::{Log, asked, text, unmeasured};
use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tower::ServiceExt as _;

/// A PHP-FPM with one worker, so that a connection that were kept would show.
struct Php {
    folder: TempDir,
    fpm: Child,
    fastcgi: FastCgi,
}

const SHOW: &str = r#"<?php
error_log("show was here");
header("X-A: b");
foreach (["SCRIPT_NAME", "PATH_INFO", "PHP_SELF", "REQUEST_URI", "QUERY_STRING", "CONTENT_LENGTH", "HTTP_AUTHORIZATION", "REMOTE_ADDR"] as $name) {
    echo $name, "=", $_SERVER[$name] ?? "none", "\n";
}
echo "body=", strlen(file_get_contents("php://input")), "\n";
"#;

const SCRIPTS: [(&str, &str); 7] = [
    ("index.php", "<?php echo 'front ', $_SERVER['REQUEST_URI'];"),
    ("show.php", SHOW),
    ("away.php", "<?php header('Location: /show.php');"),
    ("image.jpg", "<?php echo 'run as a script';"),
    ("form.php", "<?php echo $_POST['a'] ?? 'nothing';"),
    ("dies.php", "<?php exec('kill -9 ' . getmypid());"),
    ("half.php", "<?php ob_implicit_flush(); echo str_repeat('half', 5000); flush(); exec('kill -9 ' . getmypid());"),
];

impl Php {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (root, socket, settings) = (folder.path().join("root"), folder.path().join("socket"), folder.path().join("fpm.conf"));
        fs::create_dir(&root).unwrap();
        for (name, text) in SCRIPTS {
            fs::write(root.join(name), text).unwrap();
        }
        let user = Command::new("id").args(["--user", "--name"]).output().unwrap().stdout;
        let lines = format!(
            "[global]\nerror_log = {log}\ndaemonize = no\n[www]\nuser = {user}\nlisten = {socket}\npm = static\npm.max_children = 1\nphp_flag[log_errors] = on\n",
            log = folder.path().join("fpm.log").display(),
            user = String::from_utf8(user).unwrap().trim(),
            socket = socket.display()
        );
        fs::write(&settings, lines).unwrap();
        let mut fpm = Command::new(program());
        fpm.args(["--no-php-ini", "--allow-to-run-as-root", "--fpm-config"]).arg(&settings).stdin(Stdio::null()).stderr(Stdio::null());
        let fpm = fpm.spawn().unwrap();
        let upstream = config::model::Upstream::Unix(socket.clone());
        let (connect_timeout, fail_for) = (Duration::from_secs(10), Duration::from_secs(10));
        let fastcgi = FastCgi::new(config::model::FastCgi { upstream, root, index: "index.php".to_owned(), connect_timeout, fail_for });
        let php = Self { folder, fpm, fastcgi };
        let begun = Instant::now();
        while std::os::unix::net::UnixStream::connect(&socket).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(20), "PHP-FPM does not listen: {}", php.log());
            std::thread::sleep(Duration::from_millis(20));
        }
        php
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("fpm.log")).unwrap_or_default()
    }

    async fn answer(&self, request: Request<Body>) -> Answer {
        tokio::time::timeout(Duration::from_secs(20), self.fastcgi.clone().oneshot(request)).await.expect("PHP-FPM answers").unwrap()
    }

    async fn says(&self, path: &str) -> String {
        text(self.answer(asked(path, path.split('?').next().unwrap())).await).await.unwrap()
    }
}

/// The master ends its workers when it is asked to leave, and leaves them behind when it is killed.
impl Drop for Php {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.fpm.id().to_string()).status();
        let _ = self.fpm.wait();
    }
}

/// Debian's program bears the version in its name.
fn program() -> PathBuf {
    let programs = fs::read_dir("/usr/sbin").unwrap().map(|entry| entry.unwrap().path());
    let is_fpm = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("php-fpm"));
    programs.filter(is_fpm).max().unwrap_or_else(|| Path::new("/usr/sbin/php-fpm").to_owned())
}

fn posted(path: &'static str, kind: &'static str, body: Body) -> Request<Body> {
    let mut request = asked(path, path).map(|_| body);
    *request.method_mut() = http::Method::POST;
    request.headers_mut().insert("content-type", kind.parse().unwrap());
    request
}

#[tokio::test]
#[ignore = "needs PHP-FPM: make test"]
async fn php_fpm_runs_the_scripts_of_a_site() {
    let (log, _guard) = Log::begin();
    let php = Php::start();

    let mut request = asked("/php/show.php/a%20b?c=d", "/show.php/a%20b").map(|_| Body::from(vec![b'x'; 3 * 1024 * 1024]));
    *request.method_mut() = http::Method::POST;
    request.headers_mut().insert("authorization", "Bearer t".parse().unwrap());
    let answer = php.answer(request).await;
    assert_eq!((answer.status(), &answer.headers()["x-a"]), (StatusCode::OK, &"b".parse().unwrap()));
    let said = text(answer).await.unwrap();
    let expect = "SCRIPT_NAME=/php/show.php\nPATH_INFO=/a b\nPHP_SELF=/php/show.php/a b\nREQUEST_URI=/php/show.php/a%20b?c=d\nQUERY_STRING=c=d\n\
                  CONTENT_LENGTH=3145728\nHTTP_AUTHORIZATION=Bearer t\nREMOTE_ADDR=\nbody=3145728\n";
    assert_eq!(said, expect);
    assert!(log.lines().iter().any(|line| line.contains("show was here")), "{:?}", log.lines());

    assert_eq!(php.says("/").await, "front /");
    assert_eq!(php.says("/news/7?x").await, "front /news/7?x");
    assert_eq!(php.says("/image.jpg/x.php").await, "front /image.jpg/x.php");
    assert_eq!(php.answer(asked("/image.jpg", "/image.jpg")).await.status(), StatusCode::NOT_FOUND);

    let away = php.answer(asked("/away.php", "/away.php")).await;
    assert_eq!((away.status(), &away.headers()["location"]), (StatusCode::FOUND, &"/show.php".parse().unwrap()));
    // The one worker waits until the connection is closed.
    drop(away);

    let form = posted("/form.php", "application/x-www-form-urlencoded", unmeasured(&["a=", "b c"]));
    assert_eq!(text(php.answer(form).await).await.unwrap(), "b c");
}

#[tokio::test]
#[ignore = "needs PHP-FPM: make test"]
async fn one_worker_of_php_fpm_serves_many_visitors() {
    let php = Php::start();
    let visitors = (0..20).map(|_| php.says("/"));
    let said = tokio::time::timeout(Duration::from_secs(20), futures_util::future::join_all(visitors)).await.unwrap();
    assert!(said.iter().all(|said| said == "front /"), "{said:?}");
}

#[tokio::test]
#[ignore = "needs PHP-FPM: make test"]
async fn a_worker_of_php_fpm_that_dies_is_seen_to_have_failed() {
    let (log, _guard) = Log::begin();
    let php = Php::start();
    assert_eq!(php.answer(asked("/dies.php", "/dies.php")).await.status(), StatusCode::BAD_GATEWAY);
    assert!(log.lines().iter().any(|line| line.starts_with("LG0406")), "{:?}", log.lines());
    let half = php.answer(asked("/half.php", "/half.php")).await;
    assert_eq!(half.status(), StatusCode::OK);
    assert!(text(half).await.is_err(), "the body did not end as it should");
    assert_eq!(php.says("/").await, "front /", "another worker has come");
}
