//! Searching messages: an index of words, and the search over it.
//!
//! The index follows the published log in bounded batches from a stored position, apart from
//! sending. A search first brings the rooms it looks at up to date, so it finds what was sent before
//! it. What somebody may see is decided for each event when the search answers; the index knows
//! nothing of it.

mod answer;
mod cursor;
mod find;
mod follow;
mod index;
mod postings;
mod query;
mod rooms;
mod service;
mod tails;
mod text;
mod token;
mod words;

pub use self::{
    answer::{Found, FoundContext, FoundEvent, Group, ProfileThen},
    query::{ContextWanted, GroupBy, Order, SearchError, SearchKey, SearchQuery},
    service::{Search, SearchParts},
};
