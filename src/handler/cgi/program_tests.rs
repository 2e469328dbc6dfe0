//! Programs that run, and what becomes of their output.

use super::{
    testing::{Log, asked, text, unmeasured},
    *,
};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Limited};
use std::time::Duration;
use tempfile::TempDir;
use tower::ServiceExt as _;

/// A folder with the shell script `report.cgi`.
struct Script {
    folder: TempDir,
    env: Vec<(String, String)>,
}

/// Another process writes it: a program that a test beside this one starts would hold a file of ours open for a moment, and what is open for writing cannot be executed.
fn script(text: &str) -> Script {
    let folder = tempfile::tempdir().unwrap();
    let write = ["-c", r#"printf '#!/bin/sh\n%s\n' "$1" >"$0" && chmod 755 "$0""#];
    let written = Command::new("sh").args(write).arg(folder.path().join("report.cgi")).arg(text).status().unwrap();
    assert!(written.success());
    Script { folder, env: Vec::new() }
}

impl Script {
    async fn answers(&self, request: Request<Body>) -> Answer {
        let settings = config::model::Cgi { program: self.folder.path().join("report.cgi"), env: self.env.clone() };
        Cgi::new(settings).oneshot(request).await.unwrap()
    }

    async fn says(&self, request: Request<Body>) -> String {
        text(self.answers(request).await).await.unwrap()
    }
}

fn failure(answer: &Answer) -> Option<Failure> {
    answer.extensions().get::<Failure>().copied()
}

const FAILED: Failure = Failure::new(StatusCode::BAD_GATEWAY, codes::CGI_PROGRAM);

fn posted(body: Body) -> Request<Body> {
    Request::post("/report").body(body).unwrap()
}

#[tokio::test]
async fn a_program_answers_with_status_headers_and_body() {
    let answer = script(r"printf 'Status: 201 Created\nX-A: b\n\nmade'").answers(asked("/report", "/")).await;
    assert_eq!((answer.status(), &answer.headers()["x-a"]), (StatusCode::CREATED, &"b".parse().unwrap()));
    assert_eq!(text(answer).await.unwrap(), "made");
}

#[tokio::test]
async fn a_program_knows_where_it_stands_and_gets_nothing_else() {
    let mut script =
        script(r#"printf 'A: b\n\n'; echo "$PATH_INFO|$SCRIPT_NAME|$QUERY_STRING|$PATH|$FOR_IT|$HOME|$CARGO_MANIFEST_DIR|$#|$(basename $(pwd))""#);
    script.env = vec![("FOR_IT".to_owned(), "from the configuration".to_owned())];
    let folder = script.folder.path().file_name().unwrap().to_string_lossy().into_owned();
    let said = script.says(asked("/tools/report/a%20b?x+y", "/a%20b")).await;
    assert_eq!(said, format!("/a b|/tools/report|x+y|{PATH}|from the configuration|||0|{folder}\n"));
}

#[tokio::test]
async fn a_route_without_a_prefix_has_no_path_info() {
    let said = script(r#"printf 'A: b\n\n'; echo "${PATH_INFO-none}|$SCRIPT_NAME""#).says(asked("/report", "/")).await;
    assert_eq!(said, "none|/report\n");
}

#[tokio::test]
async fn signals_are_as_a_program_expects_them() {
    let said = script(r"printf 'A: b\n\n'; grep -E 'SigBlk|SigIgn' /proc/self/status").says(asked("/", "/")).await;
    let mask = |name: &str| u64::from_str_radix(said.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim(), 16).unwrap();
    const SIGPIPE: u64 = 1 << 12;
    assert_eq!((mask("SigBlk:"), mask("SigIgn:") & SIGPIPE), (0, 0));
}

#[tokio::test]
async fn no_file_of_ours_is_open_in_a_program() {
    let ours = tempfile::NamedTempFile::new().unwrap();
    let name = ours.path().file_name().unwrap().to_string_lossy();
    let said = script(r"printf 'A: b\n\n'; ls -l /proc/self/fd").says(asked("/", "/")).await;
    assert!(said.contains("pipe:") && !said.contains(&*name), "{said}");
}

#[tokio::test]
async fn big_bodies_go_both_ways() {
    let echo = script(r#"printf 'A: b\n\n%s:' "$CONTENT_LENGTH"; cat"#);
    let big = "0123456789abcdef".repeat(256 * 1024);
    let said = echo.says(posted(Body::from(big.clone()))).await;
    assert!(said == format!("{}:{big}", big.len()), "{} bytes came back", said.len());
}

#[tokio::test]
async fn a_body_without_a_length_is_collected_for_the_program() {
    let said = script(r#"printf 'A: b\n\n%s:' "$CONTENT_LENGTH"; cat"#).says(posted(unmeasured(&["abc", "def"]))).await;
    assert_eq!(said, "6:abcdef");
}

#[tokio::test]
async fn a_program_may_answer_without_reading() {
    let big = Bytes::from(vec![0; 4 * 1024 * 1024]);
    assert_eq!(script(r"printf 'A: b\n\nno thanks'").says(posted(Body::from(big))).await, "no thanks");
}

#[tokio::test]
async fn what_it_complains_of_is_in_the_log() {
    let (log, _guard) = Log::begin();
    let said = script(r"echo careful >&2; printf 'A: b\n\n'; head -c 300000 /dev/zero >&2; printf end; printf bye >&2").says(asked("/", "/")).await;
    assert_eq!(said, "end");
    let lines = log.lines();
    assert_eq!(lines[0], "report.cgi: careful");
    assert_eq!(lines.len(), 2, "zeros and `bye` are one line, and cut");
}

#[tokio::test]
async fn a_program_that_fails_before_its_head_is_named_in_the_log_alone() {
    for text in ["exit 3", "exit 0", "echo 'Content-Type: text/html'; exit 3", "echo nonsense; echo", "kill -9 $$"] {
        let (log, _guard) = Log::begin();
        let script = script(text);
        let answer = script.answers(asked("/", "/")).await;
        assert_eq!(failure(&answer), Some(FAILED), "{text}");
        assert!(answer.headers().is_empty());
        let path = script.folder.path().join("report.cgi");
        assert!(log.lines()[0].starts_with(&format!("LG0408: the program {} ", path.display())), "{:?}", log.lines());
    }
}

#[tokio::test]
async fn a_program_that_cannot_be_started_is_a_bad_gateway() {
    let (log, _guard) = Log::begin();
    let settings = config::model::Cgi { program: "/nonexistent/report.cgi".into(), env: Vec::new() };
    let answer = Cgi::new(settings).oneshot(asked("/", "/")).await.unwrap();
    assert_eq!(failure(&answer), Some(FAILED));
    assert!(log.lines()[0].contains("cannot be started: No such file"), "{:?}", log.lines());
}

#[tokio::test]
async fn a_program_that_fails_later_breaks_the_body() {
    for text in [r"printf 'A: b\n\nhalf'; exit 1", r"printf 'A: b\n\nhalf'; kill -9 $$"] {
        let answer = script(text).answers(asked("/", "/")).await;
        assert_eq!(answer.status(), StatusCode::OK);
        let mut body = answer.into_body();
        let mut read = Vec::new();
        let error = loop {
            match body.frame().await {
                Some(Ok(frame)) => read.extend_from_slice(&frame.into_data().unwrap()),
                Some(Err(error)) => break error,
                None => panic!("{text}: the body ended as if it were whole"),
            }
        };
        assert_eq!(read, b"half");
        assert!(error.to_string().contains("ended with"), "{error}");
    }
}

#[tokio::test]
async fn a_body_that_is_too_large_is_the_visitors_fault() {
    let mut request = posted(Body::new(Limited::new(unmeasured(&["abc", "def"]), 4)));
    request.headers_mut().insert("content-length", 6.into());
    let answer = script("cat >/dev/null; printf 'A: b\\n\\n'").answers(request).await;
    assert_eq!(failure(&answer), Some(Failure::new(StatusCode::PAYLOAD_TOO_LARGE, codes::BODY_TOO_LARGE)));
}

#[tokio::test]
async fn a_path_with_a_nul_is_refused() {
    let answer = script("printf 'A: b\\n\\n'").answers(asked("/r/a%00b", "/a%00b")).await;
    assert_eq!(failure(&answer), Some(Failure::new(StatusCode::BAD_REQUEST, codes::HOSTILE_PATH)));
}

#[tokio::test]
async fn a_program_that_was_ended_is_not_left_in_the_table_of_processes() {
    let answer = script(r#"printf 'A: %s\n\n' "$$"; exec sleep 1000"#).answers(asked("/", "/")).await;
    let entry = Path::new("/proc").join(answer.headers()["a"].to_str().unwrap());
    assert!(entry.exists());
    drop(answer);
    let gone = async {
        while entry.exists() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), gone).await.expect("it was waited for");
}

#[tokio::test]
async fn who_leaves_ends_the_program_and_its_children() {
    // The pipe has a writer for as long as one of the two lives.
    let script = script(r"sleep 1000 3>alive & exec 3>alive; printf 'A: b\n\n'; exec sleep 1000");
    let fifo = script.folder.path().join("alive");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let alive = tokio::net::unix::pipe::OpenOptions::new().open_receiver(&fifo).unwrap();
    let answer = script.answers(asked("/", "/")).await;
    drop(answer);
    let ended = async {
        let mut byte = [0];
        loop {
            alive.readable().await.unwrap();
            if alive.try_read(&mut byte).is_ok_and(|len| len == 0) {
                break;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(10), ended).await.expect("both have ended");
}
