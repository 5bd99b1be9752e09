//! Restricted rooms: whoever is in one of the rooms that the join rule names comes in, if somebody who
//! may invite vouches for them (client-server API, "Restricted rooms").

use ruma::{OwnedRoomId, OwnedUserId, RoomId, UserId};
use serde::Deserialize;
use vestibule_state_res::{AuthError, Power};
use vestibule_storage::{
    StorageError,
    tables::room::{LOCAL_MEMBER_BY_ROOM, MEMBER_BY_ROOM, StoredMembership},
};
use vestibule_types::limits::RESTRICTED_ROOMS_MAX;

use super::MembershipError;
use crate::{AppendError, OpenRoom, RoomTx, RoomView, append::power_levels};

/// How somebody may come into a room as far as its join rule needs a voucher.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Vouching {
    /// The room is open, or they were invited.
    NotNeeded,
    /// This user of ours vouches for them.
    By(OwnedUserId),
    /// They would be let in, but none of our users there may invite.
    Nobody,
    /// They are in none of the rooms that let people in, as far as this server can see those, or there
    /// are none.
    Refused,
    /// This server is in none of the rooms that let people in.
    Unknown,
}

#[derive(Deserialize)]
struct JoinRules {
    join_rule: String,
    #[serde(default)]
    allow: Vec<AllowRule>,
}

#[derive(Deserialize)]
struct AllowRule {
    #[serde(rename = "type")]
    kind: String,
    room_id: Option<OwnedRoomId>,
}

impl RoomTx<'_, '_> {
    /// Whether somebody, of this server or another, needs a voucher to join, and who it is.
    pub(crate) fn vouching(&self, user: &UserId) -> Result<Vouching, MembershipError> {
        let version = self.known()?.version;
        let rules = self.state_event("m.room.join_rules", "")?;
        let Some(rules) = rules.and_then(|event| event.pdu.content_as::<JoinRules>().ok()) else {
            return Ok(Vouching::NotNeeded);
        };
        let known = &version.rules().authorization;
        let restricted = match rules.join_rule.as_str() {
            "restricted" => known.restricted_join_rule,
            "knock_restricted" => known.knock_restricted_join_rule,
            _ => false,
        };
        let now = self.member(user)?.map(|member| member.membership);
        if !restricted || now == Some(StoredMembership::Invite) {
            return Ok(Vouching::NotNeeded);
        }
        let found = self.voucher_for(user, &rules)?;
        // Who is in may have left where we did not hear of it yet: with a voucher they come in even so.
        let joined = now == Some(StoredMembership::Join);
        let found = Some(found).filter(|it| !joined || matches!(it, Vouching::By(_)));
        Ok(found.unwrap_or(Vouching::NotNeeded))
    }

    fn voucher_for(&self, user: &UserId, rules: &JoinRules) -> Result<Vouching, MembershipError> {
        // Who meets no condition is refused, also where there is none that can be met.
        let mut answer = None;
        let allowed = rules.allow.iter().take(RESTRICTED_ROOMS_MAX);
        for rule in allowed.filter(|rule| rule.kind == "m.room_membership") {
            let Some(room) = &rule.room_id else { continue };
            match self.is_joined_elsewhere(user, room)? {
                Some(true) => return Ok(self.inviter()?.map_or(Vouching::Nobody, Vouching::By)),
                Some(false) => answer = Some(Vouching::Refused),
                None => answer = answer.or(Some(Vouching::Unknown)),
            }
        }
        Ok(answer.unwrap_or(Vouching::Refused))
    }

    /// Whether somebody is joined to another room; `None` when this server is not in it and cannot
    /// know.
    fn is_joined_elsewhere(
        &self,
        user: &UserId,
        room: &RoomId,
    ) -> Result<Option<bool>, StorageError> {
        let Some(room) = OpenRoom::load(&*self.tx, room)? else { return Ok(None) };
        if !RoomView::new(self.rooms, self.tx.fixed(), &room).is_resident()? {
            return Ok(None);
        }
        let joined = (room.no, StoredMembership::Join.key(), user);
        Ok(Some(MEMBER_BY_ROOM.contains(&*self.tx, joined)?))
    }

    /// A joined member of ours who may invite, the most powerful of those looked at.
    fn inviter(&self) -> Result<Option<OwnedUserId>, MembershipError> {
        let room = self.known()?;
        let view = self.view()?;
        let power = power_levels(&view, room.head.state)?;
        let needed = power.to_invite().map_err(forbidden)?;
        let joined = StoredMembership::Join.key();
        let mut best: Option<(Power, OwnedUserId)> = None;
        let locals = LOCAL_MEMBER_BY_ROOM.scan(&*self.tx, (room.no, joined), VOUCHERS_MAX)?;
        for ((_, _, member), ()) in locals {
            let level = power.user(&member).map_err(forbidden)?;
            let stronger = best.as_ref().is_none_or(|(known, _)| *known < level);
            if level >= Power::Int(needed) && stronger {
                best = Some((level, member));
            }
        }
        Ok(best.map(|(_, member)| member))
    }
}

/// Local members looked at to find one who may vouch for a join.
const VOUCHERS_MAX: usize = 1_000;

fn forbidden(error: AuthError) -> AppendError {
    AppendError::Forbidden(error.reason)
}
