//! Who is told what kind of room this is, before being in it.

use ruma::{RoomId, UserId};
use vestibule_policy::Policy;
use vestibule_storage::{
    Read, StorageError,
    tables::room::{ROOM_BY_MEMBER, ROOM_NO_BY_ID, StoredMembership},
};
use vestibule_types::limits::RESTRICTED_ROOMS_MAX;

use crate::{
    RoomSummary, RoomView,
    ask::{Ask, Deed, decide},
};

impl<R: Read> RoomView<'_, R> {
    /// Whether the summary of this room is for the asker: they are in it, or could get in, or
    /// anybody may read it; and the policy would show it to them. `None` asks for somebody who is
    /// not logged in.
    pub(crate) fn is_shown_to(
        &self,
        policy: &Policy,
        asker: Option<&Ask>,
        summary: &RoomSummary,
    ) -> Result<bool, StorageError> {
        let user = asker.map(|ask| &*ask.user_id);
        let membership = match user {
            Some(user) => self.local_member(user)?.map(|member| member.value.membership),
            None => None,
        };
        match membership {
            Some(StoredMembership::Join) => return Ok(true),
            Some(StoredMembership::Ban) => return Ok(false),
            _ => {}
        }
        let invited = membership == Some(StoredMembership::Invite);
        let open = invited || summary.room.world_readable || self.lets_in(user, summary)?;
        if !open || self.room.blocked {
            return Ok(false);
        }
        let Some(ask) = asker else { return Ok(true) };
        let deed = Deed::Discover(self.room.room_id.clone());
        Ok(decide(policy, &self.reader, Some(self), (ask, &deed))?.is_allowed())
    }

    /// Whether the join rule lets somebody in, or lets them ask.
    fn lets_in(&self, user: Option<&UserId>, summary: &RoomSummary) -> Result<bool, StorageError> {
        let known = &self.room.version.rules().authorization;
        match (summary.room.join_rule.as_str(), user) {
            ("public", _) => Ok(true),
            ("knock", _) => Ok(known.knocking),
            ("knock_restricted", _) => Ok(known.knock_restricted_join_rule),
            ("restricted", Some(user)) if known.restricted_join_rule => {
                for allowed in summary.allowed_room_ids.iter().take(RESTRICTED_ROOMS_MAX) {
                    if is_joined_to(&self.reader, user, allowed)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            _ => Ok(false),
        }
    }
}

/// Whether one of our users is joined to a room.
pub(super) fn is_joined_to(
    reader: &impl Read,
    user: &UserId,
    room: &RoomId,
) -> Result<bool, StorageError> {
    let Some(no) = ROOM_NO_BY_ID.get(reader, (room,))? else { return Ok(false) };
    let member = ROOM_BY_MEMBER.get(reader, (user, no.0))?;
    Ok(member.is_some_and(|member| member.value.membership == StoredMembership::Join))
}
