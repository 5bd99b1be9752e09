//! What other servers send us: transactions, and the events and messages in them.
//!
//! An event takes one road, whatever brought it here: parsed by its room's version, let in by the
//! room's access control list, verified, asked about at the room's policy server, and judged by
//! [`vestibule_rooms::Rooms::receive_all`]. Events whose parents are missing are stored first and
//! acknowledged then; a worker per room fetches what they need ([`gap`]). Every fetch is bounded, and a
//! gap that cannot be closed costs its events and never the room.

mod answered;
mod drain;
mod edu;
mod gap;
mod lanes;
mod order;
mod parse;
mod pdus;
mod recommend;
mod remind;
mod transaction;
mod verify;

use std::{sync::Arc, time::Duration};

use moka::sync::Cache;
use ruma::{OwnedEventId, OwnedRoomId, OwnedServerName};
use tokio::sync::Semaphore;
use vestibule_types::limits::{
    GAP_ROOMS_AT_ONCE, HOPELESS_EVENTS_MAX, INBOUND_TRANSACTIONS_AT_ONCE, REMINDERS_MAX,
};

pub(crate) use self::gap::HistoryError;
use self::{drain::Drains, lanes::Lanes};
pub use self::{
    pdus::PduOutcome,
    transaction::{PduAnswers, ReceiveTransactionError, Transaction},
};
use crate::Federation;

/// What is kept in memory about what comes in.
pub(crate) struct Inbound {
    lanes: Lanes,
    /// Who may work on a transaction now.
    turns: Semaphore,
    drains: Drains,
    /// Who may close gaps now.
    gap_turns: Arc<Semaphore>,
    /// Events that came to nothing, and why, by the server that sent or named them: they are not taken
    /// up again and again. What one server could not back up, another may.
    hopeless: Cache<(OwnedServerName, OwnedEventId), Hopeless>,
    /// Until when a server is not asked again for an event that it said it does not have. A server that does
    /// not know yet that we are in the room says so of all its events.
    absent: Cache<(OwnedServerName, OwnedEventId), Duration>,
    /// Until when a server is not told again how users of ours left a room.
    reminded: Cache<(OwnedServerName, OwnedRoomId), Duration>,
}

/// Why an event came to nothing, and until when that counts.
#[derive(Clone, Debug)]
struct Hopeless {
    reason: Arc<str>,
    until: Duration,
}

impl Inbound {
    pub(crate) fn new() -> Self {
        Self {
            lanes: Lanes::default(),
            turns: Semaphore::new(INBOUND_TRANSACTIONS_AT_ONCE),
            drains: Drains::default(),
            gap_turns: Arc::new(Semaphore::new(GAP_ROOMS_AT_ONCE)),
            hopeless: Cache::new(HOPELESS_EVENTS_MAX),
            absent: Cache::new(HOPELESS_EVENTS_MAX),
            reminded: Cache::new(REMINDERS_MAX),
        }
    }
}

impl Federation {
    pub(crate) fn inbound(&self) -> &Inbound {
        &self.inner.inbound
    }
}
