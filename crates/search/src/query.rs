//! What is searched for.

use ruma::api::client::filter::RoomEventFilter;
use vestibule_rooms::{AskError, RelatedBy};
use vestibule_storage::StorageError;

/// A search, as a client asks for it.
#[derive(Clone, Debug)]
pub struct SearchQuery {
    /// The words.
    pub term: String,
    /// Where they are said; anywhere when it is empty.
    pub keys: Vec<SearchKey>,
    /// Which rooms and events count, and how many are wanted.
    pub filter: RoomEventFilter,
    /// Which of the events, by what relates to them.
    pub related_by: RelatedBy,
    /// What comes first.
    pub order: Order,
    /// What is wanted around each result.
    pub context: Option<ContextWanted>,
    /// Whether the state of the rooms of the results is wanted.
    pub state: bool,
    /// How the results are grouped.
    pub groups: Vec<GroupBy>,
    /// Where to go on.
    pub from: Option<String>,
}

/// A key whose text is searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SearchKey {
    /// `content.body` of messages.
    Body,
    /// `content.name` of `m.room.name`.
    Name,
    /// The topic of `m.room.topic`.
    Topic,
}

/// The order of results.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// The best match first.
    #[default]
    Rank,
    /// The most recent first.
    Recent,
}

/// What is wanted around a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContextWanted {
    /// At most so many events before it.
    pub before: usize,
    /// At most so many events after it.
    pub after: usize,
    /// Whether names and pictures of the senders are wanted as they were then.
    pub profiles: bool,
}

/// What results are grouped by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum GroupBy {
    /// Their room.
    Room,
    /// Their sender.
    Sender,
}

/// Why nothing was searched.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// The token is not one of ours, or of another search.
    #[error("this is not a token of a search like this one")]
    BadToken,
    /// The policy or the database refused.
    #[error(transparent)]
    Ask(#[from] AskError),
}

impl From<StorageError> for SearchError {
    fn from(error: StorageError) -> Self {
        Self::Ask(AskError::Storage(error))
    }
}
