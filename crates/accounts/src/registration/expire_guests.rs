//! The end of guests whose time is over (`[guests.life]`).

use ruma::OwnedUserId;
use tracing::{info, instrument, warn};
use vestibule_policy::GuestLife;
use vestibule_storage::{Scan, StorageError, tables::account::GUEST_BY_ID};
use vestibule_types::limits::{GUEST_AGAIN_MS, GUESTS_PER_LOOK};

use crate::{Accounts, facts};

impl Accounts {
    /// Ends the guests whose time is over by the policy in force, so that their places are free again:
    /// they leave their rooms, and are erased or deactivated. Where the operator put all of them out, it is
    /// over for everybody. Returns when to look again, in milliseconds
    /// since the Unix epoch: when the next one is due, or whoever comes now could be.
    #[instrument(name = "accounts.registration.expire_guests", skip_all)]
    pub async fn expire_guests(&self) -> Result<u64, StorageError> {
        let life = self.0.policy.current().guest_life();
        let shortest = life.never_joined_ms.min(life.idle_ms).min(life.max_ms);
        let mut next = self.0.now_ms().saturating_add(shortest);
        let (mut after, mut ended) = (None, 0_u64);
        loop {
            let guests = self.guests_after(after).await?;
            // Read after the page: whoever came in since the switch was lifted is not in it.
            let everybody = self.guests_off().await?.is_some_and(|off| off.evict);
            for guest in &guests {
                let due = if everybody { Some(0) } else { self.end_of(guest, life).await? };
                let Some(due) = due else { continue };
                if due > self.0.now_ms() {
                    next = next.min(due);
                    continue;
                }
                match self.end_guest(guest, life.erase).await {
                    Ok(was) => ended = ended.saturating_add(u64::from(was)),
                    // The others' time is over all the same.
                    Err(error) => {
                        next = next.min(self.0.now_ms().saturating_add(GUEST_AGAIN_MS));
                        let error = &error as &dyn std::error::Error;
                        warn!(error, %guest, "a guest could not be ended");
                    }
                }
            }
            after = guests.last().cloned();
            if guests.len() < GUESTS_PER_LOOK {
                break;
            }
        }
        if ended > 0 {
            info!(ended, "guests whose time was over are gone");
        }
        Ok(next)
    }

    async fn guests_after(
        &self,
        after: Option<OwnedUserId>,
    ) -> Result<Vec<OwnedUserId>, StorageError> {
        let read = move |read: &vestibule_storage::Snapshot<'_>| {
            let scan = Scan::prefix(()).limit(GUESTS_PER_LOOK);
            let scan = match &after {
                Some(after) => scan.after((after,)),
                None => scan,
            };
            let rows = GUEST_BY_ID.scan_with(read, scan)?;
            Ok(rows.into_iter().map(|((user_id,), _)| user_id).collect())
        };
        self.0.store.read(read).await
    }

    /// When the time of a guest is over, as things are now. `None` for somebody without an account.
    async fn end_of(
        &self,
        guest: &OwnedUserId,
        life: GuestLife,
    ) -> Result<Option<u64>, StorageError> {
        let user = guest.clone();
        let account = self.0.store.read(move |read| facts::account(read, &user)).await?;
        let Some(account) = account else { return Ok(None) };
        let born = account.created_at;
        let devices = self.devices(guest).await?;
        let seen = devices.into_iter().filter_map(|device| device.last_seen).map(|seen| seen.at);
        let seen = seen.max().unwrap_or(born);
        let end = born.saturating_add(life.max_ms).min(seen.saturating_add(life.idle_ms));
        let early = born.saturating_add(life.never_joined_ms);
        // Only of those who would end early it has to be known.
        let joined = early >= end
            || match self.0.acquaintance.get() {
                Some(acquaintance) => acquaintance.was_in_a_room(guest).await?,
                None => true,
            };
        Ok(Some(if joined { end } else { early }))
    }
}
