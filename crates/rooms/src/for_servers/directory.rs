//! The public list, for other servers.

use vestibule_storage::StorageError;

use crate::{PublicRoomsPage, PublicRoomsQuery, Rooms};

/// Why another server is not shown the list.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryForServerError {
    /// The operator does not show it to other servers.
    #[error("this server does not show its directory to other servers")]
    Hidden,
    /// The database failed.
    #[error("could not read the directory")]
    Storage(#[from] StorageError),
}

impl Rooms {
    /// A page of the public list, where the policy shows it to other servers.
    pub async fn public_rooms_for_server(
        &self,
        query: PublicRoomsQuery,
    ) -> Result<PublicRoomsPage, DirectoryForServerError> {
        if !self.inner.policy.current().directory_visible_to_servers() {
            return Err(DirectoryForServerError::Hidden);
        }
        Ok(self.public_rooms(None, query).await?)
    }
}
