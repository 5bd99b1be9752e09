//! One sync for all that waits, and nobody waits for it who need not.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    time::Duration,
};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use vestibule_storage::{
    CommitMode, Durability, Engine, EngineOp, EngineSnapshot, StorageError, Store, StoreOptions,
    ThreadPool,
};

use super::{NUMBER, Rig, commit, number_in};

/// An engine that takes one batch for each permit it is given.
#[derive(Clone)]
struct Gated {
    inner: Arc<dyn Engine>,
    permits: Arc<Mutex<mpsc::Receiver<()>>>,
    applied: Arc<AtomicU32>,
}

impl Engine for Gated {
    fn slots(&self) -> u16 {
        self.inner.slots()
    }

    fn snapshot(&self) -> Result<Box<dyn EngineSnapshot + '_>, StorageError> {
        self.inner.snapshot()
    }

    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StorageError> {
        self.inner.get(key)
    }

    fn apply(&self, ops: &[EngineOp], sync: bool) -> Result<(), StorageError> {
        self.applied.fetch_add(1, Ordering::SeqCst);
        self.permits.lock().recv().map_err(StorageError::engine)?;
        self.inner.apply(ops, sync)
    }

    fn resume(&self) -> Result<(), StorageError> {
        self.inner.resume()
    }

    fn close(&self) -> Result<(), StorageError> {
        self.inner.close()
    }
}

/// A store with a single pool thread over a gated engine, and the gate.
fn gated(rig: &Rig) -> (Store, Gated, mpsc::Sender<()>) {
    let (gate, permits) = mpsc::channel();
    let permits = Arc::new(Mutex::new(permits));
    let engine = Gated { inner: Arc::clone(&rig.engine), permits, applied: Arc::default() };
    let options = StoreOptions {
        slots: rig.engine.slots(),
        durability: Durability::Fsync,
        commit: CommitMode::Thread,
        executor: Arc::new(ThreadPool::new("single", 1, 1_000).unwrap()),
    };
    (Store::open(engine.clone(), options).unwrap(), engine, gate)
}

async fn until_applying(engine: &Gated, applied: u32) {
    while engine.applied.load(Ordering::SeqCst) < applied {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

pub(crate) async fn everything_that_waits_shares_one_sync(rig: Rig) {
    let (store, engine, gate) = gated(&rig);
    let slot = rig.slot();
    let write = |at: u64| {
        let store = store.clone();
        let put = async move {
            commit(&store, slot, move |tx| NUMBER.put(tx, (format!("{at}"),), &at)).await
        };
        Handle::current().spawn(put)
    };
    let first = write(0);
    until_applying(&engine, 1).await;
    let rest: Vec<_> = (1..65).map(write).collect();
    // The pool's only thread is not held up by the sync that goes on: reads are answered, and
    // they do not show what is not durable.
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(number_in(&store, "0").await, 0);
    assert!(!first.is_finished() && rest.iter().all(|writer| !writer.is_finished()));
    for _ in 0..2 {
        gate.send(()).unwrap();
    }
    assert_eq!(first.await.unwrap(), 1);
    for writer in rest {
        writer.await.unwrap();
    }
    assert_eq!(engine.applied.load(Ordering::SeqCst), 2, "one sync for the first, one for 64");
    assert_eq!(store.positions().get(slot), 65);
}
