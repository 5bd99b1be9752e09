//! What is asked, and why it may not be answered.

use std::time::Duration;

use vestibule_accounts::SessionEnd;
use vestibule_rooms::Availability;
use vestibule_storage::StorageError;

/// A request to be told what is new.
#[derive(Clone, Debug, Default)]
pub struct SyncRequest {
    /// The token of the last answer; `None` asks for everything.
    pub since: Option<String>,
    /// A filter as JSON, or the name of a stored one.
    pub filter: Option<String>,
    /// Show the whole state of every room.
    pub full_state: bool,
    /// How long to wait for something new.
    pub timeout: Duration,
    /// Whether the client shows its user as being there.
    pub presence: Availability,
    /// Show the state at the end of the timeline instead of at its start.
    pub use_state_after: bool,
}

/// Why a request was not answered.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    /// The token is none of ours.
    #[error("the since token is not one of this server")]
    BadToken,
    /// There is no filter of this name.
    #[error("there is no such filter")]
    UnknownFilter,
    /// The filter cannot be read.
    #[error("the filter is malformed: {0}")]
    BadFilter(String),
    /// The session ended while the request was under way.
    #[error(transparent)]
    Ended(#[from] SessionEnd),
    /// The database failed.
    #[error("could not read what is new")]
    Storage(#[from] StorageError),
}
