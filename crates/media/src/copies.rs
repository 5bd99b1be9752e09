//! Copies of files of other servers: when they were used, and how much there may be of them.
//!
//! That a copy is used is noted in memory and written down now and then, in one batch, so that reading
//! writes nothing. What a killed process had noted is lost: its copies count as unused for that long.

use std::{
    collections::{BTreeMap, BTreeSet, BinaryHeap},
    ops::ControlFlow,
};

use parking_lot::Mutex;
use ruma::{OwnedServerName, ServerName};
use vestibule_storage::{
    Scan, SlotNo, StorageError, Tx,
    tables::media::{COPY_USED, FileDigest, MEDIA, StoredMedia},
};
use vestibule_types::limits::{
    MEDIA_COPY_USE_GRAIN, MEDIA_COPY_USES_MAX, MEDIA_PURGE_GRACE, MEDIA_PURGE_STRETCH,
    MEDIA_PURGED_AT_ONCE_MAX,
};

use crate::{Media, disk_space::Ledger};

/// A media id: its server, and its name there.
pub(crate) type Key = (OwnedServerName, String);

/// What is known of copies beside their rows.
#[derive(Default)]
pub(crate) struct Copies {
    /// When they were used last, as far as that is not written down.
    used: Mutex<BTreeMap<Key, u64>>,
    /// How much room they take.
    pub(crate) ledger: Ledger,
    /// Held by whoever makes room.
    pub(crate) clearing: tokio::sync::Mutex<()>,
}

/// A copy that may go: when it was used, its size, and what it is.
type Candidate = (u64, u64, Key);

/// How much room there is to be.
struct Wish {
    ours: OwnedServerName,
    /// How many bytes copies may take altogether.
    bound: u64,
    /// How many of them are wanted for others than those that are kept.
    claimed: u64,
    /// Only what was fetched before may go: later files are not removed yet, so that nothing is won.
    fetched_before: u64,
}

/// What was counted.
struct Counted {
    bytes: u64,
    /// Those that were unused for the longest time, enough of them to come below the bound.
    oldest: BinaryHeap<Candidate>,
}

impl Copies {
    /// Notes that a copy is used.
    pub(crate) fn is_used(&self, server: &ServerName, media_id: &str, now: u64) {
        let mut used = self.used.lock();
        let key = (server.to_owned(), media_id.to_owned());
        if used.len() < MEDIA_COPY_USES_MAX || used.contains_key(&key) {
            used.insert(key, now);
        }
    }
}

/// Whether a row is a copy that may be taken away. What is withheld stays withheld.
pub(crate) fn is_copy(ours: &ServerName, (server, _): &Key, row: &StoredMedia) -> bool {
    &**server != ours && row.uploader.is_none() && !row.quarantined && row.file.is_some()
}

/// Takes rows away, but for those that changed since they were seen: to be withheld, for one.
pub(crate) fn delete_copies(
    tx: &mut Tx<'_>,
    seen: &[(Key, StoredMedia)],
) -> Result<(), StorageError> {
    for ((server, id), seen) in seen {
        let key = (&**server, &**id);
        if MEDIA.get(tx, key)?.as_ref() == Some(seen) {
            MEDIA.delete(tx, key)?;
            COPY_USED.delete(tx, key)?;
        }
    }
    Ok(())
}

impl Media {
    /// Takes the copies away that were unused for the longest time, until the rest is well within the
    /// bound. Says how many went, and names their files.
    pub(crate) async fn trim_copies(
        &self,
        gone: &mut BTreeSet<FileDigest>,
    ) -> Result<u64, StorageError> {
        let Ok(_alone) = self.inner.copies.clearing.try_lock() else { return Ok(0) };
        self.trim_for(0, gone).await
    }

