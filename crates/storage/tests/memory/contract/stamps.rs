//! Stamps say where a row was committed.

use vestibule_storage::{Scan, Stamp, Stamped, StorageError, Store, Table};

use super::{NUMBER, Rig, commit};

const LINE: Table<(u8, Stamp), Stamped<String>> = Table::new(0xf002, "test_line");

async fn lines(store: &Store) -> Vec<(Stamp, Stamp, String)> {
    let rows = store.read(|snapshot| LINE.scan(snapshot, (1_u8,), 99)).await;
    let rows = rows.map_err(|error: StorageError| error).unwrap();
    rows.into_iter().map(|((_, key), line)| (key, line.stamp, line.value)).collect()
}

pub(crate) async fn stamps_are_filled_in_keys_and_values(rig: Rig) {
    let (store, slot) = (rig.store(), rig.slot());
    commit(&store, slot, |tx| NUMBER.put(tx, ("before",), &1)).await;
    let written = store
        .write(slot, |tx| {
            let (one, other) = (tx.next_stamp(), tx.next_stamp());
            LINE.put(tx, (1_u8, other), &Stamped::new(one, "other".to_owned()))?;
            LINE.put(tx, (1_u8, one), &Stamped::new(other, "one".to_owned()))?;
            Ok::<_, StorageError>((one, other))
        })
        .await
        .unwrap();
    assert!(written.value.0.is_pending());
    let stamp = |index| Stamp { commit: written.position, index };
    assert_eq!(written.position, 2);
    assert_eq!(
        lines(&store).await,
        [(stamp(0), stamp(1), "one".to_owned()), (stamp(1), stamp(0), "other".to_owned())]
    );
}

pub(crate) async fn a_scan_shows_pending_rows_last(rig: Rig) {
    let (store, slot) = (rig.store(), rig.slot());
    for text in ["old", "new"] {
        commit(&store, slot, move |tx| {
            let stamp = tx.next_stamp();
            LINE.put(tx, (1_u8, stamp), &Stamped::new(stamp, text.to_owned()))?;
            let newest_first = Scan::prefix((1_u8,)).reverse();
            let seen = LINE.scan_with(tx, newest_first)?;
            assert_eq!(seen[0].1, Stamped::new(stamp, text.to_owned()));
            assert_eq!(LINE.scan(tx, (1_u8,), 9)?.last(), seen.first());
            assert_eq!(LINE.get(tx, (1_u8, stamp))?.unwrap().value, text);
            Ok(())
        })
        .await;
    }
    assert_eq!(lines(&store).await.len(), 2);
}

pub(crate) async fn a_pending_row_can_be_taken_back(rig: Rig) {
    let (store, slot) = (rig.store(), rig.slot());
    commit(&store, slot, |tx| {
        let (one, other) = (tx.next_stamp(), tx.next_stamp());
        for stamp in [one, other] {
            LINE.put(tx, (1_u8, stamp), &Stamped::new(stamp, String::new()))?;
        }
        LINE.delete(tx, (1_u8, one))?;
        assert_eq!(LINE.get(tx, (1_u8, one))?, None);
        Ok(())
    })
    .await;
    assert_eq!(lines(&store).await.len(), 1);
    assert_eq!(lines(&store).await[0].0, Stamp { commit: 1, index: 1 });
}

pub(crate) async fn stamps_of_later_commits_are_greater(rig: Rig) {
    let (store, slot) = (rig.store(), rig.slot());
    let writers: Vec<_> = (0..50)
        .map(|_| {
            let store = store.clone();
            tokio::runtime::Handle::current().spawn(async move {
                commit(&store, slot, |tx| {
                    let stamp = tx.next_stamp();
                    LINE.put(tx, (1_u8, stamp), &Stamped::new(stamp, String::new()))
                })
                .await
            })
        })
        .collect();
    let mut positions = Vec::new();
    for writer in writers {
        positions.push(writer.await.unwrap());
    }
    positions.sort_unstable();
    let lines = lines(&store).await;
    let in_keys: Vec<u64> = lines.iter().map(|(key, ..)| key.commit).collect();
    assert_eq!(in_keys, positions);
    assert!(lines.iter().all(|(key, value, _)| key == value));
}

pub(crate) async fn more_stamps_than_a_batch_can_number_are_refused(rig: Rig) {
    let (store, slot) = (rig.store(), rig.slot());
    let filled = |stamps: u32| {
        store.write(slot, move |tx| {
            for _ in 0..stamps {
                tx.next_stamp();
            }
            NUMBER.put(tx, ("a",), &1)
        })
    };
    assert!(filled(65_536).await.is_ok());
    let refused = filled(65_537).await;
    assert!(matches!(refused, Err(StorageError::TooLarge { .. })), "{refused:?}");
}
