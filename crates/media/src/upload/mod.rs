//! Files coming in.

mod create;
mod receive;
mod store;

use ruma::OwnedUserId;
use vestibule_storage::{
    StorageError, Tx,
    tables::media::{MEDIA, MEDIA_BY_USER, MEDIA_BYTES_BY_USER, StoredMedia},
};

use crate::Media;

pub use self::{
    create::CreateMediaError,
    receive::Chunks,
    store::{Upload, UploadMediaError},
};
pub(crate) use self::{
    receive::{Hold, ReceiveError},
    store::{fits, label},
};

/// A media id of this server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaId {
    /// The id.
    pub id: String,
    /// When it ends unless its file comes, in milliseconds since the Unix epoch.
    pub expires_at: Option<u64>,
}

/// Characters of media ids: those the specification allows, but for `_` and `-`.
const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const ID_LENGTH: usize = 24;

impl Media {
    /// A name that nobody can guess and that is used once.
    pub(crate) fn fresh_name(&self) -> String {
        self.inner.parts.environment.random_text(ALPHABET, ID_LENGTH)
    }
}

/// Stores a row with a file and what it counts for.
fn keep(
    tx: &mut Tx<'_>,
    (server, id): (&ruma::ServerName, &str),
    user: &OwnedUserId,
    row: &StoredMedia,
) -> Result<(), StorageError> {
    let size = row.file.as_ref().map_or(0, |file| file.size);
    MEDIA.put(tx, (server, id), row)?;
    MEDIA_BY_USER.put(tx, (&**user, row.created_at, id), &())?;
    MEDIA_BYTES_BY_USER.add(tx, (&**user,), i64::try_from(size).unwrap_or(i64::MAX))
}
