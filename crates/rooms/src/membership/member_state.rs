//! Membership written as plain state: every value of `membership` goes to the handler of its road.

use ruma::{CanonicalJsonObject, CanonicalJsonValue, UserId};
use vestibule_accounts::facts::member_profile;
use vestibule_policy::{kind, shown_name};
use vestibule_storage::tables::room::StoredMembership;
use vestibule_types::limits::DISPLAYNAME_BYTES_MAX;

use super::{
    Join, MembershipError, invite_written, member_content, member_draft, own_reason, put_text,
};
use crate::{
    RoomTx,
    append::Authority,
    ask::{Ask, Deed, bare_membership, name_suffix},
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
        let name = text(wanted, "displayname");
        let deed = Deed::Rename(self.room_id.clone(), name.map(ToOwned::to_owned));
        let permit = self.permit::<kind::SetProfile>(ask, &deed)?;
        let obligations = permit.obligations();
        let mut content = match bare_membership(obligations) {
            Some(avatar) => {
                let reason = own_reason(text(wanted, "reason"), obligations)?;
                let mut content = member_content("join", reason);
                self.put_chosen(user, &mut content, (wanted, avatar))?;
                content
            }
            None => wanted.clone(),
        };
        content.remove("join_authorised_via_users_server");
        if let Some(suffix) = name_suffix(obligations) {
            put_text(&mut content, "displayname", &shown_name(name, user.localpart(), suffix));
        }
        let draft = member_draft((user, user), content, ask.now);
        self.append_local(Authority::Profile(permit), draft)?;
        Ok(())
    }

    /// What somebody who is trusted little chooses for their membership: a name, and an avatar if they
    /// may; otherwise the one of their profile stays.
    fn put_chosen(
        &self,
        user: &UserId,
        content: &mut CanonicalJsonObject,
        (wanted, avatar): (&CanonicalJsonObject, bool),
    ) -> Result<(), MembershipError> {
        if let Some(name) = bounded(wanted, "displayname")? {
            put_text(content, "displayname", name);
        }
        if avatar {
            if let Some(url) = bounded(wanted, "avatar_url")? {
                put_text(content, "avatar_url", url);
            }
        } else if let Some(url) = member_profile(&*self.tx, user)?.avatar_url {
            put_text(content, "avatar_url", &url);
        }
        Ok(())
    }
}

/// A text that is no longer than in a profile.
fn bounded<'c>(
    content: &'c CanonicalJsonObject,
    key: &str,
) -> Result<Option<&'c str>, MembershipError> {
    let found = text(content, key);
    if found.is_some_and(|text| text.len() > DISPLAYNAME_BYTES_MAX) {
        return Err(MembershipError::Invalid("the name or the avatar is too long"));
    }
    Ok(found)
}

fn text<'c>(content: &'c CanonicalJsonObject, key: &str) -> Option<&'c str> {
    match content.get(key) {
        Some(CanonicalJsonValue::String(text)) => Some(text),
        _ => None,
    }
}
