//! Copies of files of other servers: when they were used, and how much there may be of them.
//!
//! That a copy is used is noted in memory and written down now and then, in one batch, so that reading
//! writes nothing. What a killed process had noted is lost: its copies count as unused for that long.

use std::{
    collections::{BTreeMap, BTreeSet, BinaryHeap},
    ops::ControlFlow,
    sync::atomic::{AtomicBool, Ordering},
};

use parking_lot::Mutex;
use ruma::{OwnedServerName, ServerName};
use vestibule_storage::{
    Scan, SlotNo, StorageError, Tx,
    tables::media::{COPY_USED, FileDigest, MEDIA, StoredMedia},
};
use vestibule_types::limits::{
    MEDIA_COPY_USE_GRAIN, MEDIA_COPY_USES_MAX, MEDIA_PURGE_STRETCH, MEDIA_PURGED_AT_ONCE_MAX,
};

use crate::Media;

/// A media id: its server, and its name there.
pub(crate) type Key = (OwnedServerName, String);

/// What is known of copies beside their rows.
#[derive(Default)]
pub(crate) struct Copies {
    /// When they were used last, as far as that is not written down.
    used: Mutex<BTreeMap<Key, u64>>,
    /// How many bytes there are, once that was counted.
    bytes: Mutex<Option<u64>>,
    /// Whether somebody makes room.
    clearing: AtomicBool,
}

/// A copy that may go: when it was used, its size, and what it is.
type Candidate = (u64, u64, Key);

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
    /// A copy came. Where there are too many bytes now, room is made in the background.
    pub(crate) fn copy_came(&self, size: u64) {
        let copies = &self.inner.copies;
        let mut bytes = copies.bytes.lock();
        let Some(known) = bytes.as_mut() else { return };
        *known = known.saturating_add(size);
        let bound = self.config().remote_bytes_max;
        if bound.is_none_or(|bound| *known <= bound) || copies.clearing.load(Ordering::Acquire) {
            return;
        }
        drop(bytes);
        let media = self.clone();
        let work = async move {
            if let Err(error) = media.purge_media(None).await {
                let cause = &error as &dyn std::error::Error;
                tracing::error!(cause, "copies of files of other servers could not be removed");
            }
        };
        let spawner = &self.inner.parts.environment.spawner;
        spawner.spawn("making room for files of other servers", Box::pin(work));
    }

    /// Takes the copies away that were unused for the longest time, until the rest is well within the
    /// bound. Says how many went, and names their files.
    pub(crate) async fn trim_copies(
        &self,
        gone: &mut BTreeSet<FileDigest>,
    ) -> Result<u64, StorageError> {
        self.write_uses().await?;
        let Some(bound) = self.config().remote_bytes_max else { return Ok(0) };
        let copies = &self.inner.copies;
        if copies.clearing.swap(true, Ordering::AcqRel) {
            return Ok(0);
        }
        let trimmed = self.trim_to(bound, gone).await;
        copies.clearing.store(false, Ordering::Release);
        trimmed
    }

    async fn trim_to(
        &self,
        bound: u64,
        gone: &mut BTreeSet<FileDigest>,
    ) -> Result<u64, StorageError> {
        let store = &self.inner.parts.store;
        let mut count = 0;
        loop {
            let ours = self.server_name().to_owned();
            let counted = store.read(move |read| counted(read, &ours, bound)).await?;
            *self.inner.copies.bytes.lock() = Some(counted.bytes);
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
fn counted(
    read: &impl vestibule_storage::Read,
    ours: &ServerName,
    bound: u64,
) -> Result<Counted, StorageError> {
    let mut bytes = 0_u64;
    MEDIA.each(read, Scan::prefix(()), |key, row| {
        if is_copy(ours, &key, &row) {
            bytes = bytes.saturating_add(row.file.map_or(0, |file| file.size));
        }
        ControlFlow::Continue(())
    })?;
    let mut oldest = BinaryHeap::new();
    if bytes <= bound {
        return Ok(Counted { bytes, oldest });
    }
    // A tenth is made free at once, so that not every file that comes makes room for itself alone.
    let surplus = bytes.saturating_sub(bound.saturating_sub(bound / 10));
    let (mut found, mut failed) = (0_u64, None);
    MEDIA.each(read, Scan::prefix(()), |key, row| {
        if !is_copy(ours, &key, &row) {
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
