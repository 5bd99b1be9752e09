//! Membership written as plain state: every value of `membership` goes to the handler of its road.

use ruma::{CanonicalJsonObject, CanonicalJsonValue, UserId};
use vestibule_policy::kind;
use vestibule_storage::tables::room::StoredMembership;

use super::{Join, MembershipError, invite_written, member_draft};
use crate::{
    RoomTx,
    append::Authority,
    ask::{Ask, Deed, name_suffix},
};

impl RoomTx<'_, '_> {
    /// Handles an `m.room.member` event somebody wants to set.
    pub(crate) fn set_member(
        &mut self,
        ask: &Ask,
        state_key: &str,
        content: &CanonicalJsonObject,
    ) -> Result<(), MembershipError> {
        let target = <&UserId>::try_from(state_key)
            .map_err(|_| MembershipError::Invalid("the state key is not a user id"))?;
        let reason = text(content, "reason");
        let own = *target == *ask.user_id;
        let now = self.member(target)?.map(|member| member.membership);
        match (text(content, "membership"), own) {
            (Some("join"), true) if now == Some(StoredMembership::Join) => {
                self.rename(ask, content)
            }
            (Some("join"), true) => {
                let command = Join {
                    room_id: self.room_id.clone(),
                    reason: reason.map(ToOwned::to_owned),
                    via: Vec::new(),
                    proof: None,
                };
                self.join(ask, &command)
            }
            (Some("leave"), true) => {
                self.may_decline(ask)?;
                self.leave(ask, reason)
            }
            (Some("knock"), true) => self.knock(ask, reason),
            (Some("invite"), _) => self.invite(ask, target, invite_written(content)),
            (Some("ban"), _) => self.ban(ask, target, reason),
            (Some("leave"), false) if now == Some(StoredMembership::Ban) => {
                self.unban(ask, target, reason)
            }
            (Some("leave"), false) => self.kick(ask, target, reason),
            (Some("join" | "knock"), false) => {
                Err(MembershipError::WrongMembership("nobody can do this for somebody else"))
            }
            _ => Err(MembershipError::Invalid("`membership` is missing or unknown")),
        }
    }

    /// Another name or picture in this room, for somebody who stays joined.
    fn rename(&mut self, ask: &Ask, wanted: &CanonicalJsonObject) -> Result<(), MembershipError> {
        let user = &ask.user_id;
        let name = text(wanted, "displayname").map(ToOwned::to_owned);
        let permit = self.permit::<kind::SetProfile>(ask, &Deed::SetDisplayname(name.clone()))?;
        let mut content = wanted.clone();
        content.remove("join_authorised_via_users_server");
        if let Some(suffix) = name_suffix(permit.obligations()) {
            let name = name.unwrap_or_else(|| user.localpart().to_owned());
            let name = if name.ends_with(suffix) { name } else { format!("{name}{suffix}") };
            super::put_text(&mut content, "displayname", &name);
        }
        let draft = member_draft((user, user), content, ask.now);
        self.append_local(Authority::Profile(permit), draft)?;
        Ok(())
    }
}

fn text<'c>(content: &'c CanonicalJsonObject, key: &str) -> Option<&'c str> {
    match content.get(key) {
        Some(CanonicalJsonValue::String(text)) => Some(text),
        _ => None,
    }
}