    /// As [`Media::trim_copies`], until so many bytes more are free. Nobody else may do it meanwhile.
    pub(crate) async fn trim_for(
        &self,
        wanted: u64,
        gone: &mut BTreeSet<FileDigest>,
    ) -> Result<u64, StorageError> {
        self.write_uses().await?;
        let Some(bound) = self.config().remote_bytes_max else { return Ok(0) };
        let Media { inner } = self;
        let store = &inner.parts.store;
        let mut count = 0;
        loop {
            let (fetching, came) = inner.copies.ledger.before_counting();
            let grace = u64::try_from(MEDIA_PURGE_GRACE.as_millis()).unwrap_or(u64::MAX);
            let wish = Wish {
                ours: self.server_name().to_owned(),
                bound,
                claimed: fetching.saturating_add(wanted),
                fetched_before: inner.parts.environment.now_ms().saturating_sub(grace),
            };
            let counted = store.read(move |read| counted(read, &wish)).await?;
            inner.copies.ledger.counted(counted.bytes, came);
            if counted.oldest.is_empty() {
                return Ok(count);
            }
            let oldest: Vec<Key> = counted.oldest.into_iter().map(|(_, _, key)| key).collect();
            let mut taken_now = 0;
            for stretch in oldest.chunks(MEDIA_PURGE_STRETCH) {
                let keys = stretch.to_vec();
                let ours = self.server_name().to_owned();
                let taken = store.write(SlotNo(0), move |tx: &mut Tx<'_>| {
                    let mut rows = Vec::new();
                    for key in &keys {
                        let row = MEDIA.get(tx, (&*key.0, &*key.1))?;
                        rows.extend(row.map(|row| (key.clone(), row)));
                    }
                    rows.retain(|(key, row)| is_copy(&ours, key, row));
                    delete_copies(tx, &rows)?;
                    Ok::<_, StorageError>(rows)
                });
                let taken = taken.await?.value;
                taken_now += taken.len();
                gone.extend(taken.into_iter().filter_map(|(_, row)| Some(row.file?.digest)));
            }
            count += u64::try_from(taken_now).unwrap_or(u64::MAX);
            if taken_now == 0 || gone.len() >= MEDIA_PURGED_AT_ONCE_MAX {
                return Ok(count);
            }
        }
    }

    /// Writes down when copies were used, of those whose written moment is too old to go by.
    async fn write_uses(&self) -> Result<(), StorageError> {
        let used = std::mem::take(&mut *self.inner.copies.used.lock());
        let used: Vec<(Key, u64)> = used.into_iter().collect();
        let grain = u64::try_from(MEDIA_COPY_USE_GRAIN.as_millis()).unwrap_or(u64::MAX);
        for stretch in used.chunks(MEDIA_PURGE_STRETCH) {
            let stretch = stretch.to_vec();
            let write = move |tx: &mut Tx<'_>| {
                for ((server, id), at) in &stretch {
                    let key = (&**server, &**id);
                    let written = COPY_USED.get(tx, key)?.unwrap_or_default();
                    if written.saturating_add(grain) <= *at && MEDIA.get(tx, key)?.is_some() {
                        COPY_USED.put(tx, key, at)?;
                    }
                }
                Ok::<_, StorageError>(())
            };
            self.inner.parts.store.write(SlotNo(0), write).await?;
        }
        Ok(())
    }
}

/// Counts copies, and finds those to take away.
fn counted(read: &impl vestibule_storage::Read, wish: &Wish) -> Result<Counted, StorageError> {
    let Wish { ours, bound, claimed, fetched_before } = wish;
    let mut bytes = 0_u64;
    MEDIA.each(read, Scan::prefix(()), |key, row| {
        if is_copy(ours, &key, &row) {
            bytes = bytes.saturating_add(row.file.map_or(0, |file| file.size));
        }
        ControlFlow::Continue(())
    })?;
    let mut oldest = BinaryHeap::new();
    let all = bytes.saturating_add(*claimed);
    if all <= *bound {
        return Ok(Counted { bytes, oldest });
    }
    // A tenth is made free at once, so that not every file that comes makes room for itself alone.
    let surplus = all.saturating_sub(bound.saturating_sub(bound / 10));
    let (mut found, mut failed) = (0_u64, None);
    MEDIA.each(read, Scan::prefix(()), |key, row| {
        if !is_copy(ours, &key, &row) || row.created_at >= *fetched_before {
            return ControlFlow::Continue(());
        }
        let used = match COPY_USED.get(read, (&*key.0, &*key.1)) {
            Ok(used) => used.unwrap_or_default().max(row.created_at),
            Err(error) => {
                failed = Some(error);
                return ControlFlow::Break(());
            }
        };
        let size = row.file.map_or(0, |file| file.size);
        found = found.saturating_add(size);
        oldest.push((used, size, key));
        // Those used last stay, as long as the others are enough.
        while let Some((_, size, _)) = oldest.peek() {
            if found.saturating_sub(*size) < surplus && oldest.len() <= MEDIA_PURGED_AT_ONCE_MAX {
                break;
            }
            found = found.saturating_sub(*size);
            oldest.pop();
        }
        ControlFlow::Continue(())
    })?;
    failed.map_or(Ok(Counted { bytes, oldest }), Err)
}
