//! Taking back a join that another server may have let in, and that never arrived here.
//!
//! A join is handed in and the answer is lost, or cannot be used, or this server stops in between: the
//! user was told that they did not get in, and the room has them in it. A durable job, written before
//! the join leaves this server, looks afterwards. Where the room did not come, it has the server that
//! may have let the user in let them out again.

use ruma::{OwnedEventId, OwnedRoomId, OwnedServerName, OwnedUserId, ServerName};
use serde::{Deserialize, Serialize};
use vestibule_events::Pdu;
use vestibule_storage::{StorageError, jobs};
use vestibule_types::limits::{JOIN_UNDO_AFTER_MS, JOIN_UNDO_AGE_MS_MAX};

use crate::{
    ElsewhereError, Handshake, MembershipError, Rooms, Wanted, membership::member_content,
};

/// Take back a join, unless the room came here.
pub(crate) const UNDO_JOIN: &str = "room_undo_join";

/// A join that was handed in.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct UndoJoin {
    room_id: OwnedRoomId,
    user_id: OwnedUserId,
    server: OwnedServerName,
    event_id: OwnedEventId,
    /// When, in milliseconds since the Unix epoch.
    at: u64,
}

impl UndoJoin {
    /// Who may have let the user in.
    pub(crate) fn server(&self) -> &ServerName {
        &self.server
    }
}

impl Rooms {
    /// Sees to it that a join which is about to be handed in is looked after, whatever happens.
    pub(super) async fn look_after_join(
        &self,
        join: &Pdu,
        server: &OwnedServerName,
    ) -> Result<(), StorageError> {
        let at = self.inner.env.now_ms();
        let undo = UndoJoin {
            room_id: join.room_id().to_owned(),
            user_id: join.sender().to_owned(),
            server: server.clone(),
            event_id: join.event_id().clone(),
            at,
        };
        let payload = serde_json::to_vec(&undo).unwrap_or_default();
        let slot = self.inner.store.slot_of_room(join.room_id());
        let due = at.saturating_add(JOIN_UNDO_AFTER_MS);
        // Whether they get in is not known yet.
        let write = self.inner.store.write_apart::<_, StorageError, _>(slot, move |tx| {
            jobs::enqueue(tx, UNDO_JOIN, payload.clone(), due)
        });
        write.await.map(drop)
    }

    /// Looks whether a join came to its end. Returns when to look again, where the server that would
    /// have to let the user out cannot be asked.
    pub(crate) async fn undo_join(&self, undo: &UndoJoin) -> Result<Option<u64>, MembershipError> {
        let _turn = self.inner.turns.wait(&undo.room_id).await;
        // In a room that is here the join is found, as every event is.
        if self.is_here(&undo.room_id).await? {
            return Ok(None);
        }
        match self.let_out(undo).await {
            Err(MembershipError::Elsewhere(error)) if is_unheard(&error) => {}
            // They are out now, or were not let in.
            Ok(()) | Err(_) => return Ok(None),
        }
        let now = self.inner.env.now_ms();
        let age = now.saturating_sub(undo.at);
        let next = now.saturating_add(age);
        Ok(Some(next).filter(|_| age < JOIN_UNDO_AGE_MS_MAX))
    }

    /// Has a server let our user out, if that join is what the user is in the room by.
    async fn let_out(&self, undo: &UndoJoin) -> Result<(), MembershipError> {
        let (room_id, user_id) = (undo.room_id.clone(), undo.user_id.clone());
        let handshake = Handshake { wanted: Wanted::Leave, room_id, user_id };
        let prepared = self.elsewhere().prepare(&undo.server, &handshake).await?;
        if !prepared.auth_events.contains(&undo.event_id) {
            return Ok(());
        }
        let content = member_content(Wanted::Leave.as_str(), None);
        let whose = (&*undo.room_id, &*undo.user_id, Wanted::Leave);
        let leave = self.sign_prepared(whose, prepared, content)?;
        self.elsewhere().hand_in(&undo.server, Wanted::Leave, &leave).await?;
        Ok(())
    }
}

fn is_unheard(error: &ElsewhereError) -> bool {
    match error {
        ElsewhereError::Unreachable => true,
        ElsewhereError::Refused { status, .. } => *status >= 500 || *status == 429,
        _ => false,
    }
}
