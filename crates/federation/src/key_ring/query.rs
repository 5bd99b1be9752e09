//! Answering as a notary: what we know of the keys of others, signed by us too (server-server API,
//! "Querying Keys Through Another Server").

use std::{collections::BTreeMap, sync::Arc};

use futures_util::{StreamExt, stream};
use ruma::{CanonicalJsonObject, OwnedServerName, ServerName};
use vestibule_storage::StorageError;
use vestibule_types::limits::{NOTARY_FETCHES_AT_ONCE, NOTARY_SERVERS_MAX};

use super::{ChecksBusy, KeyRing, PublishKeysError, fetch::Hope, known::ServerKeys};

/// Why a notary's question is not answered.
#[derive(Debug, thiserror::Error)]
pub enum QueryKeysError {
    /// It names more than [`NOTARY_SERVERS_MAX`] servers.
    #[error("more than {NOTARY_SERVERS_MAX} servers")]
    TooMany,
    /// Too many signatures are being made and checked.
    #[error(transparent)]
    Busy(#[from] ChecksBusy),
    /// Our own keys cannot be told.
    #[error(transparent)]
    Own(#[from] PublishKeysError),
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl KeyRing {
    /// The keys of these servers, each good at least until the moment beside it if the server says so.
    /// Servers that do not answer are told of as they were last known, or left out.
    pub async fn query(
        &self,
        asked: BTreeMap<OwnedServerName, Option<u64>>,
    ) -> Result<Vec<CanonicalJsonObject>, QueryKeysError> {
        if asked.len() > NOTARY_SERVERS_MAX {
            return Err(QueryKeysError::TooMany);
        }
        let mut answers = Vec::new();
        if asked.contains_key(&self.inner.server_name) {
            answers.push(self.published().await?);
        }
        let now = self.inner.environment.now_ms();
        let others = asked.into_iter().filter(|(server, _)| *server != self.inner.server_name);
        let found = others.map(|(server, until)| async move {
            self.fresh(&server, until.unwrap_or(now), now).await
        });
        let found = stream::iter(found).buffered(NOTARY_FETCHES_AT_ONCE);
        let found: Vec<Result<_, StorageError>> = found.collect().await;
        let found: Vec<_> = found.into_iter().collect::<Result<_, _>>()?;
        let inner = Arc::clone(&self.inner);
        let sign = move || {
            let signed = |keys: Arc<ServerKeys>| {
                let mut answer: CanonicalJsonObject = serde_json::from_slice(&keys.answer).ok()?;
                inner.signing_key.sign_json(&inner.server_name, &mut answer).ok()?;
                Some(answer)
            };
            found.into_iter().flatten().filter_map(signed).collect::<Vec<_>>()
        };
        answers.extend(self.inner.checks.run(sign).await?);
        Ok(answers)
    }

    /// What is known of the keys of a server. It is asked when half of the time they are good for has
    /// passed, or when they are not good for long enough.
    async fn fresh(
        &self,
        server: &ServerName,
        until: u64,
        now: u64,
    ) -> Result<Option<Arc<ServerKeys>>, StorageError> {
        let stale = |known: Option<&ServerKeys>| {
            known.is_none_or(|known| {
                let half = known.valid_until.saturating_sub(known.fetched_at) / 2;
                known.valid_until < until || known.fetched_at.saturating_add(half) < now
            })
        };
        let known = self.inner.kept.of(vec![server]).await?.remove(server);
        if !stale(known.as_deref()) {
            return Ok(known);
        }
        let Ok(_turn) = self.inner.notary_turns.acquire().await else { return Ok(known) };
        self.refresh(server, Hope::Usual, stale).await
    }
}
