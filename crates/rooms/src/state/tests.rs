use std::collections::BTreeMap;

use proptest::prelude::*;
use vestibule_storage::{SlotNo, StorageError, Store};
use vestibule_testkit::memory_store;
use vestibule_types::{EventNo, RoomNo};

use super::*;

const ROOM: RoomNo = RoomNo(7);

type Model = BTreeMap<StateKey, EventNo>;

/// One version of the random history: which earlier state it changes, and how.
#[derive(Clone, Debug)]
struct Step {
    parent: prop::sample::Index,
    changes: Vec<(u8, Option<u64>)>,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let change = (0_u8..6, prop::option::weighted(0.8, 0_u64..1_000));
    let step = (any::<prop::sample::Index>(), prop::collection::vec(change, 1..4))
        .prop_map(|(parent, changes)| Step { parent, changes });
    prop::collection::vec(step, 1..40)
}

fn key(no: u8) -> StateKey {
    (format!("t{}", no % 3), format!("k{}", no / 3))
}

/// Builds the history and returns every state with what it should hold.
async fn build(store: &Store, steps: Vec<Step>) -> Vec<(StateAt, Model)> {
    let built = store.write::<_, StorageError, _>(SlotNo(0), move |tx| {
        let mut states: Vec<(StateAt, Model)> = vec![(EMPTY, Model::new())];
        let mut next_branch = 1;
        for step in &steps {
            let (at, model) = states[step.parent.index(states.len())].clone();
            let mut after = model.clone();
            let mut changes = Vec::new();
            for (no, new) in &step.changes {
                let key = key(*no);
                changes.retain(|change: &StateChange| change.key != key);
                let (old, new) = (model.get(&key).copied(), new.map(EventNo));
                if old != new {
                    changes.push(StateChange { key: key.clone(), new, old });
                }
                match new {
                    Some(new) => after.insert(key, new),
                    None => after.remove(&key),
                };
            }
            let at = append(tx, ROOM, at, &changes, &mut next_branch)?;
            states.push((at, after));
        }
        Ok(states)
    });
    built.await.expect("stored").value
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever forks there are, every state reads as the plain map it stands for, and the
    /// difference of any two is the difference of their maps.
    #[test]
    fn every_version_reads_as_the_map_it_stands_for(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            let store = memory_store(1);
            let states = build(&store, steps).await;
            store.read::<_, StorageError, _>(move |snapshot| {
                for (at, model) in &states {
                    assert_eq!(full(snapshot, ROOM, *at, None)?, *model);
                    for no in 0..6 {
                        let kind = key(no).0;
                        let mut rest = model.clone();
                        rest.retain(|key, _| key.0 != kind);
                        assert_eq!(full_without(snapshot, ROOM, *at, &kind)?, rest);
                    }
                    for no in 0..6 {
                        let key = key(no);
                        let found = get(snapshot, ROOM, *at, &key.0, &key.1)?;
                        assert_eq!(found, model.get(&key).copied(), "{key:?} at {at:?}");
                    }
                }
                for (from, before) in &states {
                    for (to, after) in &states {
                        let found = diff(snapshot, ROOM, *from, *to)?;
                        assert_eq!(found, difference(before, after), "{from:?} to {to:?}");
                    }
                }
                Ok(())
            }).await.expect("read");
        });
    }
}

fn difference(before: &Model, after: &Model) -> Vec<StateChange> {
    let mut keys: Vec<_> = before.keys().chain(after.keys()).cloned().collect();
    keys.sort();
    keys.dedup();
    keys.into_iter()
        .filter_map(|key| {
            let (old, new) = (before.get(&key).copied(), after.get(&key).copied());
            (old != new).then_some(StateChange { key, new, old })
        })
        .collect()
}

#[tokio::test]
async fn a_deep_row_of_forks_stays_within_the_bound_of_branches() {
    let store = memory_store(1);
    // Every step forks the one before it: its parent gets a sibling first.
    let depth = store
        .write::<_, StorageError, _>(SlotNo(0), |tx| {
            let mut next_branch = 1;
            let mut at = EMPTY;
            let change = |no: u64| StateChange {
                key: ("t".to_owned(), format!("k{no}")),
                new: Some(EventNo(no)),
                old: None,
            };
            for no in 0..40 {
                append(tx, ROOM, at, &[change(1_000 + no)], &mut next_branch)?;
                at = append(tx, ROOM, at, &[change(no)], &mut next_branch)?;
            }
            assert_eq!(full(tx, ROOM, at, None)?.len(), 40);
            let branch = vestibule_storage::tables::room::STATE_BRANCH;
            Ok(branch.get(tx, (ROOM, at.branch))?.expect("opened").depth)
        })
        .await
        .expect("stored");
    assert!(depth.value <= BRANCH_DEPTH_MAX, "{} branches deep", depth.value);
}
