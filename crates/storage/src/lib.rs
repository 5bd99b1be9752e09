//! Ordered bytes, asserted batches, typed tables, group commit.
//!
//! A [`Store`] runs closures on a bounded pool. A closure sees one consistent moment of an
//! [`Engine`] through [`Read`]; what a write closure reads with [`Table::get`] becomes an
//! assertion of its batch: the batch commits only if none of those keys was written since. One
//! committer takes all batches that wait, writes them with one sync, publishes their positions
//! in order, and only then answers.
//!
//! Deliberately absent: locks, transactions that outlive a closure, column families, any word of
//! SQL. A closure cannot await, so no snapshot is ever held across the network.

mod check;
mod commit;
mod engine;
mod error;
mod executor;
mod flight;
pub mod inbox;
pub mod jobs;
mod key;
mod key_ids;
mod key_parts;
mod lately;
mod memory;
mod newcomer;
pub mod outbox;
mod overlay;
mod read;
mod registry;
mod scan;
mod stamp;
mod store;
mod table;
pub mod tables;
mod tx;
mod value;
mod writing;

pub use self::{
    check::{CheckReport, Problem, check},
    engine::{Engine, EngineOp, EngineSnapshot, ScanRange, Visit},
    error::StorageError,
    executor::{Busy, Executor, InlineExecutor, ThreadPool},
    key::{AsKey, AsPart, AsPrefix, EncodeBuf, Key, KeyPart},
    lately::{Lately, LogLine},
    memory::MemoryEngine,
    newcomer::{Draft, Newcomer, apart, carried},
    read::{Fixed, Read, Snapshot},
    registry::TableInfo,
    scan::Scan,
    stamp::{Positions, SlotNo, Stamp},
    store::{CommitMode, Committed, Durability, Health, Store, StoreOptions},
    table::{Counter, Table},
    tx::{Savepoint, Tx},
    value::{__decode, __encode, Stamped, Value},
};
