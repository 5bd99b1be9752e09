//! Who is joined where.

use std::collections::BTreeMap;

use ruma::{OwnedRoomAliasId, OwnedRoomId, OwnedUserId, RoomId};
use serde::Deserialize;
use vestibule_storage::{
    Scan, StorageError,
    tables::room::{MEMBER_BY_ROOM, StoredMembership},
};
use vestibule_types::{Actor, limits::LOCAL_MEMBERS_MAX};

use super::ReadError;
use crate::{Rooms, directory::names_of};

/// The profile of a member, as their membership event says it.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct JoinedMember {
    /// The display name.
    pub displayname: Option<String>,
    /// The avatar.
    pub avatar_url: Option<String>,
}

impl Rooms {
    /// The rooms a user of ours is joined to.
    pub async fn joined_rooms(&self, actor: &Actor) -> Result<Vec<OwnedRoomId>, StorageError> {
        self.rooms_of(actor.user_id(), StoredMembership::Join).await
    }

    /// The names of a room, for somebody who may read it.
    pub async fn room_aliases(
        &self,
        actor: &Actor,
        room_id: &RoomId,
    ) -> Result<Vec<OwnedRoomAliasId>, ReadError> {
        self.read_as(actor, room_id, move |view, _| Ok(names_of(&view.reader, &view.room.room_id)?))
            .await
    }

    /// The joined members of a room, for one of them.
    pub async fn joined_members(
        &self,
        actor: &Actor,
        room_id: &RoomId,
    ) -> Result<BTreeMap<OwnedUserId, JoinedMember>, ReadError> {
        let user = actor.user_id().to_owned();
        self.read_as(actor, room_id, move |view, _| {
            let own = view.local_member(&user)?;
            if own.is_none_or(|own| own.value.membership != StoredMembership::Join) {
                return Err(ReadError::NotMember);
            }
            let joined = (view.room.no, StoredMembership::Join.key());
            let scan = Scan::prefix(joined).limit(LOCAL_MEMBERS_MAX);
            let mut members = BTreeMap::new();
            for ((_, _, member), no) in MEMBER_BY_ROOM.scan_with(&view.reader, scan)? {
                let profile = match view.event(no.0)? {
                    Some(event) => view.shown_content_as(&event)?,
                    None => None,
                };
                members.insert(member, profile.unwrap_or_default());
            }
            Ok(members)
        })
        .await
    }
}
