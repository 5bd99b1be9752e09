//! Becoming joined.

use ruma::{OwnedRoomId, OwnedUserId, RoomId, UserId};
use serde::Deserialize;
use vestibule_policy::kind;
use vestibule_state_res::Power;
use vestibule_storage::{
    StorageError,
    tables::room::{LOCAL_MEMBER_BY_ROOM, ROOM_BY_MEMBER, ROOM_NO_BY_ID, StoredMembership},
};
use vestibule_types::{Actor, limits::RESTRICTED_ROOMS_MAX};

use super::{MembershipError, member_content, member_draft, put_profile, put_text};
use crate::{
    AppendError, RoomTx, Rooms,
    append::{Authority, power_levels},
    ask::{Ask, Deed},
};

/// Join a room.
#[derive(Clone, Debug)]
pub struct Join {
    /// The room.
    pub room_id: OwnedRoomId,
    /// Why, in the user's words.
    pub reason: Option<String>,
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

impl Rooms {
    /// Joins a local user to a room this server has. Joining again changes nothing.
    pub async fn join(&self, actor: &Actor, command: Join) -> Result<OwnedRoomId, MembershipError> {
        let ask = self.ask(actor, &Deed::Join(command.room_id.clone())).await?;
        let room_id = command.room_id.clone();
        self.in_room(&command.room_id.clone(), move |room| room.join(&ask, &command)).await?;
        Ok(room_id)
    }
}

impl RoomTx<'_, '_> {
    /// The one handler behind every road to `join`.
    pub(crate) fn join(&mut self, ask: &Ask, command: &Join) -> Result<(), MembershipError> {
        self.known()?;
        let user = &ask.user_id;
        let now = self.member(user)?;
        if now.is_some_and(|member| member.membership == StoredMembership::Join) {
            return Ok(());
        }
        let permit = self.permit::<kind::Join>(ask, &Deed::Join(self.room_id.clone()))?;
        let content = self.join_content(user, command, &permit)?;
        let draft = member_draft((user, user), content, ask.now);
        self.append_local(Authority::Join(permit), draft)?;
        Ok(())
    }

    fn join_content(
        &self,
        user: &UserId,
        command: &Join,
        permit: &vestibule_policy::Permit<kind::Join>,
    ) -> Result<ruma::CanonicalJsonObject, MembershipError> {
        let mut content = member_content("join", command.reason.as_deref());
        let suffix = crate::ask::name_suffix(permit.obligations());
        put_profile(&*self.tx, &mut content, user, suffix)?;
        if let Some(voucher) = self.voucher(user)? {
            put_text(&mut content, "join_authorised_via_users_server", voucher.as_str());
        }
        Ok(content)
    }

    /// In a restricted room, the member of ours whose power to invite lets the user in. `None` when
    /// the user needs nobody: the room is open, or they were invited.
    fn voucher(&self, user: &UserId) -> Result<Option<OwnedUserId>, MembershipError> {
        let version = self.known()?.version;
        let rules = self.state_event("m.room.join_rules", "")?;
        let Some(rules) = rules.and_then(|event| event.pdu.content_as::<JoinRules>().ok()) else {
            return Ok(None);
        };
        let known = &version.rules().authorization;
        let restricted = match rules.join_rule.as_str() {
            "restricted" => known.restricted_join_rule,
            "knock_restricted" => known.knock_restricted_join_rule,
            _ => false,
        };
        let invited = self.member(user)?.is_some_and(|m| m.membership == StoredMembership::Invite);
        if !restricted || invited {
            return Ok(None);
        }
        let allowed = rules.allow.iter().take(RESTRICTED_ROOMS_MAX);
        for rule in allowed.filter(|rule| rule.kind == "m.room_membership") {
            if let Some(room) = &rule.room_id
                && self.is_joined_elsewhere(user, room)?
            {
                return self
                    .inviter()
                    .and_then(|it| it.ok_or(MembershipError::NotAllowedIn).map(Some));
            }
        }
        Err(MembershipError::NotAllowedIn)
    }

    fn is_joined_elsewhere(&self, user: &UserId, room: &RoomId) -> Result<bool, StorageError> {
        let Some(no) = ROOM_NO_BY_ID.get(&*self.tx, (room,))? else { return Ok(false) };
        let member = ROOM_BY_MEMBER.get(&*self.tx, (user, no.0))?;
        Ok(member.is_some_and(|member| member.value.membership == StoredMembership::Join))
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

fn forbidden(error: vestibule_state_res::AuthError) -> AppendError {
    AppendError::Forbidden(error.reason)
}
