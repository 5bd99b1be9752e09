//! How much of everything a run measures.

use std::time::Duration;

/// Sizes of a run.
#[derive(Debug, Clone, Copy)]
pub struct Scale {
    /// Samples of every row.
    pub rounds: usize,
    /// Length of one sample of the sending rows.
    pub sample: Duration,
    /// Length of one sample of a probe.
    pub probe: Duration,
    /// Rest before memory is read.
    pub settle: Duration,
    /// Concurrent senders.
    pub senders: usize,
    /// Messages of the one sender that show how many bytes one writes.
    pub weighed: u64,
    /// Joined rooms of the user with few.
    pub rooms_few: usize,
    /// Joined rooms of the user with many.
    pub rooms_many: usize,
    /// Changes synced in one sample.
    pub changes: usize,
    /// Parked long-polls.
    pub polls: usize,
    /// Events on disk at the start.
    pub events: u64,
    /// Other servers.
    pub servers: usize,
    /// Transactions of each of them in one sample.
    pub transactions: usize,
    /// Members of a room of another server.
    pub members: u32,
    /// Rooms of the account that syncs from the start.
    pub account_rooms: usize,
    /// How many of them have a gap.
    pub gaps: usize,
    /// Messages of the room with a long history.
    pub long_history: u64,
    /// Messages of the room with a short one.
    pub short_history: u64,
    /// Searches of one sample.
    pub searches: usize,
    /// Bytes of the large file.
    pub file_bytes: u64,
    /// One-time keys that are claimed in one sample.
    pub claims: usize,
}

impl Scale {
    /// The sizes of the bars.
    pub const FULL: Self = Self {
        rounds: 5,
        sample: Duration::from_secs(5),
        probe: Duration::from_secs(1),
        settle: Duration::from_secs(3),
        senders: 64,
        weighed: 1_000,
        rooms_few: 10,
        rooms_many: 10_000,
        changes: 200,
        polls: 1_000,
        events: 1_000_000,
        servers: 50,
        transactions: 8,
        members: 10_000,
        account_rooms: 1_000,
        gaps: 100,
        long_history: 1_000_000,
        short_history: 10_000,
        searches: 200,
        file_bytes: 1 << 30,
        claims: 10_000,
    };

    /// Small sizes for a look while working; no claim.
    pub const QUICK: Self = Self {
        rounds: 3,
        sample: Duration::from_secs(2),
        probe: Duration::from_millis(500),
        settle: Duration::from_secs(1),
        rooms_many: 1_000,
        changes: 50,
        polls: 300,
        events: 50_000,
        transactions: 2,
        members: 5_000,
        account_rooms: 200,
        gaps: 20,
        long_history: 50_000,
        short_history: 1_000,
        searches: 50,
        file_bytes: 64 << 20,
        claims: 1_000,
        ..Self::FULL
    };

    /// Tiny sizes that prove the bench and measure nothing.
    pub const REHEARSAL: Self = Self {
        rounds: 2,
        sample: Duration::from_millis(200),
        probe: Duration::from_millis(50),
        settle: Duration::from_millis(50),
        senders: 4,
        weighed: 20,
        rooms_few: 3,
        rooms_many: 30,
        changes: 5,
        polls: 20,
        events: 500,
        servers: 3,
        transactions: 2,
        members: 150,
        account_rooms: 20,
        gaps: 4,
        long_history: 500,
        short_history: 100,
        searches: 8,
        file_bytes: 1 << 20,
        claims: 40,
    };
}
