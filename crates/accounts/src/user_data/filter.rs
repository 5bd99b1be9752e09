//! Filters: what a client wants to see of a sync. One is named after its content, so that a client
//! that uploads the same filter at every start keeps one row.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ruma::{OwnedUserId, UserId};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use tracing::instrument;
use vestibule_storage::{
    Scan, Snapshot, StorageError, Tx,
    tables::user_data::{FILTER_BY_ID, StoredFilter, USER_DATA_GUARD},
};
use vestibule_types::{Actor, limits};

use crate::Accounts;

/// Why a filter was not stored or shown.
#[derive(Debug, thiserror::Error)]
pub enum CreateFilterError {
    /// It is somebody else's.
    #[error("these are somebody else's filters")]
    NotOwn,
    /// It is too large.
    #[error("the filter is too large")]
    TooLarge,
    /// It could not be stored.
    #[error("could not store the filter")]
    Storage(#[from] StorageError),
}

impl Accounts {
    /// Stores a filter and names it.
    #[instrument(name = "accounts.user_data.create_filter", skip_all)]
    pub async fn create_filter(
        &self,
        actor: &Actor,
        user_id: OwnedUserId,
        filter: Map<String, Value>,
    ) -> Result<String, CreateFilterError> {
        if actor.user_id() != user_id {
            return Err(CreateFilterError::NotOwn);
        }
        let json = Value::Object(filter).to_string();
        if json.len() > limits::FILTER_BYTES_MAX {
            return Err(CreateFilterError::TooLarge);
        }
        let digest = Sha256::digest(json.as_bytes());
        let mut filter_id = URL_SAFE_NO_PAD.encode(digest);
        filter_id.truncate(16);
        let (id, row) = (filter_id.clone(), StoredFilter { json, renewed_at: self.0.now_ms() });
        self.0.write(actor.user_id(), move |tx| store(tx, &user_id, &id, &row)).await?;
        Ok(filter_id)
    }

    /// A filter of the caller's, as the text it was uploaded with; `Ok(None)` when there is none.
    pub async fn filter(
        &self,
        actor: &Actor,
        user_id: &UserId,
        filter_id: &str,
    ) -> Result<Option<String>, CreateFilterError> {
        if actor.user_id() != user_id {
            return Err(CreateFilterError::NotOwn);
        }
        let (user_id, filter_id) = (user_id.to_owned(), filter_id.to_owned());
        let row = self
            .0
            .store
            .read(move |read| FILTER_BY_ID.get(read, (&user_id, filter_id.as_str())))
            .await?;
        Ok(row.map(|row| row.json))
    }
}

impl Accounts {
    /// Removes the filters that no client used for as long as devices are kept that nobody uses
    /// (`limits.device_idle_life`): whoever knew their names is logged out by now. Returns how many.
    #[instrument(name = "accounts.user_data.expire_filters", skip_all)]
    pub async fn expire_filters(&self) -> Result<u64, StorageError> {
        let Some(life) = self.0.config.sessions.device_idle_life else { return Ok(0) };
        let life = u64::try_from(life.as_millis()).unwrap_or(u64::MAX);
        // One in use is not renewed at every use.
        let life = life.saturating_add(limits::FILTER_RENEWED_AFTER_MS);
        let before = self.0.now_ms().saturating_sub(life);
        let (mut after, mut removed) = (None, 0_u64);
        loop {
            let scan = Scan::prefix(()).limit(limits::FILTERS_PER_LOOK);
            let scan = match after.take() {
                Some(after) => scan.after(after),
                None => scan,
            };
            let page = move |read: &Snapshot<'_>| FILTER_BY_ID.scan_with(read, scan);
            let rows = self.0.store.read(page).await?;
            if rows.len() == limits::FILTERS_PER_LOOK {
                after = rows.last().map(|(key, _)| key.clone());
            }
            for (key, _) in rows.into_iter().filter(|(_, row)| row.renewed_at <= before) {
                let user = key.0.clone();
                let expire = move |tx: &mut Tx<'_>| expire(tx, (&key.0, &key.1), before);
                removed = removed.saturating_add(u64::from(self.0.write(&user, expire).await?));
            }
            if after.is_none() {
                return Ok(removed);
            }
        }
    }
}

/// Removes a filter unless it was used meanwhile. Says whether it did.
fn expire(
    tx: &mut Tx<'_>,
    (user_id, filter_id): (&UserId, &str),
    before: u64,
) -> Result<bool, StorageError> {
    let row = FILTER_BY_ID.get(tx, (user_id, filter_id))?;
    let unused = row.is_some_and(|row| row.renewed_at <= before);
    if unused {
        FILTER_BY_ID.delete(tx, (user_id, filter_id))?;
    }
    Ok(unused)
}

/// Notes that a stored filter is in use, so that others make room before it. One that is gone stays so.
pub fn renew_filter(
    tx: &mut Tx<'_>,
    (user_id, filter_id): (&UserId, &str),
    now: u64,
) -> Result<(), StorageError> {
    let Some(mut row) = FILTER_BY_ID.get(tx, (user_id, filter_id))? else { return Ok(()) };
    row.renewed_at = row.renewed_at.max(now);
    FILTER_BY_ID.put(tx, (user_id, filter_id), &row)
}

fn store(
    tx: &mut Tx<'_>,
    user_id: &UserId,
    filter_id: &str,
    row: &StoredFilter,
) -> Result<(), CreateFilterError> {
    if FILTER_BY_ID.get(tx, (user_id, filter_id))?.is_some() {
        // It is in use: others make room before it.
        return Ok(FILTER_BY_ID.put(tx, (user_id, filter_id), row)?);
    }
    let items = USER_DATA_GUARD.get(tx, (user_id,))?.unwrap_or_default();
    USER_DATA_GUARD.put(tx, (user_id,), &items)?;
    let filters = FILTER_BY_ID.scan(tx, (user_id,), limits::FILTERS_PER_USER_MAX)?;
    if filters.len() >= limits::FILTERS_PER_USER_MAX {
        let oldest = filters.into_iter().min_by_key(|(_, filter)| filter.renewed_at);
        if let Some(((_, oldest), _)) = oldest {
            FILTER_BY_ID.delete(tx, (user_id, oldest.as_str()))?;
        }
    }
    Ok(FILTER_BY_ID.put(tx, (user_id, filter_id), row)?)
}
