use std::sync::atomic::{AtomicBool, Ordering};

use ruma::{UserId, user_id};

use super::*;
use crate::{
    CommitMode, Durability, InlineExecutor, MemoryEngine, Scan, StoreOptions,
    tables::user_data::{PROFILE_FIELD, PROFILE_GUARD, USER_DATA_GUARD},
};

/// Somebody who would have a name and a guard, and whose guard says that they have.
struct Visitor {
    draft: Draft,
    /// Whether there may be one more.
    admitted: AtomicBool,
}

const NAME: &str = "displayname";

fn visitor() -> &'static UserId {
    user_id!("@visitor:a.example")
}

impl Newcomer for Visitor {
    fn is_new(&self, read: &dyn Read) -> Result<bool, StorageError> {
        Ok(!PROFILE_GUARD.contains(read, (visitor(),))?)
    }

    fn rows(&self) -> &Draft {
        &self.draft
    }

    fn is_named_in(&self, bytes: &[u8]) -> bool {
        let name = visitor().as_bytes();
        bytes.windows(name.len()).any(|part| part == name)
    }

    fn arrive(&self, tx: &mut Tx<'_>) -> Result<(), StorageError> {
        if !self.admitted.load(Ordering::Relaxed) {
            return Err(StorageError::NotLetIn);
        }
        let count = USER_DATA_GUARD.get(tx, (user_id!("@all:a.example"),))?.unwrap_or_default();
        USER_DATA_GUARD.put(tx, (user_id!("@all:a.example"),), &(count + 1))
    }
}

fn newcomer_of(admitted: bool) -> Arc<Visitor> {
    let draft = Draft::of(|tx| {
        PROFILE_FIELD.put(tx, (visitor(), NAME), &"visitor".to_owned())?;
        PROFILE_FIELD.put(tx, (visitor(), "tz"), &"UTC".to_owned())?;
        PROFILE_GUARD.put(tx, (visitor(),), &1)
    });
    Arc::new(Visitor { draft: draft.unwrap(), admitted: AtomicBool::new(admitted) })
}

fn store() -> Store {
    let options = StoreOptions {
        slots: 1,
        durability: Durability::Os,
        commit: CommitMode::Inline,
        executor: Arc::new(InlineExecutor),
    };
    Store::open(MemoryEngine::new(1), options).unwrap()
}

/// The profile, as everybody sees it, and how many arrived.
async fn stored(store: &Store) -> (Vec<String>, u64) {
    let read = store.read(|read| {
        let rows = PROFILE_FIELD.scan(read, (visitor(),), 9)?;
        let count = USER_DATA_GUARD.get(read, (user_id!("@all:a.example"),))?;
        Ok::<_, StorageError>((rows, count.unwrap_or_default()))
    });
    let (rows, count) = read.await.unwrap();
    (rows.into_iter().map(|(_, value)| value).collect(), count)
}

#[tokio::test]
async fn reads_of_a_newcomer_show_the_rows_they_would_have() {
    let store = store();
    store
        .arriving(newcomer_of(true), async {
            let forward = Scan::prefix((visitor(),));
            let backward = || Scan::prefix((visitor(),)).reverse().limit(1);
            let seen = store.read(move |read| {
                let all = PROFILE_FIELD.scan_with(read, forward)?;
                let last = PROFILE_FIELD.scan_with(read, backward())?;
                let both =
                    PROFILE_FIELD.multi_get(read, [(visitor(), NAME), (visitor(), "none")])?;
                Ok::<_, StorageError>((all.len(), last, both))
            });
            let (count, last, both) = seen.await.unwrap();
            assert_eq!((count, last[0].1.as_str()), (2, "UTC"));
            assert_eq!(both, [Some("visitor".to_owned()), None]);
            let glanced = store.glance(|read| PROFILE_FIELD.get(read, (visitor(), NAME)));
            assert_eq!(glanced.unwrap().flatten().as_deref(), Some("visitor"));
        })
        .await;
    assert_eq!(stored(&store).await, (vec![], 0));
}

#[tokio::test]
async fn a_write_decided_from_their_rows_stores_them_once() {
    let store = store();
    for count in 1..=2_u64 {
        store
            .arriving(newcomer_of(true), async {
                let write = store.write(SlotNo(0), move |tx| {
                    PROFILE_FIELD.get(tx, (visitor(), "tz"))?.ok_or(StorageError::Contended)?;
                    PROFILE_FIELD.put(tx, (visitor(), NAME), &count.to_string())
                });
                write.await.unwrap();
            })
            .await;
        assert_eq!(stored(&store).await, (vec![count.to_string(), "UTC".to_owned()], 1));
    }
}

#[tokio::test]
async fn a_write_that_names_them_stores_their_rows_though_it_read_none() {
    for deletes in [false, true] {
        let store = store();
        store
            .arriving(newcomer_of(true), async {
                let write = store.write(SlotNo(0), move |tx| {
                    if deletes {
                        PROFILE_FIELD.delete(tx, (visitor(), "tz"))?;
                    }
                    PROFILE_FIELD.put(tx, (user_id!("@b:a.example"), "of"), &visitor().to_string())
                });
                write.await.unwrap();
            })
            .await;
        let profile = if deletes { vec!["visitor"] } else { vec!["visitor", "UTC"] };
        let profile = profile.into_iter().map(str::to_owned).collect();
        assert_eq!(stored(&store).await, (profile, 1), "what the act removed stays removed");
    }
}

