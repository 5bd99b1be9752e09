//! A leave that nobody could be told: a server in the room is told when one can be reached.

use ruma::{OwnedEventId, OwnedRoomId, OwnedServerName, OwnedUserId};
use serde::{Deserialize, Serialize};
use vestibule_storage::{
    StorageError, jobs,
    tables::{handshake::OUTSIDE_BY_USER, room::StoredMembership},
};
use vestibule_types::limits::{
    LEAVE_TOLD_AGE_MS_MAX, LEAVE_TOLD_WAIT_MS_MAX, LEAVE_TOLD_WAIT_MS_MIN,
};

use super::is_worth_another;
use crate::{RoomTx, Rooms, ask::Ask};

/// Tell a server in a room that a user of ours is not invited to it, or knocking at it, any more.
pub(crate) const LEAVE_TOLD: &str = "room_leave_told";

/// A leave that is known here alone.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct UntoldLeave {
    pub(crate) room_id: OwnedRoomId,
    pub(crate) user_id: OwnedUserId,
    /// The leave as it is known here. What another one took the place of is not told any more.
    pub(crate) event_id: OwnedEventId,
    pub(crate) reason: Option<String>,
    /// Servers that may be in the room.
    pub(crate) vias: Vec<OwnedServerName>,
    /// When the user left, in milliseconds since the Unix epoch.
    pub(crate) at: u64,
}

impl RoomTx<'_, '_> {
    /// Remembers, in the batch in which the user leaves, that somebody has to be told.
    pub(super) fn leave_untold(&mut self, leave: &UntoldLeave) -> Result<(), StorageError> {
        let payload = serde_json::to_vec(leave).unwrap_or_default();
        jobs::enqueue(self.tx, LEAVE_TOLD, payload, leave.at + LEAVE_TOLD_WAIT_MS_MIN)
    }
}

impl Rooms {
    /// Tries to tell. Returns when to try again, in milliseconds since the Unix epoch: after as much
    /// time as has passed since the user left, so ever more seldom.
    pub(crate) async fn tell_leave(
        &self,
        leave: &UntoldLeave,
    ) -> Result<Option<u64>, StorageError> {
        let _turn = self.inner.turns.wait(&leave.room_id).await;
        if leave.vias.is_empty() || !self.is_still_untold(leave).await? {
            return Ok(None);
        }
        let ask = Ask::unattended(&leave.user_id, self.inner.env.now());
        for server in &leave.vias {
            let told = self.leave_through(server, &ask, (&leave.room_id, leave.reason.as_deref()));
            match told.await {
                Ok(_) => return Ok(None),
                Err(error) if is_worth_another(&error) => {
                    tracing::debug!(%server, %error, "a server cannot be told of a leave yet");
                }
                // It knows the room, and nothing of the user that would have to end.
                Err(error) => {
                    tracing::debug!(%server, %error, "a server does not want to know of a leave");
                    return Ok(None);
                }
            }
        }
        let now = self.inner.env.now_ms();
        let passed = now.saturating_sub(leave.at);
        if passed > LEAVE_TOLD_AGE_MS_MAX {
            tracing::info!("nobody could be told of a leave; it is given up");
            return Ok(None);
        }
        Ok(Some(now + passed.clamp(LEAVE_TOLD_WAIT_MS_MIN, LEAVE_TOLD_WAIT_MS_MAX)))
    }

    /// Whether the user has not been invited again, or come in, since.
    async fn is_still_untold(&self, leave: &UntoldLeave) -> Result<bool, StorageError> {
        if self.is_here(&leave.room_id).await? {
            return Ok(false);
        }
        let leave = leave.clone();
        self.inner
            .store
            .read(move |snapshot| {
                let row = OUTSIDE_BY_USER.get(snapshot, (&leave.user_id, &leave.room_id))?;
                // Whoever forgets the room has left it all the same.
                Ok(row.is_none_or(|row| {
                    row.value.membership == StoredMembership::Leave
                        && row.value.event_id == leave.event_id
                }))
            })
            .await
    }
}
