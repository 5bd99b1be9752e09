//! What a commit is.

use vestibule_storage::{CommitMode, Positions, SlotNo, StorageError};

use super::{NUMBER, Rig, commit, number, number_in};

pub(crate) async fn a_write_is_there_when_it_is_acknowledged(rig: Rig) {
    let store = rig.store();
    let written = store
        .write(rig.slot(), |tx| {
            NUMBER.put(tx, ("a",), &7)?;
            number(tx, "a")
        })
        .await;
    let written = written.map_err(|error: StorageError| error).unwrap();
    assert_eq!((written.value, written.position, written.slot), (7, 1, rig.slot()));
    assert_eq!(number_in(&store, "a").await, 7);
    assert_eq!(store.positions().get(rig.slot()), 1);
}

pub(crate) async fn positions_move_in_order_and_without_gaps(rig: Rig) {
    let (store, slot) = (rig.store(), rig.slot());
    let mut watch = store.watch();
    let watcher = tokio::runtime::Handle::current().spawn(async move {
        let mut seen = 0;
        while seen < 200 {
            watch.changed().await.unwrap();
            watch.mark_unchanged();
            let now = watch.get().get(slot);
            assert!(now > seen, "{now} after {seen}");
            seen = now;
        }
    });
    let writers: Vec<_> = (0..200_u64)
        .map(|at| {
            let store = store.clone();
            tokio::runtime::Handle::current().spawn(async move {
                commit(&store, slot, move |tx| NUMBER.put(tx, (format!("{at}"),), &at)).await
            })
        })
        .collect();
    let mut positions = Vec::new();
    for writer in writers {
        positions.push(writer.await.unwrap());
    }
    positions.sort_unstable();
    assert_eq!(positions, (1..=200).collect::<Vec<u64>>());
    watcher.await.unwrap();
}

pub(crate) async fn a_write_without_changes_commits_nothing(rig: Rig) {
    let (store, slot) = (rig.store(), rig.slot());
    commit(&store, slot, |tx| NUMBER.put(tx, ("a",), &7)).await;
    let read = store.write(slot, |tx| number(tx, "a")).await.unwrap();
    assert_eq!((read.value, read.position), (7, 1));
    let undone = commit(&store, slot, |tx| {
        let savepoint = tx.savepoint();
        NUMBER.put(tx, ("a",), &8)?;
        tx.rollback_to(savepoint);
        Ok(())
    });
    assert_eq!(undone.await, 1);
    assert_eq!(store.positions().get(slot), 1);
}

pub(crate) async fn a_refused_closure_commits_nothing(rig: Rig) {
    let (store, slot) = (rig.store(), rig.slot());
    let refused = store
        .write::<(), _, _>(slot, |tx| {
            NUMBER.put(tx, ("a",), &7)?;
            Err(StorageError::corrupt("test_number", "refused"))
        })
        .await;
    assert_eq!(refused, Err(StorageError::corrupt("test_number", "refused")));
    assert_eq!(number_in(&store, "a").await, 0);
    assert_eq!(store.positions().get(slot), 0);
}

pub(crate) async fn a_rolled_back_savepoint_leaves_no_trace(rig: Rig) {
    let (store, slot) = (rig.store(), rig.slot());
    commit(&store, slot, |tx| NUMBER.put(tx, ("old",), &1)).await;
    commit(&store, slot, |tx| {
        NUMBER.put(tx, ("kept",), &1)?;
        let savepoint = tx.savepoint();
        let stamp = tx.next_stamp();
        NUMBER.put(tx, ("kept",), &2)?;
        NUMBER.put(tx, ("dropped",), &2)?;
        NUMBER.delete_prefix(tx, ())?;
        assert_eq!(number(tx, "old")?, 0);
        tx.rollback_to(savepoint);
        assert_eq!(tx.next_stamp(), stamp);
        assert_eq!((number(tx, "kept")?, number(tx, "old")?), (1, 1));
        Ok(())
    })
    .await;
    let rows = store.read(|snapshot| NUMBER.scan(snapshot, (), 9)).await;
    let rows = rows.map_err(|error: StorageError| error).unwrap();
    assert_eq!(rows, [(("kept".to_owned(),), 1), (("old".to_owned(),), 1)]);
}

pub(crate) async fn committing_inline_gives_the_same_positions(rig: Rig) {
    let (store, slot) = (rig.store_with(CommitMode::Inline), rig.slot());
    for expected in 1..=3 {
        let at = commit(&store, slot, move |tx| {
            let before = number(tx, "a")?;
            NUMBER.put(tx, ("a",), &(before + 1))
        });
        assert_eq!(at.await, expected);
    }
    assert_eq!(number_in(&store, "a").await, 3);
    assert_eq!(store.positions().get(slot), 3);
}

pub(crate) async fn slots_count_for_themselves(rig: Rig) {
    let store = rig.store();
    for slot in (0..store.slots()).map(SlotNo) {
        for _ in 0..=slot.0 {
            commit(&store, slot, move |tx| NUMBER.put(tx, ("a",), &1)).await;
        }
    }
    let expected: Positions = (1..=u64::from(store.slots())).collect();
    assert_eq!(store.positions(), expected);
    let seen =
        store.read(|snapshot| Ok((snapshot.positions()?, snapshot.position(SlotNo(0))?))).await;
    assert_eq!(seen.map_err(|error: StorageError| error), Ok((expected, 1)));
}

pub(crate) async fn positions_survive_opening_again(rig: Rig) {
    let slot = rig.slot();
    let store = rig.store();
    commit(&store, slot, |tx| NUMBER.put(tx, ("a",), &1)).await;
    let closing = store.clone();
    drop(store);
    // The engine goes on living here; only the store ends.
    drop(closing);
    let store = rig.store();
    assert_eq!(store.positions().get(slot), 1);
    assert_eq!(commit(&store, slot, |tx| NUMBER.put(tx, ("a",), &2)).await, 2);
}

pub(crate) async fn a_slot_that_is_not_there_is_refused(rig: Rig) {
    let store = rig.store();
    let slot = SlotNo(store.slots());
    let refused = store.write(slot, |tx| NUMBER.put(tx, ("a",), &1)).await;
    assert!(matches!(refused, Err(StorageError::Engine { .. })), "{refused:?}");
}
