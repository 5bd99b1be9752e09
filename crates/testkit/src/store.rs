//! Stores in memory.

use std::sync::Arc;

use vestibule_storage::{
    CommitMode, Durability, InlineExecutor, MemoryEngine, Store, StoreOptions, ThreadPool,
};

/// A fresh, empty store in memory with `slots` slots, committing inline: a write is done when its
/// call returns, without another thread.
#[must_use]
pub fn memory_store(slots: u16) -> Store {
    memory_store_with(MemoryEngine::new(slots), slots)
}

/// A store over an engine that the test keeps, so that it can be opened again after a "restart".
#[must_use]
pub fn memory_store_with(engine: MemoryEngine, slots: u16) -> Store {
    let options = StoreOptions {
        slots,
        durability: Durability::Os,
        commit: CommitMode::Inline,
        executor: Arc::new(InlineExecutor),
    };
    Store::open(engine, options).expect("an engine in memory opens")
}

/// A fresh, empty store in memory of one slot, with a commit thread and a pool of so many threads, as
/// a server has them.
#[must_use]
pub fn threaded_store(threads: usize) -> Store {
    let options = StoreOptions {
        slots: 1,
        durability: Durability::Os,
        commit: CommitMode::Thread,
        executor: Arc::new(ThreadPool::new("store", threads, 1_024).expect("threads")),
    };
    Store::open(MemoryEngine::new(1), options).expect("an engine in memory opens")
}
