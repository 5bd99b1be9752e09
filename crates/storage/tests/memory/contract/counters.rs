//! Counters are added to without being read.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use vestibule_storage::{Counter, SlotNo, StorageError, Store};

use super::{Rig, commit};

const COUNTER: Counter<(String, u8)> = Counter::new(0xf001, "test_counter");

async fn counted(store: &Store, name: &'static str) -> u64 {
    let counted = store.read(move |snapshot| COUNTER.get(snapshot, (name, 0_u8))).await;
    counted.map_err(|error: StorageError| error).unwrap()
}

pub(crate) async fn concurrent_additions_are_summed_up_without_conflict(rig: Rig) {
    let (store, slots) = (rig.store(), rig.engine.slots());
    let ran = Arc::new(AtomicU32::new(0));
    let writers: Vec<_> = (0..100_u16)
        .map(|at| {
            let (store, ran) = (store.clone(), Arc::clone(&ran));
            tokio::runtime::Handle::current().spawn(async move {
                commit(&store, SlotNo(at % slots), move |tx| {
                    ran.fetch_add(1, Ordering::Relaxed);
                    COUNTER.add(tx, ("a", 0_u8), 3)?;
                    COUNTER.add(tx, ("b", 0_u8), i64::from(at))?;
                    COUNTER.add(tx, ("a", 0_u8), -1)
                })
                .await;
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(counted(&store, "a").await, 200);
    assert_eq!(counted(&store, "b").await, 4_950);
    assert_eq!(ran.load(Ordering::Relaxed), 100);
}

pub(crate) async fn a_counter_stops_at_zero(rig: Rig) {
    let (store, slot) = (rig.store(), rig.slot());
    for (delta, expected) in [(-1, 0), (2, 2), (-5, 0), (4, 4)] {
        commit(&store, slot, move |tx| COUNTER.add(tx, ("a", 0_u8), delta)).await;
        assert_eq!(counted(&store, "a").await, expected);
    }
}

pub(crate) async fn additions_after_a_deletion_start_from_zero(rig: Rig) {
    let (store, slot) = (rig.store(), rig.slot());
    // Several at once, so that groups hold deletions and additions of one counter.
    for round in 0..20 {
        let add = |delta| {
            let store = store.clone();
            tokio::runtime::Handle::current().spawn(async move {
                commit(&store, slot, move |tx| COUNTER.add(tx, ("a", 0_u8), delta)).await
            })
        };
        let replaced = {
            let store = store.clone();
            tokio::runtime::Handle::current().spawn(async move {
                commit(&store, slot, move |tx| {
                    COUNTER.add(tx, ("a", 0_u8), 50)?;
                    if round % 2 == 0 {
                        COUNTER.delete_prefix(tx, ("a",))?;
                    } else {
                        COUNTER.delete(tx, ("a", 0_u8))?;
                    }
                    COUNTER.add(tx, ("a", 0_u8), 1_000)?;
                    assert_eq!(COUNTER.get(&tx.fixed(), ("a", 0_u8))?, 1_000);
                    Ok(())
                })
                .await
            })
        };
        let (one, other) = (add(1), add(10));
        let (one, other) = (one.await.unwrap(), other.await.unwrap());
        let replaced = replaced.await.unwrap();
        let expected = 1_000 + u64::from(one > replaced) + 10 * u64::from(other > replaced);
        assert_eq!(counted(&store, "a").await, expected, "round {round}");
        commit(&store, slot, |tx| COUNTER.delete(tx, ("a", 0_u8))).await;
    }
}

pub(crate) async fn a_read_counter_is_asserted(rig: Rig) {
    let (store, slot) = (rig.store(), rig.slot());
    let writers: Vec<_> = (0..20)
        .map(|_| {
            let store = store.clone();
            tokio::runtime::Handle::current().spawn(async move {
                commit(&store, slot, |tx| {
                    // A cap: nobody may pass it, however many try at once.
                    if COUNTER.get(tx, ("a", 0_u8))? < 5 {
                        COUNTER.add(tx, ("a", 0_u8), 1)?;
                    }
                    Ok(())
                })
                .await
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(counted(&store, "a").await, 5);
}
