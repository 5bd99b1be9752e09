//! The server's own user in the spaces the policy follows: while it is in one, the space can be read
//! whoever else leaves it.

use std::collections::BTreeSet;

use ruma::{OwnedRoomId, OwnedServerName, RoomId};
use vestibule_storage::{
    SlotNo, StorageError, jobs,
    tables::{
        directory::{SPACE_FOLLOWED, StoredFollow},
        room::StoredMembership,
    },
};
use vestibule_types::limits::{HANDSHAKE_VIAS_MAX, SPACE_FOLLOW_EVERY_MS, SPACES_FOLLOWED_MAX};

use super::{
    jobs::{FOLLOW_SPACE, JobError},
    triggers::AboutRoom,
};
use crate::{Join, Rooms};

impl Rooms {
    /// Leaves a durable job for each space the server's own user should be in and is not, and for
    /// each it should not be in any more: at the start, after a reload, and every hour.
    pub async fn follow_spaces(&self) -> Result<(), StorageError> {
        let policy = self.inner.policy.current();
        let wanted: BTreeSet<OwnedRoomId> =
            policy.followed_spaces().take(SPACES_FOLLOWED_MAX).map(|it| it.id.clone()).collect();
        let mut told = BTreeSet::new();
        for space in &wanted {
            if !self.is_followed(space).await? {
                told.insert((space.clone(), true));
            }
        }
        let rows = self.inner.store.read(|it| SPACE_FOLLOWED.scan(it, (), SPACES_FOLLOWED_MAX));
        let known = rows.await?.into_iter().map(|((space,), _)| space);
        told.extend(known.filter(|space| !wanted.contains(space)).map(|space| (space, false)));
        for (space, wanted) in told {
            let now = self.inner.env.now_ms();
            let row = StoredFollow { wanted, told_at: now, epoch: policy.epoch() };
            self.tell_to_follow(space, row).await?;
        }
        Ok(())
    }

    /// Leaves the job, unless the same was said a short while ago under the same policy.
    async fn tell_to_follow(
        &self,
        space: OwnedRoomId,
        row: StoredFollow,
    ) -> Result<(), StorageError> {
        let payload = AboutRoom { room_id: space.clone() }.encode();
        let write = move |tx: &mut vestibule_storage::Tx<'_>| {
            let last = SPACE_FOLLOWED.get(&*tx, (&space,))?;
            let again = last.is_none_or(|last| {
                (last.wanted, last.epoch) != (row.wanted, row.epoch)
                    || row.told_at.saturating_sub(last.told_at) >= SPACE_FOLLOW_EVERY_MS
            });
            if again {
                SPACE_FOLLOWED.put(tx, (&space,), &row)?;
                jobs::enqueue(tx, FOLLOW_SPACE, payload.clone(), row.told_at)?;
            }
            Ok::<_, StorageError>(())
        };
        self.inner.store.write(SlotNo(0), write).await?;
        self.inner.job_bell.notify_one();
        Ok(())
    }

    /// Does what the policy of this moment says about the server's own user and a space. A space
    /// that cannot be joined now is tried again within the hour.
    pub(super) async fn follow_space(&self, space: &RoomId) -> Result<(), JobError> {
        let policy = self.inner.policy.current();
        let Some(rule) = policy.followed_spaces().find(|rule| rule.id == space) else {
            return self.unfollow_space(space).await;
        };
        let curators = rule.curator_users.iter().map(|user| user.server_name().to_owned());
        let servers = rule.curator_servers.iter().cloned().chain(curators);
        let others = servers.filter(|server| *server != self.inner.server_name);
        let via: Vec<OwnedServerName> = others.take(HANDSHAKE_VIAS_MAX).collect();
        let command = Join { room_id: space.to_owned(), reason: None, via, proof: None };
        match self.join(&self.speaker(), command).await {
            // What could not be read until now can be.
            Ok(_) => Ok(self.note_seen_inside().await?),
            Err(error) => {
                tracing::warn!(%space, %error, "the server's own user cannot join a space to follow");
                Ok(())
            }
        }
    }

    async fn unfollow_space(&self, space: &RoomId) -> Result<(), JobError> {
        if self.is_followed(space).await? {
            self.leave_unattended(space, self.speaker().user_id()).await?;
        }
        let space = space.to_owned();
        let forget = move |tx: &mut vestibule_storage::Tx<'_>| SPACE_FOLLOWED.delete(tx, (&space,));
        self.inner.store.write::<_, StorageError, _>(SlotNo(0), forget).await?;
        Ok(())
    }

    /// Whether the server's own user is in the space.
    async fn is_followed(&self, space: &RoomId) -> Result<bool, StorageError> {
        let user = self.speaker().user_id().to_owned();
        let member = self.with_view(space, move |view| view.local_member(&user)).await?.flatten();
        Ok(member.is_some_and(|row| row.value.membership == StoredMembership::Join))
    }
}
