//! Jobs survive, and happen once.

use vestibule_storage::{
    StorageError, Store,
    jobs::{self, JobKey, StoredJob},
};

use super::{Rig, commit};

async fn due(store: &Store, now_ms: u64) -> Vec<(JobKey, StoredJob)> {
    let due = store.read(move |snapshot| jobs::due(snapshot, None, now_ms, 9)).await;
    due.map_err(|error: StorageError| error).unwrap()
}

fn job(payload: &[u8], attempts: u32) -> StoredJob {
    StoredJob { kind: "purge".to_owned(), payload: payload.to_vec(), attempts }
}

async fn with_two_jobs(rig: &Rig) -> Store {
    let store = rig.store();
    commit(&store, rig.slot(), |tx| {
        jobs::enqueue(tx, "purge", b"late".to_vec(), 20)?;
        jobs::enqueue(tx, "purge", b"early".to_vec(), 10)
    })
    .await;
    store
}

pub(crate) async fn a_job_is_found_when_due_and_gone_when_finished(rig: Rig) {
    let store = with_two_jobs(&rig).await;
    assert_eq!(due(&store, 9).await, []);
    let found = due(&store, 10).await;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].1, job(b"early", 0));
    assert_eq!(due(&store, 20).await.len(), 2);
    let key = found[0].0;
    commit(&store, rig.slot(), move |tx| jobs::finish(tx, key).map(drop)).await;
    let left = due(&store, 20).await;
    assert_eq!(left.iter().map(|(_, job)| job.payload.as_slice()).collect::<Vec<_>>(), [b"late"]);
    let next = |now| store.read(move |snapshot| jobs::next_due(snapshot, now));
    assert_eq!(next(19).await, Ok::<_, StorageError>(Some(20)));
    assert_eq!(next(20).await, Ok::<_, StorageError>(None));
    assert_eq!(store.read(|snapshot| jobs::any(snapshot)).await, Ok::<_, StorageError>(true));
}

pub(crate) async fn jobs_behind_another_are_found(rig: Rig) {
    let store = with_two_jobs(&rig).await;
    let both = due(&store, 20).await;
    let behind = |key| store.read(move |snapshot| jobs::due(snapshot, Some(key), 20, 9));
    let found: Result<_, StorageError> = behind(both[0].0).await;
    assert_eq!(found.unwrap(), both[1..]);
    let found: Result<_, StorageError> = behind(both[1].0).await;
    assert_eq!(found.unwrap(), []);
}

pub(crate) async fn a_job_that_is_put_off_counts_its_attempts(rig: Rig) {
    let store = with_two_jobs(&rig).await;
    let key = due(&store, 10).await[0].0;
    commit(&store, rig.slot(), move |tx| jobs::retry(tx, key, 15).map(drop)).await;
    assert_eq!(due(&store, 14).await, []);
    let again = due(&store, 15).await;
    assert_eq!(again[0].1, job(b"early", 1));
    let key = again[0].0;
    commit(&store, rig.slot(), move |tx| jobs::progress(tx, key, b"half".to_vec(), 16).map(drop))
        .await;
    assert_eq!(due(&store, 16).await[0].1, job(b"half", 0));
}

pub(crate) async fn a_job_is_finished_once(rig: Rig) {
    let (store, slot) = (with_two_jobs(&rig).await, rig.slot());
    let key = due(&store, 10).await[0].0;
    let finish = || store.write(slot, move |tx| jobs::finish(tx, key));
    let (one, other) = tokio::join!(finish(), finish());
    let (one, other) = (one.unwrap().value, other.unwrap().value);
    assert_ne!(one, other);
    let again = store.write(slot, move |tx| jobs::retry(tx, key, 99)).await;
    assert!(!again.unwrap().value);
}
