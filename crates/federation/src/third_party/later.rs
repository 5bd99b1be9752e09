//! Invitations by address whose inviter's server could not be asked: it is asked later, also after a
//! restart. An identity server tells of an address once, and may not say it again.

use ruma::{
    OwnedRoomId, OwnedUserId,
    events::room::member::SignedContent,
    serde::{Base64, Raw, base64::UrlSafe},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tracing::info;
use vestibule_accounts::AccountState;
use vestibule_storage::{SlotNo, StorageError, jobs, tables::exchange::EXCHANGE_WAITING};
use vestibule_types::limits::{
    EXCHANGE_AGE_MS_MAX, EXCHANGE_WAIT_MS_MAX, EXCHANGE_WAIT_MS_MIN, EXCHANGES_WAITING_MAX,
};

use super::BoundInvite;
use crate::Federation;

/// Have an invitation by address exchanged.
const EXCHANGE_LATER: &str = "federation_exchange_later";

/// Where these rows lie.
const SERVER_SLOT: SlotNo = SlotNo(0);

/// Why a job of this service has to be tried again.
#[derive(Debug, thiserror::Error)]
pub enum FederationJobError {
    /// Its payload is damaged.
    #[error("the job cannot be read")]
    Unreadable,
    /// The database failed.
    #[error("the job could not read or write the database")]
    Storage(#[from] StorageError),
}

/// The payload of the job, as JSON.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Later {
    user_id: OwnedUserId,
    room_id: OwnedRoomId,
    sender: OwnedUserId,
    signed: Raw<SignedContent>,
    /// When the address was bound, in milliseconds since the Unix epoch.
    at: u64,
}

impl Later {
    /// The same for whoever says the same again.
    fn name(&self) -> String {
        let parts = (&self.user_id, &self.room_id, &self.sender, &self.signed);
        let text = serde_json::to_vec(&parts).unwrap_or_default();
        Base64::<UrlSafe, _>::new(Sha256::digest(text).to_vec()).encode()
    }

    fn invite(&self) -> BoundInvite {
        BoundInvite {
            room_id: self.room_id.clone(),
            sender: self.sender.clone(),
            signed: self.signed.clone(),
        }
    }
}

impl Federation {
    /// Whether a kind of durable jobs is this service's.
    #[must_use]
    pub fn does_job(kind: &str) -> bool {
        kind == EXCHANGE_LATER
    }

    /// What a job of this service must not run beside: the other server that it waits for.
    #[must_use]
    pub fn job_lane(kind: &str, payload: &[u8]) -> String {
        let later = serde_json::from_slice::<Later>(payload).ok();
        let server = later.map(|later| format!("server {}", later.sender.server_name()));
        server.unwrap_or_else(|| kind.to_owned())
    }

    /// Does a durable job of this service. Returns when to do it once more, in milliseconds since the
    /// Unix epoch: after as much time as has passed since the address was bound, so ever more seldom.
    pub async fn run_job(&self, payload: &[u8]) -> Result<Option<u64>, FederationJobError> {
        let later: Later =
            serde_json::from_slice(payload).map_err(|_| FederationJobError::Unreadable)?;
        let account = self.inner.parts.accounts.account(&later.user_id).await?;
        let gone = account.is_none_or(|account| account.state == AccountState::Deactivated);
        if gone || self.exchange(&later.user_id, later.invite()).await {
            return self.exchanged(&later).await;
        }
        let now = self.inner.parts.environment.now_ms();
        let passed = now.saturating_sub(later.at);
        if passed > EXCHANGE_AGE_MS_MAX {
            info!("an invitation by address cannot be exchanged; it is given up");
            return self.exchanged(&later).await;
        }
        Ok(Some(now + passed.clamp(EXCHANGE_WAIT_MS_MIN, EXCHANGE_WAIT_MS_MAX)))
    }

    /// Nothing of it waits any more. The job itself ends afterwards: done twice it does no harm.
    async fn exchanged(&self, later: &Later) -> Result<Option<u64>, FederationJobError> {
        let name = later.name();
        let write = self.inner.parts.store.write::<_, StorageError, _>(SERVER_SLOT, move |tx| {
            EXCHANGE_WAITING.delete(tx, (&name,))
        });
        write.await?;
        Ok(None)
    }

    /// Remembers to ask later. `false` if too many wait already: whoever tells of a binding need not
    /// prove who they are.
    pub(super) async fn exchange_later(
        &self,
        user_id: OwnedUserId,
        invite: BoundInvite,
    ) -> Result<bool, StorageError> {
        let BoundInvite { room_id, sender, signed } = invite;
        let at = self.inner.parts.environment.now_ms();
        let later = Later { user_id, room_id, sender, signed, at };
        let (name, payload) = (later.name(), serde_json::to_vec(&later).unwrap_or_default());
        let write = self.inner.parts.store.write::<_, StorageError, _>(SERVER_SLOT, move |tx| {
            if EXCHANGE_WAITING.contains(tx, (&name,))? {
                return Ok(true);
            }
            let waiting = EXCHANGE_WAITING.scan(tx, (), EXCHANGES_WAITING_MAX)?.len();
            if waiting >= EXCHANGES_WAITING_MAX {
                return Ok(false);
            }
            EXCHANGE_WAITING.put(tx, (&name,), &())?;
            jobs::enqueue(tx, EXCHANGE_LATER, payload.clone(), at + EXCHANGE_WAIT_MS_MIN)?;
            Ok(true)
        });
        Ok(write.await?.value)
    }
}
