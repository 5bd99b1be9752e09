//! Telling operators which files are here.

use ruma::{OwnedServerName, OwnedUserId};
use tracing::instrument;
use vestibule_storage::{
    Scan, StorageError,
    tables::media::{MEDIA, MEDIA_BY_USER, StoredMedia},
};
use vestibule_types::limits::MEDIA_LISTED_MAX;

use crate::Media;

/// A file, as operators see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedMedia {
    /// The server it comes from.
    pub server: OwnedServerName,
    /// Its id there.
    pub media_id: String,
    /// Who uploaded it; nobody for copies and pictures of previews.
    pub uploader: Option<OwnedUserId>,
    /// When its id was made or the copy fetched, in milliseconds since the Unix epoch.
    pub created_at: u64,
    /// Its size in bytes; `None` while it has not come.
    pub size: Option<u64>,
    /// The content type its uploader gave.
    pub content_type: Option<String>,
    /// Whether it is withheld from everybody.
    pub quarantined: bool,
}

/// A media id: its server, and its name there.
type Key = (OwnedServerName, String);

impl Media {
    /// Files of one server, or of all, by server and id; those behind an id, where one is given. At most
    /// [`MEDIA_LISTED_MAX`].
    #[instrument(name = "media.list_media", skip_all)]
    pub async fn list_media(
        &self,
        server: Option<OwnedServerName>,
        after: Option<(OwnedServerName, String)>,
        limit: usize,
    ) -> Result<Vec<ListedMedia>, StorageError> {
        let limit = limit.min(MEDIA_LISTED_MAX);
        let read = self.inner.parts.store.read(move |read| {
            let mut scan = match &server {
                Some(server) => Scan::prefix((&**server,)),
                None => Scan::prefix(()),
            };
            if let Some((server, id)) = &after {
                scan = scan.after((&**server, &**id));
            }
            MEDIA.scan_with(read, scan.limit(limit))
        });
        Ok(read.await?.into_iter().map(listed).collect())
    }

    /// Files that a user uploaded, the first ones first; those behind an id, where one is given. At most
    /// [`MEDIA_LISTED_MAX`].
    #[instrument(name = "media.list_media_of", skip_all)]
    pub async fn list_media_of(
        &self,
        user: OwnedUserId,
        after: Option<String>,
        limit: usize,
    ) -> Result<Vec<ListedMedia>, StorageError> {
        let limit = limit.min(MEDIA_LISTED_MAX);
        let server = self.server_name().to_owned();
        let read = self.inner.parts.store.read(move |read| {
            let mut scan = Scan::prefix((&*user,));
            if let Some(id) = &after {
                let row = MEDIA.get(read, (&*server, &**id))?;
                scan = scan.after((&*user, row.map_or(0, |row| row.created_at), &**id));
            }
            let ids = MEDIA_BY_USER.scan_with(read, scan.limit(limit))?;
            let mut found = Vec::with_capacity(ids.len());
            for ((_, _, id), ()) in ids {
                let row = MEDIA.get(read, (&*server, &*id))?;
                found.extend(row.map(|row| listed(((server.clone(), id), row))));
            }
            Ok::<_, StorageError>(found)
        });
        read.await
    }
}

fn listed(((server, media_id), row): (Key, StoredMedia)) -> ListedMedia {
    let (size, content_type) =
        row.file.map_or((None, None), |file| (Some(file.size), file.content_type));
    let (uploader, created_at) = (row.uploader, row.created_at);
    let quarantined = row.quarantined;
    ListedMedia { server, media_id, uploader, created_at, size, content_type, quarantined }
}
