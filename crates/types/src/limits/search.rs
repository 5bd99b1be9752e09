//! Bounds of searching messages.

use std::time::Duration;

/// The longest word that is kept in the index, in characters; what is longer is cut.
pub const SEARCH_WORD_CHARS_MAX: usize = 40;

/// Words of one event that are kept in the index.
pub const SEARCH_WORDS_PER_EVENT_MAX: usize = 400;

/// Words of a question that are looked for.
pub const SEARCH_WORDS_ASKED_MAX: usize = 16;

/// Events in one row of the index.
pub const SEARCH_ROW_EVENTS_MAX: usize = 512;

/// Events in the newest row of a word, from which on another one is begun: it is written anew with
/// each batch, and joins the one before it when it is full.
pub const SEARCH_TAIL_EVENTS_MAX: usize = 64;

/// Words whose newest rows are known in memory, over all rooms.
pub const SEARCH_TAILS_MAX: usize = 100_000;

/// Events that are put into the index by one transaction.
pub const SEARCH_BATCH_EVENTS: u64 = 512;

/// Lines of the log that the index follows at once.
pub const SEARCH_LINES_AT_ONCE: usize = 1_000;

/// Transactions that a search waits for when the index lags behind; beyond that it answers with
/// what is there.
pub const SEARCH_CATCH_UP_BATCHES_MAX: usize = 20;

/// How long the index waits for more after an event, so that a burst is one transaction.
pub const SEARCH_GATHER: Duration = Duration::from_millis(200);

/// The index rests this many times as long as it worked: it takes a quarter of one processor while it
/// lags behind, and sending has the rest.
pub const SEARCH_REST_FACTOR: u32 = 3;

/// The longest rest.
pub const SEARCH_REST_MAX: Duration = Duration::from_secs(2);

/// Places in the index that one search reads, over all rooms and words.
pub const SEARCH_PLACES_READ_MAX: usize = 2_000_000;

/// Rows of the index that are fetched at once while a search reads on without passing any over.
pub const SEARCH_ROWS_AHEAD_MAX: usize = 32;

/// Rows of the index that are counted to estimate how many matches there are that were not looked at.
pub const SEARCH_ROWS_COUNTED_MAX: usize = 10_000;

/// Events that one search looks at to see who may see them.
pub const SEARCH_EVENTS_CHECKED_MAX: usize = 1_000;

/// Matches up to this number are all looked at, so that their count is exact.
pub const SEARCH_COUNTED_MAX: usize = 200;

/// Results on one page.
pub const SEARCH_RESULTS_MAX: usize = 100;

/// Results on one page when the client names no number.
pub const SEARCH_RESULTS_USUAL: usize = 10;

/// Events before, and events after a result.
pub const SEARCH_CONTEXT_MAX: usize = 50;

/// Rooms that came before a room, by upgrades, and are searched with it.
pub const SEARCH_PREDECESSORS_MAX: usize = 10;

/// The longest pagination token of a search that is read.
pub const SEARCH_TOKEN_BYTES_MAX: usize = 512;
