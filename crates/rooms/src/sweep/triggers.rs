//! Noticing, inside the batch that changes it, that a door may have closed.

use ruma::{OwnedRoomId, UserId};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use vestibule_storage::{
    StorageError, jobs,
    tables::{
        account::ACCOUNT_BY_ID,
        directory::{SPACE_EDGE_FIRST, StoredSpaceEdge},
    },
};

use vestibule_types::EventNo;

use super::jobs::{BLOCKED, GUEST_ACCESS, SCOPE};
use crate::{AppendError, RoomTx, StateChange, facts::has_host};

/// The room a job is about.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct AboutRoom {
    pub(super) room_id: OwnedRoomId,
}

impl AboutRoom {
    pub(super) fn encode(&self) -> Vec<u8> {
        // An identifier in a struct always has a JSON form.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

#[derive(Deserialize)]
struct ChildContent {
    #[serde(default)]
    via: Vec<String>,
}

#[derive(Deserialize)]
struct GuestAccess {
    guest_access: String,
}

impl RoomTx<'_, '_> {
    /// Something changed that decides whether scoped members may stay in this room.
    pub(crate) fn scope_changed(&mut self, now_ms: u64) -> Result<(), StorageError> {
        self.room_job(SCOPE, now_ms)
    }

    /// A member of ours went: when nobody is left who hosts guests, they may not stay either.
    pub(crate) fn local_member_went(&mut self) -> Result<(), AppendError> {
        let policy = self.rooms.inner.policy.current();
        if policy.has_scoped_classes() && !has_host(&policy, &*self.tx, self.known()?)? {
            let now = self.rooms.inner.env.now_ms();
            self.scope_changed(now)?;
        }
        Ok(())
    }

    /// The room was blocked: whoever of ours is in it leaves.
    pub(crate) fn empty_later(&mut self, now_ms: u64) -> Result<(), StorageError> {
        self.any_room_job(BLOCKED, now_ms)
    }

    fn room_job(&mut self, kind: &str, due_ms: u64) -> Result<(), StorageError> {
        if !self.rooms.inner.policy.current().has_scoped_classes() {
            return Ok(());
        }
        self.any_room_job(kind, due_ms)
    }

    fn any_room_job(&mut self, kind: &str, due_ms: u64) -> Result<(), StorageError> {
        let about = AboutRoom { room_id: self.room_id.clone() };
        jobs::enqueue(self.tx, kind, about.encode(), due_ms)?;
        self.rooms.inner.job_bell.notify_one();
        Ok(())
    }

    /// The room's guest access changed in resolved state: guests may have to go.
    pub(crate) fn guest_access_changed(&mut self, change: &StateChange) -> Result<(), AppendError> {
        let access = match change.new {
            Some(no) => self.said::<GuestAccess>(no)?,
            None => None,
        };
        self.bump_scope_guard()?;
        if access.is_none_or(|access| access.guest_access != "can_join") {
            let now = self.rooms.inner.env.now_ms();
            self.room_job(GUEST_ACCESS, now)?;
        }
        Ok(())
    }

    /// A space's edge changed: remember who first set it since it was last unset.
    pub(crate) fn index_space_edge(&mut self, change: &StateChange) -> Result<(), AppendError> {
        let Ok(child) = OwnedRoomId::try_from(change.key.1.as_str()) else { return Ok(()) };
        let event = match change.new {
            Some(no) => self.event(no)?,
            None => None,
        };
        let content = match change.new {
            Some(no) => self.said::<ChildContent>(no)?,
            None => None,
        };
        let set = event.filter(|_| content.is_some_and(|content| !content.via.is_empty()));
        let space = self.room_id.clone();
        self.forget_seen_inside(&child)?;
        match set {
            Some(event) => {
                if SPACE_EDGE_FIRST.get(&*self.tx, (&space, &child))?.is_none() {
                    let sender = event.pdu.sender().to_owned();
                    let class = self.class_of(&sender)?;
                    let first = StoredSpaceEdge { sender, class };
                    SPACE_EDGE_FIRST.put(self.tx, (&space, &child), &first)?;
                }
            }
            None => SPACE_EDGE_FIRST.delete(self.tx, (&space, &child))?,
        }
        Ok(())
    }

    /// The content of an event, as far as it was not redacted.
    fn said<T: DeserializeOwned>(&self, no: EventNo) -> Result<Option<T>, AppendError> {
        let view = self.view()?;
        match view.event(no)? {
            Some(event) => Ok(view.shown_content_as(&event)?),
            None => Ok(None),
        }
    }

    fn class_of(&self, user: &UserId) -> Result<Option<vestibule_types::ClassName>, StorageError> {
        if user.server_name() != self.rooms.inner.server_name {
            return Ok(None);
        }
        Ok(ACCOUNT_BY_ID.get(&*self.tx, (user,))?.map(|account| account.class))
    }
}
