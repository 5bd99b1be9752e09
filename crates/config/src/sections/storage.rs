//! `[storage]`

use serde::{Deserialize, Serialize};

use crate::section::section;

section! {
    /// Where everything is kept.
    pub struct Storage {
        /// "rocksdb": the embedded database, in the data folder. "memory": nothing outlives the
        /// process, for test rigs.
        pub engine: Engine = Engine::Rocksdb;
        /// "fsync": what was acknowledged is on disk. "os": faster, and the last moments may be lost when
        /// the machine loses power (never when only the server dies).
        pub durability: Durability = Durability::Fsync;
        /// Memory for the database's block cache, in MiB.
        pub cache_mib: u32 = 64;
    }
}

/// An engine under the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// The embedded database.
    Rocksdb,
    /// Memory; lost when the process ends.
    Memory,
}

/// When a write is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// After it reached the disk.
    Fsync,
    /// After the operating system has it.
    Os,
}
