//! The filters of requests, read once and kept ready. Those in use are renewed, so that those of which
//! nobody has any need make room for new ones.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use moka::sync::Cache;
use ruma::{
    OwnedUserId,
    api::client::filter::{EventFormat, FilterDefinition},
};
use vestibule_accounts::renew_filter;
use vestibule_storage::tables::user_data::FILTER_BY_ID;
use vestibule_types::{
    Actor,
    limits::{FILTER_RENEWED_AFTER_MS, FILTERS_READY_MAX},
};

use crate::{Sync, SyncError, filter::SyncFilter};

/// Filters by user, and by name or as they were written out.
pub(crate) struct Filters(Cache<(OwnedUserId, String), Ready>);

impl Default for Filters {
    fn default() -> Self {
        Self(Cache::new(FILTERS_READY_MAX))
    }
}

#[derive(Clone)]
struct Ready {
    filter: Arc<SyncFilter>,
    /// When it was stored or renewed, in milliseconds since the Unix epoch; none for one that is not stored.
    renewed_at: Option<u64>,
}

impl Sync {
    /// The filter of a request: written out, or by its name.
    pub(crate) async fn filter(
        &self,
        actor: &Actor,
        written: Option<String>,
    ) -> Result<Arc<SyncFilter>, SyncError> {
        let Some(written) = written.filter(|written| !written.is_empty()) else {
            return Ok(Arc::default());
        };
        let key = (actor.user_id().to_owned(), written);
        let ready = match self.inner().filters.0.get(&key) {
            Some(known) => known,
            None => self.read_filter(&key).await?,
        };
        self.renew_if_due(key, &ready).await;
        Ok(ready.filter)
    }

    async fn read_filter(&self, key: &(OwnedUserId, String)) -> Result<Ready, SyncError> {
        let ready = if key.1.starts_with('{') {
            Ready { filter: Arc::new(parse(&key.1)?), renewed_at: None }
        } else {
            let (user, name) = key.clone();
            let read = self.inner().rooms.store().read::<_, SyncError, _>(move |snapshot| {
                Ok(FILTER_BY_ID.get(snapshot, (&user, name.as_str()))?)
            });
            let row = read.await?.ok_or(SyncError::UnknownFilter)?;
            Ready { filter: Arc::new(parse(&row.json)?), renewed_at: Some(row.renewed_at) }
        };
        // A stored filter is named after its content, so what a name stands for never changes.
        self.inner().filters.0.insert(key.clone(), ready.clone());
        Ok(ready)
    }

    /// Notes now and then that a stored filter is in use. Should that fail, it is shown all the same.
    async fn renew_if_due(&self, key: (OwnedUserId, String), ready: &Ready) {
        let now = self.inner().environment.now_ms();
        let is_due = |at: u64| now.saturating_sub(at) >= FILTER_RENEWED_AFTER_MS;
        if !ready.renewed_at.is_some_and(is_due) {
            return;
        }
        // First in memory: requests that come meanwhile do not write as well.
        let renewed = Ready { renewed_at: Some(now), ..ready.clone() };
        self.inner().filters.0.insert(key.clone(), renewed);
        let store = self.inner().rooms.store();
        let (user, name) = key;
        let slot = store.slot_of_user(&user);
        let write = store.write(slot, move |tx| renew_filter(tx, (&user, &name), now));
        if let Err(error) = write.await {
            tracing::warn!(%error, "a filter in use could not be renewed");
        }
    }
}

fn parse(json: &str) -> Result<SyncFilter, SyncError> {
    let definition: FilterDefinition =
        serde_json::from_str(json).map_err(|error| SyncError::BadFilter(error.to_string()))?;
    if !matches!(definition.event_format, EventFormat::Client | EventFormat::Federation) {
        return Err(SyncError::BadFilter("there is no such event_format".to_owned()));
    }
    let mut hasher = DefaultHasher::new();
    json.hash(&mut hasher);
    Ok(SyncFilter::new(definition, hasher.finish()))
}
