//! Why storage did not do what was asked.

use std::fmt;

/// A failed read or write. A missing row is not an error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StorageError {
    /// Nothing was written, and trying again later may work: the disk is full, the engine
    /// stopped after a background error, or too much work is waiting.
    #[error("storage is unavailable: {reason}")]
    Unavailable {
        /// What the operator should know.
        reason: String,
    },
    /// A row is not what its table says. Nothing was written.
    #[error("table {table} holds a damaged row: {detail}")]
    Corrupt {
        /// The table's name.
        table: &'static str,
        /// What is wrong with the row.
        detail: String,
    },
    /// The engine failed in a way that trying again does not mend.
    #[error("the storage engine failed: {detail}")]
    Engine {
        /// The engine's own words.
        detail: String,
    },
    /// The store was closed.
    #[error("storage is closed")]
    Closed,
    /// The write lost against others too often.
    #[error("the write lost against others too often")]
    Contended,
    /// Somebody without rows may not have any now; they know why. Nothing was written.
    #[error("somebody new was not let in")]
    NotLetIn,
    /// A batch broke a bound: too many stamps, or a key or value that is too long.
    #[error("the batch is too large: {what}")]
    TooLarge {
        /// Which bound was broken.
        what: &'static str,
    },
}

impl StorageError {
    /// A row that does not decode.
    pub fn corrupt(table: &'static str, detail: impl fmt::Display) -> Self {
        Self::Corrupt { table, detail: detail.to_string() }
    }

    /// A failure of the engine that trying again does not mend.
    pub fn engine(detail: impl fmt::Display) -> Self {
        Self::Engine { detail: detail.to_string() }
    }

    /// Whether trying again later may work.
    #[must_use]
    pub const fn may_pass(&self) -> bool {
        match self {
            Self::Unavailable { .. } | Self::Closed | Self::Contended | Self::NotLetIn => true,
            Self::Corrupt { .. } | Self::Engine { .. } | Self::TooLarge { .. } => false,
        }
    }

    /// A failure that may pass.
    pub fn unavailable(reason: impl fmt::Display) -> Self {
        Self::Unavailable { reason: reason.to_string() }
    }
}
