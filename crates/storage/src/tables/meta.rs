//! What the database says of itself.

use ruma::OwnedServerName;
use serde::{Deserialize, Serialize};

use crate::{Table, value};

/// Which server this database belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredServer {
    /// The server's name: it is part of every identifier, so it never changes.
    pub name: OwnedServerName,
    /// When the database was made, in milliseconds since the Unix epoch.
    pub created_at: u64,
}
value!(StoredServer, 1);

/// The version of the on-disk format: the number of the last migration that ran. Key `(0,)`.
pub const FORMAT_VERSION: Table<(u8,), u64> = Table::new(0x0000, "format_version");
/// The last commit of each slot. Written by the committer with every group.
pub const SLOT_POSITION: Table<(u16,), u64> = Table::new(0x0001, "slot_position");
/// Which server this database belongs to. Key `(0,)`.
pub const SERVER: Table<(u8,), StoredServer> = Table::new(0x0002, "server");
/// How far an unfinished migration came, by its number.
pub const MIGRATION_PROGRESS: Table<(u64,), Vec<u8>> = Table::new(0x0003, "migration_progress");