#[tokio::test]
async fn whatever_is_refused_stages_nothing_or_is_nobodys_act_leaves_them_without_rows() {
    let store = store();
    store
        .arriving(newcomer_of(true), async {
            let refused = store.write(SlotNo(0), |tx| {
                PROFILE_FIELD.get(tx, (visitor(), NAME))?;
                PROFILE_FIELD.put(tx, (visitor(), NAME), &"x".to_owned())?;
                Err::<(), _>(StorageError::Contended)
            });
            assert_eq!(refused.await.map(drop), Err(StorageError::Contended));
            let looked = store.write(SlotNo(0), |tx| PROFILE_FIELD.get(tx, (visitor(), NAME)));
            assert_eq!(looked.await.unwrap().value.as_deref(), Some("visitor"));
            let undone = store.write(SlotNo(0), |tx| {
                let before = tx.savepoint();
                PROFILE_FIELD.get(tx, (visitor(), NAME))?;
                PROFILE_FIELD.put(tx, (visitor(), NAME), &"x".to_owned())?;
                tx.rollback_to(before);
                Ok::<_, StorageError>(())
            });
            undone.await.unwrap();
            let (b, c) = (user_id!("@b:a.example"), user_id!("@c:a.example"));
            let others = store.write(SlotNo(0), move |tx| PROFILE_GUARD.put(tx, (b,), &1));
            others.await.unwrap();
            let apart = store.write_apart(SlotNo(0), move |tx| {
                assert!(PROFILE_FIELD.get(tx, (visitor(), NAME))?.is_none());
                PROFILE_FIELD.put(tx, (c, "of"), &visitor().to_string())
            });
            apart.await.unwrap();
        })
        .await;
    assert_eq!(stored(&store).await, (vec![], 0));
}

#[tokio::test]
async fn who_is_not_let_in_does_nothing_and_can_be_told_before() {
    let store = store();
    let newcomer = newcomer_of(false);
    store
        .arriving(newcomer.clone(), async {
            let write = |store: &Store| {
                let store = store.clone();
                async move {
                    let write = store.write(SlotNo(0), |tx| {
                        PROFILE_FIELD.put(tx, (visitor(), NAME), &"x".to_owned())
                    });
                    write.await.map(drop)
                }
            };
            assert_eq!(write(&store).await, Err(StorageError::NotLetIn));
            assert_eq!(store.could_arrive().await, Err(StorageError::NotLetIn));
            newcomer.admitted.store(true, Ordering::Relaxed);
            assert_eq!(store.could_arrive().await, Ok(()));
            assert_eq!(stored(&store).await.1, 0, "asking writes nothing");
            assert_eq!(write(&store).await, Ok(()));
            newcomer.admitted.store(false, Ordering::Relaxed);
            assert_eq!(store.could_arrive().await, Ok(()), "who is here need not arrive");
        })
        .await;
    assert_eq!(stored(&store).await.1, 1);
}

#[expect(clippy::disallowed_methods, reason = "it is about tasks")]
#[tokio::test]
async fn work_in_a_task_of_its_own_is_the_newcomers_when_it_is_carried() {
    let store = store();
    let look = |store: Store| async move {
        store.read(|read| PROFILE_FIELD.contains(read, (visitor(), NAME))).await.unwrap()
    };
    let (carried, left) = store
        .arriving(newcomer_of(true), async {
            let tasks =
                (tokio::spawn(carried(look(store.clone()))), tokio::spawn(look(store.clone())));
            (tasks.0.await.unwrap(), tasks.1.await.unwrap())
        })
        .await;
    assert!(carried && !left);
    assert!(!carried_by_nobody(&store).await);
}

#[tokio::test]
async fn another_store_in_the_same_task_has_no_newcomer() {
    let (store, other) = (store(), store());
    let both = store.arriving(newcomer_of(true), async {
        let look = |store: &Store| {
            let store = store.clone();
            async move { store.read(|read| PROFILE_FIELD.contains(read, (visitor(), NAME))).await }
        };
        (look(&store).await.unwrap(), look(&other).await.unwrap())
    });
    assert_eq!(both.await, (true, false));
}

async fn carried_by_nobody(store: &Store) -> bool {
    let store = store.clone();
    carried(async move { store.read(|read| PROFILE_FIELD.contains(read, (visitor(), NAME))).await })
        .await
        .unwrap()
}

#[test]
fn a_draft_holds_rows_and_nothing_else() {
    let stamped = Draft::of(|tx| {
        let stamp = tx.next_stamp();
        crate::tables::directory::SCOPE_GUARD.put(
            tx,
            (ruma::room_id!("!a:a.example"),),
            &crate::Stamped { stamp, value: () },
        )
    });
    assert!(stamped.is_err());
    let deletes = Draft::of(|tx| PROFILE_GUARD.delete(tx, (visitor(),)));
    assert!(deletes.is_err());
}
