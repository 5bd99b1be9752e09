//! Showing keys: of users of this server, of those whose lists are kept here, and of the rest as
//! their servers tell.

use std::{collections::BTreeMap, time::Duration};

use ruma::OwnedServerName;
use tracing::instrument;
use vestibule_accounts::Refusal;
use vestibule_policy::Denial;
use vestibule_storage::{StorageError, tables::account::ACCOUNT_BY_ID};
use vestibule_types::{
    Actor,
    limits::{KEYS_QUERIED_USERS_MAX, REMOTE_KEYS_WAIT, REMOTE_KEYS_WAIT_MAX},
};

use crate::{
    DeviceIds, Keys, ShownKeys,
    ask::KeyAct,
    elsewhere::{Question, by_server, everywhere},
    remote::RemoteKeysError,
    show::{Viewer, show},
};

/// Users shown out of one snapshot, so that a long list does not hold a storage thread.
const USERS_AT_ONCE: usize = 64;

/// Keys to be shown.
#[derive(Debug, Default)]
pub struct QueryKeys {
    /// Of whom. An empty list of devices asks for all of them.
    pub device_keys: DeviceIds,
    /// How long to wait for other servers.
    pub timeout: Option<Duration>,
}

/// Keys that are shown.
#[derive(Debug, Default)]
pub struct Queried {
    /// The keys.
    pub keys: ShownKeys,
    /// The servers that did not answer.
    pub failures: BTreeMap<OwnedServerName, RemoteKeysError>,
}

/// Why no keys are shown.
#[derive(Debug, thiserror::Error)]
pub enum QueryKeysError {
    /// Too many users in one request.
    #[error("one request may not name so many users")]
    TooMany,
    /// The policy refuses.
    #[error(transparent)]
    Denied(#[from] Denial),
    /// The keys could not be read.
    #[error("could not read the keys")]
    Storage(#[from] StorageError),
}

impl From<Refusal> for QueryKeysError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Denied(denial) => Self::Denied(denial),
            Refusal::Storage(error) => Self::Storage(error),
        }
    }
}

impl Keys {
    /// Shows keys to the caller. Users there are none of are left out, and so are people the
    /// caller's class may not reach.
    #[instrument(name = "keys.query_keys", skip_all)]
    pub async fn query_keys(
        &self,
        actor: &Actor,
        mut command: QueryKeys,
    ) -> Result<Queried, QueryKeysError> {
        if command.device_keys.len() > KEYS_QUERIED_USERS_MAX {
            return Err(QueryKeysError::TooMany);
        }
        let acts = command.device_keys.keys().cloned().map(KeyAct::Query).collect();
        let (mut here, mut abroad) = (DeviceIds::new(), DeviceIds::new());
        for asked in self.ask_all(actor, acts).await? {
            let KeyAct::Query(target) = asked.act else { continue };
            let Some(devices) = command.device_keys.remove(&target) else { continue };
            let side = if self.is_local(&target) { &mut here } else { &mut abroad };
            side.insert(target, devices);
        }
        let viewer = Viewer::User(actor.user_id().to_owned());
        let mut queried = Queried::default();
        self.show_all(&viewer, self.known(here).await?, &mut queried.keys).await?;
        let wait = command.timeout.unwrap_or(REMOTE_KEYS_WAIT).min(REMOTE_KEYS_WAIT_MAX);
        let ask = |(server, devices): (OwnedServerName, DeviceIds)| -> Question<_> {
            let (keys, viewer) = (self.clone(), viewer.clone());
            Box::pin(async move {
                let answer = keys.ask_server(&server, &viewer, devices, wait).await;
                (server, answer)
            })
        };
        let asking = by_server(abroad).into_iter().map(ask).collect();
        for (server, answer) in everywhere(asking).await {
            let (keys, failure) = answer?;
            merge(&mut queried.keys, keys);
            queried.failures.extend(failure.map(|failure| (server, failure)));
        }
        Ok(queried)
    }

    /// Shows keys of users of this server to another one.
    #[instrument(name = "keys.query_keys_for_server", skip_all)]
    pub async fn query_keys_for_server(
        &self,
        mut device_keys: DeviceIds,
    ) -> Result<ShownKeys, QueryKeysError> {
        if device_keys.len() > KEYS_QUERIED_USERS_MAX {
            return Err(QueryKeysError::TooMany);
        }
        device_keys.retain(|user, _| self.is_local(user));
        let mut shown = ShownKeys::default();
        let known = self.known(device_keys).await?;
        self.show_all(&Viewer::Server, known, &mut shown).await?;
        Ok(shown)
    }

    /// Those of them who have an account here.
    async fn known(&self, devices: DeviceIds) -> Result<DeviceIds, StorageError> {
        self.store()
            .read(move |read| {
                let accounts = ACCOUNT_BY_ID.multi_get(read, devices.keys().map(|user| (user,)))?;
                let known = devices.into_iter().zip(accounts);
                Ok(known.filter(|(_, account)| account.is_some()).map(|(it, _)| it).collect())
            })
            .await
    }

    /// Shows what is stored.
    pub(crate) async fn show_all(
        &self,
        viewer: &Viewer,
        devices: DeviceIds,
        shown: &mut ShownKeys,
    ) -> Result<(), StorageError> {
        let mut devices: Vec<_> = devices.into_iter().collect();
        while !devices.is_empty() {
            let some = devices.split_off(devices.len().saturating_sub(USERS_AT_ONCE));
            let viewer = viewer.clone();
            let keys = self.store().read::<_, StorageError, _>(move |read| {
                let mut keys = ShownKeys::default();
                for (user, devices) in &some {
                    show(read, &viewer, user, devices, &mut keys)?;
                }
                Ok(keys)
            });
            merge(shown, keys.await?);
        }
        Ok(())
    }
}

/// Adds keys of other users.
pub(crate) fn merge(keys: &mut ShownKeys, more: ShownKeys) {
    keys.device_keys.extend(more.device_keys);
    keys.master_keys.extend(more.master_keys);
    keys.self_signing_keys.extend(more.self_signing_keys);
    keys.user_signing_keys.extend(more.user_signing_keys);
}
