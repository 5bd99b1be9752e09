//! Finding a file, and reading it.

use std::{io, ops::Range, time::Duration};

use ruma::{OwnedServerName, ServerName};
use tracing::instrument;
use vestibule_storage::{
    StorageError,
    tables::media::{FileDigest, MEDIA, StoredFile, WITHHELD_FILE},
};
use vestibule_types::{
    Actor,
    limits::{MEDIA_ID_BYTES_MAX, MEDIA_WAIT_MAX},
};

use crate::{Media, ObjectReader};

/// Which file is wanted.
#[derive(Clone, Debug)]
pub struct DownloadMedia {
    /// Where it comes from.
    pub server: OwnedServerName,
    /// Its id there.
    pub media_id: String,
    /// How long to wait for it when its id was made and it has not come.
    pub wait: Duration,
    /// Whether another server may be asked for it.
    pub fetch: bool,
}

/// What is known of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileInfo {
    /// The SHA-256 of its bytes.
    pub digest: FileDigest,
    /// Its size in bytes.
    pub size: u64,
    /// The content type its uploader gave.
    pub content_type: Option<String>,
    /// The name its uploader gave.
    pub name: Option<String>,
    /// Whether it comes from this server.
    pub ours: bool,
}

/// Which bytes of a file, the end not among them.
pub type Span = Range<u64>;

/// A file that is being read.
pub struct OpenFile(pub(crate) Box<dyn ObjectReader>);

impl OpenFile {
    /// The next piece; `None` at the end.
    pub async fn next(&mut self) -> io::Result<Option<bytes::Bytes>> {
        self.0.read().await
    }
}

