//! When things go wrong.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use vestibule_storage::{CommitMode, Engine, EngineOp, EngineSnapshot, Health, StorageError};

use super::{NUMBER, Rig, commit, number, number_in, open};

/// An engine whose disk is full whenever the test says so.
#[derive(Clone)]
struct Failing {
    inner: Arc<dyn Engine>,
    full: Arc<AtomicBool>,
    /// Every so many batches one fails by itself; 0 for never.
    every: u32,
    applied: Arc<AtomicU32>,
}

impl Failing {
    fn new(rig: &Rig, every: u32) -> Self {
        let inner = Arc::clone(&rig.engine);
        Self { inner, full: Arc::default(), every, applied: Arc::default() }
    }
}

impl Engine for Failing {
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
        let applied = self.applied.fetch_add(1, Ordering::Relaxed);
        if self.full.load(Ordering::Relaxed) || (self.every > 0 && applied % self.every == 1) {
            return Err(StorageError::unavailable("no space left"));
        }
        self.inner.apply(ops, sync)
    }

    fn resume(&self) -> Result<(), StorageError> {
        self.inner.resume()
    }

    fn close(&self) -> Result<(), StorageError> {
        self.inner.close()
    }
}

pub(crate) async fn a_panicking_closure_fails_alone(rig: Rig) {
    let (store, slot) = (rig.store(), rig.slot());
    let failed = store.write::<(), StorageError, _>(slot, |_| panic!("on purpose")).await;
    assert!(matches!(failed, Err(StorageError::Engine { .. })), "{failed:?}");
    let failed = store.read::<(), StorageError, _>(|_| panic!("on purpose")).await;
    assert!(matches!(failed, Err(StorageError::Engine { .. })), "{failed:?}");
    for _ in 0..8 {
        commit(&store, slot, |tx| NUMBER.put(tx, ("a",), &1)).await;
    }
    assert_eq!(number_in(&store, "a").await, 1);
}

pub(crate) async fn a_full_disk_refuses_writes_and_recovers_by_itself(rig: Rig) {
    let engine = Failing::new(&rig, 0);
    let (store, slot) = (open(engine.clone(), CommitMode::Thread), rig.slot());
    commit(&store, slot, |tx| NUMBER.put(tx, ("a",), &1)).await;
    assert_eq!(store.health(), Health::Ready);
    engine.full.store(true, Ordering::Relaxed);
    for _ in 0..2 {
        let refused = store.write(slot, |tx| NUMBER.put(tx, ("a",), &2)).await;
        assert_eq!(refused, Err(StorageError::unavailable("no space left")));
    }
    assert_eq!(store.health(), Health::WritesRefused("no space left".to_owned()));
    assert_eq!(number_in(&store, "a").await, 1);
    engine.full.store(false, Ordering::Relaxed);
    // Nobody writes: the commit thread finds out alone.
    for _ in 0..500 {
        if store.health() == Health::Ready {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(store.health(), Health::Ready);
    assert_eq!(store.positions().get(slot), 1);
    assert_eq!(commit(&store, slot, |tx| NUMBER.put(tx, ("a",), &3)).await, 2);
}

pub(crate) async fn nothing_acknowledged_is_lost_when_writes_fail_now_and_then(rig: Rig) {
    let engine = Failing::new(&rig, 3);
    let (store, slot) = (open(engine, CommitMode::Thread), rig.slot());
    let writers: Vec<_> = (0..8)
        .map(|writer| {
            let store = store.clone();
            tokio::runtime::Handle::current().spawn(async move {
                let mut acknowledged = 0;
                for _ in 0..50 {
                    let name = format!("{writer}");
                    let added = store.write(slot, move |tx| {
                        let (mine, all) = (number(tx, &name)?, number(tx, "all")?);
                        NUMBER.put(tx, (&name,), &(mine + 1))?;
                        NUMBER.put(tx, ("all",), &(all + 1))
                    });
                    match added.await {
                        Ok(_) => acknowledged += 1,
                        Err(StorageError::Unavailable { .. }) => {}
                        Err(other) => panic!("{other}"),
                    }
                }
                acknowledged
            })
        })
        .collect();
    let (mut sum, mut per_writer) = (0, Vec::new());
    for writer in writers {
        let acknowledged = writer.await.unwrap();
        sum += acknowledged;
        per_writer.push(acknowledged);
    }
    assert!(sum > 0 && sum < 400, "{sum} of 400: the engine neither always nor never fails");
    assert_eq!(number_in(&store, "all").await, sum);
    assert_eq!(store.positions().get(slot), sum);
    let stored = store
        .read(move |snapshot| (0..8).map(|writer| number(snapshot, &format!("{writer}"))).collect())
        .await;
    assert_eq!(stored, Ok::<Vec<u64>, StorageError>(per_writer));
}

pub(crate) async fn closing_commits_what_waits_and_refuses_the_rest(rig: Rig) {
    let (store, slot) = (rig.store(), rig.slot());
    let writers: Vec<_> = (0..50)
        .map(|at| {
            let store = store.clone();
            tokio::runtime::Handle::current().spawn(async move {
                store.write(slot, move |tx| NUMBER.put(tx, (format!("{at}"),), &1)).await
            })
        })
        .collect();
    store.close().await;
    let mut acknowledged = 0;
    for writer in writers {
        match writer.await.unwrap() {
            Ok(_) => acknowledged += 1,
            Err(StorageError::Closed) => {}
            Err(other) => panic!("{other}"),
        }
    }
    let rows = store.read(|snapshot| NUMBER.scan(snapshot, (), 99)).await;
    assert_eq!(rows.map_err(|error: StorageError| error).unwrap().len(), acknowledged);
    let refused = store.write(slot, |tx| NUMBER.put(tx, ("a",), &1)).await;
    assert_eq!(refused, Err(StorageError::Closed));
    store.close().await;
}
