//! A write is committed only if what it was decided from still holds.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    thread,
};

use vestibule_storage::{SlotNo, StorageError, Store, Tx};

use super::{NUMBER, Rig, commit, number, number_in};

pub(crate) async fn concurrent_read_modify_writes_all_count(rig: Rig) {
    let (store, slot) = (rig.store(), rig.slot());
    let writers: Vec<_> = (0..8)
        .map(|_| {
            let store = store.clone();
            tokio::runtime::Handle::current().spawn(async move {
                for _ in 0..40 {
                    commit(&store, slot, |tx| {
                        let before = number(tx, "a")?;
                        NUMBER.put(tx, ("a",), &(before + 1))
                    })
                    .await;
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(number_in(&store, "a").await, 320);
}

fn transfer(tx: &mut Tx<'_>, from: usize, to: usize) -> Result<(), StorageError> {
    let keys = [(format!("{from}"),), (format!("{to}"),)];
    let amounts = NUMBER.multi_get(tx, &keys)?;
    let [Some(source), Some(target)] = amounts.as_slice() else { panic!("{amounts:?}") };
    if from != to && *source > 0 {
        NUMBER.put(tx, &keys[0], &(source - 1))?;
        NUMBER.put(tx, &keys[1], &(target + 1))?;
    }
    Ok(())
}

pub(crate) async fn money_is_neither_made_nor_lost(rig: Rig) {
    let (store, slots) = (rig.store(), rig.engine.slots());
    commit(&store, SlotNo(0), |tx| {
        (0..5).try_for_each(|account| NUMBER.put(tx, (format!("{account}"),), &3))
    })
    .await;
    let writers: Vec<_> = (0..6_usize)
        .map(|writer| {
            let store = store.clone();
            tokio::runtime::Handle::current().spawn(async move {
                for round in 0..50 {
                    let (from, to) = ((writer + round) % 5, (writer * 3 + round * 2) % 5);
                    // Assertions hold across slots: the order of a slot is another matter.
                    let slot = SlotNo(u16::try_from(round).unwrap() % slots);
                    commit(&store, slot, move |tx| transfer(tx, from, to)).await;
                    let sum = store
                        .read(|snapshot| {
                            let rows = NUMBER.scan(snapshot, (), 9)?;
                            Ok::<_, StorageError>(rows.iter().map(|row| row.1).sum::<u64>())
                        })
                        .await;
                    assert_eq!(sum, Ok(15));
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
}

/// Somebody who commits a closure while another one is still running.
struct Meddler(mpsc::Sender<(Meddling, mpsc::Sender<()>)>);

type Meddling = fn(&mut Tx<'_>) -> Result<(), StorageError>;

impl Meddler {
    fn new(store: &Store, slot: SlotNo) -> Self {
        let (sender, receiver) = mpsc::channel::<(Meddling, mpsc::Sender<()>)>();
        let (store, runtime) = (store.clone(), tokio::runtime::Handle::current());
        thread::spawn(move || {
            for (meddling, done) in receiver {
                runtime.block_on(commit(&store, slot, meddling));
                done.send(()).unwrap();
            }
        });
        Self(sender)
    }

    /// Returns when the closure is committed.
    fn commit(&self, meddling: Meddling) {
        let (done, heard) = mpsc::channel();
        self.0.send((meddling, done)).unwrap();
        heard.recv().unwrap();
    }
}

/// Runs a closure that is meddled with on its first run; answers with how often it ran.
async fn runs(
    rig: &Rig,
    meddling: Meddling,
    f: impl Fn(&mut Tx<'_>) -> Result<(), StorageError> + Send + 'static,
) -> u32 {
    let (store, slot) = (rig.store(), rig.slot());
    commit(&store, slot, |tx| {
        ["a", "b", "c"].iter().try_for_each(|name| NUMBER.put(tx, (*name,), &1))
    })
    .await;
    let meddler = Meddler::new(&store, slot);
    let ran = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&ran);
    commit(&store, slot, move |tx| {
        f(tx)?;
        if count.fetch_add(1, Ordering::Relaxed) == 0 {
            meddler.commit(meddling);
        }
        Ok(())
    })
    .await;
    ran.load(Ordering::Relaxed)
}

pub(crate) async fn a_write_whose_reads_are_stale_runs_again(rig: Rig) {
    let change: Meddling = |tx| NUMBER.put(tx, ("a",), &5);
    let stale = runs(&rig, change, |tx| {
        let a = number(tx, "a")?;
        NUMBER.put(tx, ("result",), &a)
    });
    assert_eq!(stale.await, 2);
    assert_eq!(number_in(&rig.store(), "result").await, 5);
    let unrelated = runs(&rig, change, |tx| {
        let b = number(tx, "b")?;
        NUMBER.put(tx, ("result",), &b)
    });
    assert_eq!(unrelated.await, 1);
    let blind = runs(&rig, change, |tx| NUMBER.put(tx, ("a",), &9));
    assert_eq!(blind.await, 1);
}

pub(crate) async fn a_missing_row_is_asserted_too(rig: Rig) {
    let claim: Meddling = |tx| NUMBER.put(tx, ("taken",), &1);
    let both_claim = runs(&rig, claim, |tx| {
        if number(tx, "taken")? == 0 { NUMBER.put(tx, ("taken",), &2) } else { Ok(()) }
    });
    assert_eq!(both_claim.await, 2);
    assert_eq!(number_in(&rig.store(), "taken").await, 1);
}

pub(crate) async fn scans_and_fixed_reads_are_not_asserted(rig: Rig) {
    let change: Meddling = |tx| NUMBER.put(tx, ("a",), &5);
    let scanned = runs(&rig, change, |tx| {
        let rows = NUMBER.scan(tx, (), 9)?;
        NUMBER.put(tx, ("result",), &u64::try_from(rows.len()).unwrap())
    });
    assert_eq!(scanned.await, 1);
    let fixed = runs(&rig, change, |tx| {
        let a = number(&tx.fixed(), "a")?;
        NUMBER.put(tx, ("result",), &a)
    });
    assert_eq!(fixed.await, 1);
}

pub(crate) async fn a_range_delete_conflicts_with_the_rows_it_covers(rig: Rig) {
    let purge: Meddling = |tx| NUMBER.delete_prefix(tx, ());
    let covered = runs(&rig, purge, |tx| {
        let a = number(tx, "a")?;
        NUMBER.put(tx, ("result",), &a)
    });
    assert_eq!(covered.await, 2);
    assert_eq!(number_in(&rig.store(), "result").await, 0);
}

pub(crate) async fn a_write_that_always_loses_gets_to_run_alone(rig: Rig) {
    let (store, slot) = (rig.store(), rig.slot());
    let meddler = Meddler::new(&store, slot);
    let ran = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&ran);
    commit(&store, slot, move |tx| {
        let before = number(tx, "a")?;
        // The fourth run is on the committing thread: nobody could meddle with it.
        if count.fetch_add(1, Ordering::Relaxed) < 3 {
            assert_ne!(thread::current().name(), Some("store-commit"));
            meddler.commit(|tx| {
                let before = number(tx, "a")?;
                NUMBER.put(tx, ("a",), &(before + 1))
            });
        } else {
            assert_eq!(thread::current().name(), Some("store-commit"));
        }
        NUMBER.put(tx, ("a",), &(before + 10))
    })
    .await;
    assert_eq!(ran.load(Ordering::Relaxed), 4);
    assert_eq!(number_in(&store, "a").await, 13);
}