/// Why there is no file.
#[derive(Debug, thiserror::Error)]
pub enum DownloadMediaError {
    /// There is none, or it is withheld.
    #[error("there is no such media")]
    NotFound,
    /// Its id was made, and it did not come while the download waited.
    #[error("the file has not been uploaded yet")]
    NotYetUploaded,
    /// The server it comes from cannot be asked, or gives no file.
    #[error("the other server gave no file")]
    Unreachable,
    /// The other server's file is larger than this one fetches.
    #[error("the file is larger than this server fetches")]
    TooLarge,
    /// Other files take all the room there is for those of other servers.
    #[error("there is no room for the file at the moment")]
    NoRoom,
    /// Too many files are being fetched.
    #[error("too many files are being fetched")]
    Busy,
    /// It could not be read.
    #[error("could not read the file")]
    Disk(#[source] io::Error),
    /// It could not be looked up.
    #[error("could not look up the media")]
    Storage(#[from] StorageError),
}

/// What the rows say.
pub(crate) enum Found {
    Here(FileInfo),
    Awaited,
    Withheld,
    Nothing,
}

impl Media {
    /// Finds a file, and waits for it where it is still to come.
    #[instrument(name = "media.find_media", skip_all)]
    pub async fn find_media(&self, wanted: &DownloadMedia) -> Result<FileInfo, DownloadMediaError> {
        let clock = &self.inner.parts.environment.clock;
        let ends = clock.monotonic().saturating_add(wanted.wait.min(MEDIA_WAIT_MAX));
        loop {
            // Listening begins before looking, so that no arrival is missed.
            let arrival = self.inner.arrival.notified();
            match self.look(&wanted.server, &wanted.media_id).await? {
                Found::Here(info) => {
                    self.is_used(wanted);
                    return Ok(info);
                }
                Found::Nothing if wanted.fetch && self.may_have(wanted) => {
                    return match self.fetch(wanted).await? {
                        Found::Here(info) => Ok(info),
                        Found::Awaited | Found::Withheld | Found::Nothing => {
                            Err(DownloadMediaError::NotFound)
                        }
                    };
                }
                Found::Withheld | Found::Nothing => return Err(DownloadMediaError::NotFound),
                Found::Awaited => {}
            }
            let left = ends.saturating_sub(clock.monotonic());
            if left.is_zero() {
                return Err(DownloadMediaError::NotYetUploaded);
            }
            tokio::select! {
                () = arrival => {}
                () = clock.sleep(left) => {}
            }
        }
    }

    /// As [`Media::find_media`], for one of our users. For those who are confined to some rooms nothing is
    /// fetched: they are given what others fetched.
    pub async fn find_media_for(
        &self,
        actor: &Actor,
        wanted: &DownloadMedia,
    ) -> Result<FileInfo, DownloadMediaError> {
        let confined = self.inner.parts.policy.current().is_scoped(actor.class());
        let wanted = DownloadMedia { fetch: wanted.fetch && !confined, ..wanted.clone() };
        self.find_media(&wanted).await
    }

    /// A file of this server, for another one.
    #[must_use]
    pub fn own(&self, media_id: String, wait: Duration) -> DownloadMedia {
        let server = self.server_name().to_owned();
        DownloadMedia { server, media_id, wait, fetch: false }
    }

    /// Notes that a copy is used.
    fn is_used(&self, wanted: &DownloadMedia) {
        if &*wanted.server != self.server_name() {
            let now = self.inner.parts.environment.now_ms();
            self.inner.copies.is_used(&wanted.server, &wanted.media_id, now);
        }
    }

    /// Whether another server may have the file.
    fn may_have(&self, wanted: &DownloadMedia) -> bool {
        &*wanted.server != self.server_name() && is_media_id(&wanted.media_id)
    }

    /// As [`Media::find_media`], for somebody who did not log in. Every file of this server is newer than
    /// the freeze of such downloads (client-server API, "Content repository"), so there is none unless
    /// the operator opened them.
    pub async fn find_media_without_login(
        &self,
        wanted: &DownloadMedia,
    ) -> Result<FileInfo, DownloadMediaError> {
        if !self.config().open_downloads {
            return Err(DownloadMediaError::NotFound);
        }
        self.find_media(wanted).await
    }

    /// Opens a part of a file that was found. A copy of another server's file may have been removed
    /// meanwhile; then there is none.
    pub async fn open_file(
        &self,
        info: &FileInfo,
        span: Span,
    ) -> Result<OpenFile, DownloadMediaError> {
        let opened = self.inner.parts.objects.open(info.digest, span).await;
        let reader = opened.map_err(DownloadMediaError::Disk)?;
        let lost = || {
            if info.ours {
                DownloadMediaError::Disk(io::ErrorKind::NotFound.into())
            } else {
                DownloadMediaError::NotFound
            }
        };
        Ok(OpenFile(reader.ok_or_else(lost)?))
    }

    pub(crate) async fn look(&self, server: &ServerName, id: &str) -> Result<Found, StorageError> {
        if !is_media_id(id) {
            return Ok(Found::Nothing);
        }
        let (server, id) = (server.to_owned(), id.to_owned());
        let now = self.inner.parts.environment.now_ms();
        let ours = &*server == self.server_name();
        self.inner
            .parts
            .store
            .read(move |read| {
                let Some(row) = MEDIA.get(read, (&*server, &*id))? else {
                    return Ok(Found::Nothing);
                };
                let ended = row.expires_at.is_some_and(|expires_at| expires_at <= now);
                Ok(match row.file {
                    _ if row.quarantined => Found::Withheld,
                    Some(file) if WITHHELD_FILE.get(read, (file.digest,))?.is_some() => {
                        Found::Withheld
                    }
                    Some(file) => Found::Here(info(file, ours)),
                    None if ended => Found::Nothing,
                    None => Found::Awaited,
                })
            })
            .await
    }
}

fn info(file: StoredFile, ours: bool) -> FileInfo {
    let StoredFile { digest, size, content_type, name } = file;
    FileInfo { digest, size, content_type, name, ours }
}

/// Whether the specification allows this as a media id ("Matrix Content (`mxc://`) URIs").
pub(crate) fn is_media_id(id: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    !id.is_empty() && id.len() <= MEDIA_ID_BYTES_MAX && id.bytes().all(allowed)
}
