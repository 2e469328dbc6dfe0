//! A `lodger.toml` that changes while it is served, and one that has mistakes. The clock of the tests stands still until it is told to go on.

use super::{
    Tree,
    broken::StateFolder,
    tree_tests::{ask, get},
    watch::Watch,
};
use crate::{app::App as _, config::Config};
use std::{
    fs,
    path::PathBuf,
    time::{Duration, SystemTime},
};
use tempfile::TempDir;
use tokio::time::advance;

/// A little more than lies between two looks at the file.
const LOOK: Duration = Duration::from_millis(1001);

/// A folder with a file and a state directory.
struct Place {
    folder: TempDir,
}

impl Place {
    fn new(text: &str) -> Self {
        let place = Self { folder: TempDir::new().unwrap() };
        fs::create_dir(place.state()).unwrap();
        place.write(text);
        place
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("lodger.toml")
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// Writes the file now.
    fn write(&self, text: &str) {
        fs::write(self.path(), text).unwrap();
    }

    fn write_at(&self, time: SystemTime, text: &str) {
        self.write(text);
        let file = fs::File::options().write(true).open(self.path()).unwrap();
        file.set_modified(time).unwrap();
    }

    /// Writes the file as somebody did a while ago.
    fn written_before(&self, text: &str) {
        self.write_at(SystemTime::now() - Duration::from_secs(60), text);
    }

    /// Writes the file so that its time does not say that it rests, however busy the machine is.
    fn being_written(&self, text: &str) {
        self.write_at(SystemTime::now() + Duration::from_secs(60), text);
    }

    fn tree(&self) -> Tree {
        let watch = Watch::new(&self.path());
        let read = Config::load(self.path());
        Tree::make(read.as_ref().map_err(Clone::clone), watch, StateFolder::at(&self.state()))
    }

    fn errors(&self) -> Option<String> {
        fs::read_to_string(self.state().join("config-errors.txt")).ok()
    }
}

fn says(word: &str) -> String {
    format!("[[site]]\n[[site.route]]\npath = \"/\"\nrespond = \"{word}\"\n")
}

/// Two mistakes, one of them with a word that no visitor may see.
const BROKEN: &str = "[[site]]\nhost = \"hidden.example\"\n[[site.route]]\npath = \"/\"\n";

#[tokio::test(start_paused = true)]
async fn a_changed_file_holds_from_the_first_request_after_the_next_look() {
    let place = Place::new(&says("one"));
    let tree = place.tree();
    place.written_before(&says("second"));
    assert_eq!(get(&tree, "/").await.1, "one", "nobody looks more often than once a second");
    advance(LOOK).await;
    assert_eq!(get(&tree, "/").await.1, "second");
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_still_being_written_waits_until_it_rests() {
    let place = Place::new(&says("one"));
    let tree = place.tree();
    for half in ["[[site]]\n[[site.ro", "[[site]]\n[[site.route]]\npath = \"/\"\nrespond = \"ha", &says("third")] {
        place.being_written(half);
        advance(LOOK).await;
        assert_eq!(get(&tree, "/").await.1, "one", "{half}");
        assert_eq!(place.errors(), None, "{half}");
    }
    advance(LOOK).await;
    assert_eq!(get(&tree, "/").await.1, "third");
}

#[tokio::test(start_paused = true)]
async fn a_file_with_mistakes_changes_nothing_and_is_told_of() {
    let place = Place::new(&says("one"));
    let tree = place.tree();
    place.written_before(BROKEN);
    advance(LOOK).await;
    assert_eq!(get(&tree, "/").await, (200, "one".to_owned()));
    assert!(place.errors().unwrap().contains("hosts"), "{:?}", place.errors());
    place.written_before(&says("mended"));
    advance(LOOK).await;
    assert_eq!(get(&tree, "/").await, (200, "mended".to_owned()));
    assert_eq!(place.errors(), None);
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_taken_away_changes_nothing() {
    let place = Place::new(&says("one"));
    let tree = place.tree();
    fs::remove_file(place.path()).unwrap();
    for _ in 0..3 {
        advance(LOOK).await;
        assert_eq!(get(&tree, "/").await, (200, "one".to_owned()));
    }
    place.written_before(&says("again"));
    advance(LOOK).await;
    assert_eq!(get(&tree, "/").await, (200, "again".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_request_in_work_keeps_what_it_began_with() {
    let route = |timeout: u8| format!("[[site]]\n[[site.route]]\npath = \"/\"\ntimeout = \"{timeout}s\"\napp = \"app\"\n");
    let place = Place::new(&route(9));
    let app = tower::service_fn(|_: http::Request<crate::Body>| std::future::pending::<Result<http::Response<String>, crate::BoxError>>());
    let tree = place.tree().with_app("app", app);
    let begun = tokio::time::Instant::now();
    let first = tokio::spawn({
        let tree = tree.clone();
        async move { (ask(&tree, "/", &[]).await.status, begun.elapsed()) }
    });
    tokio::task::yield_now().await;
    place.written_before(&says("changed"));
    advance(LOOK).await;
    assert_eq!(get(&tree, "/").await.1, "changed");
    assert_eq!(first.await.unwrap(), (504, Duration::from_secs(9)));
}

#[tokio::test]
async fn with_mistakes_from_the_start_visitors_are_told_a_code_and_nothing_else() {
    let place = Place::new(BROKEN);
    let tree = place.tree();
    let token = fs::read_to_string(place.state().join("token")).unwrap();
    let token = token.trim();
    for target in
        ["/", "/?lodger-token=", "/?lodger-token=wrong", &format!("/{token}"), &format!("/?token={token}"), &format!("/?lodger-token={token}0")]
    {
        let seen = ask(&tree, target, &[]).await;
        assert_eq!((seen.status, seen.header("retry-after").as_str()), (503, "5"), "{target}");
        assert!(seen.body.contains("LG0211") && !seen.body.contains("hidden") && !seen.body.contains("lodger.toml"), "{target}: {}", seen.body);
    }
    let json = ask(&tree, "/", &[("HTTP_ACCEPT", "application/json")]).await;
    assert!(json.body.contains("\"code\":\"LG0211\""), "{}", json.body);
}

#[tokio::test]
async fn who_shows_the_token_sees_every_mistake() {
    let place = Place::new(BROKEN);
    let tree = place.tree();
    let token = fs::read_to_string(place.state().join("token")).unwrap();
    let seen = ask(&tree, &format!("/any?a=b&lodger-token={}", token.trim()), &[]).await;
    assert_eq!(
        (seen.status, seen.header("content-type").as_str(), seen.header("cache-control").as_str()),
        (503, "text/plain; charset=utf-8", "no-store")
    );
    // The file says in a line of its own when it was written.
    let errors = place.errors().unwrap();
    assert_eq!(Some(seen.body.as_str()), errors.split_once("\n\n").map(|(_, mistakes)| mistakes));
    drop(tree);
    drop(place.tree());
    assert_eq!(fs::read_to_string(place.state().join("token")).unwrap(), token, "the next process has the same");
}

#[tokio::test(start_paused = true)]
async fn a_file_that_was_broken_from_the_start_is_taken_over_once_it_is_mended() {
    let place = Place::new(BROKEN);
    let tree = place.tree();
    assert_eq!(get(&tree, "/").await.0, 503);
    place.written_before(&format!("{BROKEN}\nother = 1\n"));
    advance(LOOK).await;
    assert_eq!(get(&tree, "/").await.0, 503);
    assert!(place.errors().unwrap().contains("other"), "the mistakes of now are told");
    place.written_before(&says("mended"));
    advance(LOOK).await;
    assert_eq!(get(&tree, "/").await, (200, "mended".to_owned()));
    assert_eq!(place.errors(), None);
}

#[tokio::test(start_paused = true)]
async fn a_file_that_comes_after_the_program_is_taken_over() {
    let place = Place::new("");
    fs::remove_file(place.path()).unwrap();
    let welcome = tower::service_fn(async |_| Ok::<_, crate::BoxError>(http::Response::new("put a file there".to_owned())));
    let tree = Tree::until(Watch::new(&place.path()), welcome.into_box());
    assert_eq!(get(&tree, "/word").await, (200, "put a file there".to_owned()));
    place.written_before("[[site]]\n[[site.route]]\npath = \"/word\"\nrespond = \"here it is\"\n");
    advance(LOOK).await;
    assert_eq!(get(&tree, "/word").await, (200, "here it is".to_owned()));
    assert_eq!(get(&tree, "/").await.0, 404, "what said that there is no file is no app of a site");
}
