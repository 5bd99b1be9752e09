//! What a step is, and the list of all.

use ruma::{OwnedServerName, ServerName};
use vestibule_storage::Tx;

use crate::{
    MigrationError, m0001_baseline, m0002_room_indexes, m0003_relations, m0004_relations_by_sender,
};

/// Every step, in order. Numbers have no gaps; new steps go to the end.
pub(crate) static STEPS: &[Step] = &[
    Step { number: 1, name: "m0001_baseline", run: m0001_baseline::run },
    Step { number: 2, name: "m0002_room_indexes", run: m0002_room_indexes::run },
    Step { number: 3, name: "m0003_relations", run: m0003_relations::run },
    Step { number: 4, name: "m0004_relations_by_sender", run: m0004_relations_by_sender::run },
];

/// What steps may know of the world.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    pub(crate) server_name: OwnedServerName,
    pub(crate) now_ms: u64,
}

impl Context {
    pub(crate) fn new(server_name: &ServerName, now_ms: u64) -> Self {
        Self { server_name: server_name.to_owned(), now_ms }
    }
}

/// How far one transaction of a step came.
pub(crate) enum Progress {
    /// To the end.
    Done,
    /// Up to this place, in the step's own encoding; it is handed back to the next transaction.
    More(Vec<u8>),
}

/// Does a bounded part of a step's work, from where the last transaction stopped.
pub(crate) type Run = fn(&mut Tx<'_>, &Context, Option<&[u8]>) -> Result<Progress, MigrationError>;

/// One step from a format to the next.
pub(crate) struct Step {
    pub(crate) number: u64,
    pub(crate) name: &'static str,
    pub(crate) run: Run,
}
