//! Hands files to tower-http that were looked at before: it knows them by a stand-in name and never sees a path.

use super::find::{self, Entry};
use crate::diagnostic::codes as code;
use std::{
    fs::{File as StdFile, OpenOptions},
    future::{Ready, ready},
    io::{self, SeekFrom},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::SystemTime,
};
use tokio::io::{AsyncRead, AsyncSeek, ReadBuf};
use tower_http::services::fs::{Backend, File, Metadata};

/// A file and what may be sent in its place.
#[derive(Debug, Clone)]
pub(super) struct Checked(Arc<Choice>);

#[derive(Debug)]
struct Choice {
    stand_in: String,
    plain: Entry,
    /// By their endings.
    variants: Vec<(&'static str, Entry)>,
}

impl Checked {
    pub(super) fn new(plain: Entry, variants: Vec<(&'static str, Entry)>) -> Self {
        Self(Arc::new(Choice { stand_in: stand_in(&plain.path), plain, variants }))
    }

    /// The name that tower-http is to ask for. It has the ending of the file, which tells the type, and nothing else of it.
    pub(super) fn stand_in(&self) -> &str {
        &self.0.stand_in
    }

    pub(super) fn has(&self, ending: &str) -> bool {
        self.0.variants.iter().any(|(known, _)| *known == ending)
    }

    pub(super) fn is_alone(&self) -> bool {
        self.0.variants.is_empty()
    }

    pub(super) fn plain(&self) -> &Entry {
        &self.0.plain
    }

    /// What tower-http means, and whether it is the file itself.
    fn meant(&self, path: &Path) -> Option<(Entry, bool)> {
        let ending = path.file_name()?.to_str()?.strip_prefix(self.stand_in())?;
        if ending.is_empty() {
            return Some((self.0.plain.clone(), true));
        }
        self.0.variants.iter().find(|(known, _)| *known == ending).map(|(_, entry)| (entry.clone(), false))
    }
}

fn stand_in(path: &Path) -> String {
    let ending = path.extension().and_then(|ending| ending.to_str()).filter(|ending| ending.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    ending.map_or("file".to_owned(), |ending| format!("file.{ending}"))
}

/// Opens a file that was found to be regular. If it became a link or a pipe since then, that is neither followed nor waited for.
fn open(entry: &Entry) -> io::Result<(StdFile, Facts)> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY).open(&entry.path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::ErrorKind::NotFound.into());
    }
    Ok((file, Facts { len: metadata.len(), modified: find::modified(&metadata) }))
}

impl Backend for Checked {
    type File = Opened;
    type Metadata = Facts;
    type OpenFuture = Pin<Box<dyn Future<Output = io::Result<Opened>> + Send>>;
    type MetadataFuture = Ready<io::Result<Facts>>;

    fn open(&self, path: PathBuf) -> Self::OpenFuture {
        let meant = self.meant(&path);
        Box::pin(async move {
            let (entry, is_plain) = meant.ok_or(io::ErrorKind::NotFound)?;
            let opened = tokio::task::spawn_blocking(move || open(&entry).map_err(|error| (error, entry.path))).await.map_err(io::Error::other)?;
            match opened {
                Ok((file, facts)) => Ok(Opened { file: file.into(), facts, left: facts.len }),
                Err((error, _)) if is_plain => Err(error),
                Err((error, path)) => {
                    tracing::warn!(target: "lodger", "{}: {path:?} cannot be read, so it is not sent in the place of the file beside it: {error}", code::FILE_UNREADABLE);
                    Err(io::ErrorKind::NotFound.into())
                }
            }
        })
    }

    fn metadata(&self, path: PathBuf) -> Self::MetadataFuture {
        let facts = |entry: Entry| Facts { len: entry.metadata.len(), modified: find::modified(&entry.metadata) };
        ready(self.meant(&path).map(|(entry, _)| facts(entry)).ok_or_else(|| io::ErrorKind::NotFound.into()))
    }
}

/// What tower-http wants to know of a file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Facts {
    len: u64,
    modified: Option<SystemTime>,
}

impl Metadata for Facts {
    fn is_dir(&self) -> bool {
        false
    }

    fn modified(&self) -> io::Result<SystemTime> {
        self.modified.ok_or_else(|| io::ErrorKind::Unsupported.into())
    }

    fn len(&self) -> u64 {
        self.len
    }
}

/// An open file. It yields no more than it had when it was opened, so that a file that grows keeps to the length that was announced.
#[derive(Debug)]
pub(super) struct Opened {
    file: tokio::fs::File,
    facts: Facts,
    left: u64,
}

impl File for Opened {
    type Metadata = Facts;
    type MetadataFuture<'a> = Ready<io::Result<Facts>>;

    fn metadata(&self) -> Self::MetadataFuture<'_> {
        ready(Ok(self.facts))
    }
}

impl AsyncRead for Opened {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        if self.left == 0 {
            return Poll::Ready(Ok(()));
        }
        ready!(Pin::new(&mut self.file).poll_read(cx, buf))?;
        let read = buf.filled().len().saturating_sub(before);
        let kept = usize::try_from(self.left).unwrap_or(usize::MAX).min(read);
        buf.set_filled(before + kept);
        self.left = self.left.saturating_sub(kept as u64);
        Poll::Ready(Ok(()))
    }
}

impl AsyncSeek for Opened {
    fn start_seek(mut self: Pin<&mut Self>, position: SeekFrom) -> io::Result<()> {
        Pin::new(&mut self.file).start_seek(position)
    }

    fn poll_complete(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<u64>> {
        let at = ready!(Pin::new(&mut self.file).poll_complete(cx))?;
        self.left = self.facts.len.saturating_sub(at);
        Poll::Ready(Ok(at))
    }
}
