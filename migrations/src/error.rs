//! Why a database was not taken.

use ruma::OwnedServerName;
use vestibule_storage::StorageError;

/// A database that this server must not touch, or could not migrate.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    /// A newer server wrote it.
    #[error(
        "the database has format {found}, this server knows formats up to {newest}: run the \
         server version that wrote it, or a newer one"
    )]
    UnknownFormat {
        /// The database's format.
        found: u64,
        /// The newest format known here.
        newest: u64,
    },
    /// It belongs to a server of another name.
    #[error(
        "the database belongs to the server `{stored}`, the configuration says `{asked}`: a \
         server's name is part of every identifier and cannot be changed; set `[server] name` \
         back, or choose another `data_dir`"
    )]
    OtherServer {
        /// The name in the database.
        stored: OwnedServerName,
        /// The name in the configuration.
        asked: OwnedServerName,
    },
    /// It holds rows but no format version.
    #[error("the folder holds a database that is not Vestibule's: choose another `data_dir`")]
    NotOurs,
    /// The storage failed.
    #[error("the database could not be migrated")]
    Storage(#[from] StorageError),
}
