//! Setting state.

use ruma::{
    CanonicalJsonObject, CanonicalJsonValue, OwnedEventId, OwnedRoomId, OwnedUserId, RoomAliasId,
    RoomId,
};
use vestibule_policy::kind;
use vestibule_storage::tables::{
    directory::ALIAS_BY_NAME,
    room::{StoredMember, StoredMembership},
};
use vestibule_types::Actor;

use super::{SendError, named_aliases};
use crate::{
    RoomTx, Rooms,
    append::{Authority, Draft},
    ask::{Ask, Deed},
    membership::{Abroad, GuardNote, invite_written},
};

/// Set a key of a room's state.
#[derive(Clone, Debug)]
pub struct SendState {
    /// The room.
    pub room_id: OwnedRoomId,
    /// The event type.
    pub event_type: String,
    /// The state key.
    pub state_key: String,
    /// The content.
    pub content: CanonicalJsonObject,
    /// When it is said to have been sent, for application services.
    pub timestamp: Option<ruma::MilliSecondsSinceUnixEpoch>,
}

impl Rooms {
    /// Sets state. Setting what is already set makes no new event. A membership goes to the handler
    /// of its road: a guest that writes its own `join` meets the same rules as one that joins.
    pub async fn send_state(
        &self,
        actor: &Actor,
        command: SendState,
    ) -> Result<OwnedEventId, SendError> {
        self.send_state_noted(actor, command).await.map(|(event_id, _)| event_id)
    }

    /// The same, and says whether nobody is left now who can change the room's power levels.
    pub async fn send_state_noted(
        &self,
        actor: &Actor,
        command: SendState,
    ) -> Result<(OwnedEventId, GuardNote), SendError> {
        let mut deed = deed_of(actor, &command);
        if matches!(deed, Deed::Join(_)) && self.is_in(actor, &command.room_id).await? {
            let name = text(&command, "displayname").map(ToOwned::to_owned);
            deed = Deed::Rename(command.room_id.clone(), name);
        }
        let ask = self.ask(actor, &deed).await?;
        if let Deed::Invite(room_id, target) = &deed
            && self.is_elsewhere(target)
        {
            let event_id = self.set_invite(ask, (room_id, target), &command).await?;
            return Ok((event_id, GuardNote::None));
        }
        let (room_id, follower) = (command.room_id.clone(), ask.clone());
        let sent = self.in_room_recommended(&room_id, move |room| {
            room.check_content(&command)?;
            let note = room.guard_demotion(&ask, &command)?;
            let comes = matches!(deed, Deed::Join(_)) && !room.is_joined(&ask.user_id)?;
            let event_id = room.set_state(&ask, &deed, &command)?;
            Ok::<_, SendError>((event_id, note, comes))
        });
        let ((event_id, note, came), _) = sent.await?;
        if came {
            self.follow_upgrade(&follower, &room_id).await?;
        }
        Self::note_unmanaged(note);
        self.acted(actor).await;
        Ok((event_id, note))
    }
}

impl Rooms {
    /// Whether somebody is in a room already, whose membership stays what it is.
    async fn is_in(&self, actor: &Actor, room_id: &RoomId) -> Result<bool, SendError> {
        let user = actor.user_id().to_owned();
        let member = self.with_view(room_id, move |view| {
            let member = view.local_member(&user)?;
            let joined = |it: &StoredMember| it.membership == StoredMembership::Join;
            Ok::<_, SendError>(member.is_some_and(|member| joined(&member.value)))
        });
        Ok(member.await?.unwrap_or_default())
    }

    /// An invitation of somebody of another server, written as state.
    async fn set_invite(
        &self,
        ask: Ask,
        (room_id, target): (&OwnedRoomId, &OwnedUserId),
        command: &SendState,
    ) -> Result<OwnedEventId, SendError> {
        let content = invite_written(&command.content);
        let (room_id, target) = (room_id.clone(), target.clone());
        let (room, who) = (room_id.clone(), target.clone());
        let abroad = Abroad { room_id: room, target: who, content, by_address: None };
        self.invite_elsewhere(ask, abroad).await?;
        let member = self.with_view(&room_id, move |view| {
            Ok::<_, SendError>(view.state_event("m.room.member", target.as_str())?)
        });
        let member = member.await?.flatten();
        member.map(|it| it.pdu.event_id().to_owned()).ok_or(SendError::UnknownEvent)
    }
}

/// What the rates are charged for: the road a membership takes, or state.
fn deed_of(actor: &Actor, command: &SendState) -> Deed {
    let room = command.room_id.clone();
    if command.event_type == "m.room.join_rules" && text(command, "join_rule") == Some("public") {
        return Deed::MakePublic(room);
    }
    if command.event_type != "m.room.member" {
        return Deed::SendState(room, command.event_type.clone());
    }
    let own = command.state_key == actor.user_id().as_str();
    let target = OwnedUserId::try_from(command.state_key.as_str());
    match (text(command, "membership").unwrap_or_default(), own, target) {
        ("join", true, _) => Deed::Join(room),
        ("knock", true, _) => Deed::Knock(room),
        ("leave", true, _) => Deed::Leave(room),
        ("invite", false, Ok(target)) => Deed::Invite(room, target),
        ("ban", _, Ok(target)) => Deed::Ban(room, target),
        (_, _, Ok(target)) if !own => Deed::Kick(room, target),
        _ => Deed::SendState(room, command.event_type.clone()),
    }
}

fn text<'c>(command: &'c SendState, key: &str) -> Option<&'c str> {
    match command.content.get(key) {
        Some(CanonicalJsonValue::String(text)) => Some(text),
        _ => None,
    }
}

impl RoomTx<'_, '_> {
    /// Asks before somebody gives their own power away.
    fn guard_demotion(&self, ask: &Ask, command: &SendState) -> Result<GuardNote, SendError> {
        if command.event_type != "m.room.power_levels" {
            return Ok(GuardNote::None);
        }
        self.known()?;
        Ok(self.guard_last_admin(ask, Some(&command.content))?)
    }

    fn set_state(
        &mut self,
        ask: &Ask,
        deed: &Deed,
        command: &SendState,
    ) -> Result<OwnedEventId, SendError> {
        self.known()?;
        let (event_type, state_key) = (command.event_type.as_str(), command.state_key.as_str());
        if event_type == "m.room.member" {
            self.set_member(ask, state_key, &command.content)?;
            let member = self.state_event(event_type, state_key)?;
            return member.map(|it| it.pdu.event_id().to_owned()).ok_or(SendError::UnknownEvent);
        }
        let permit = self.permit::<kind::SendState>(ask, deed)?;
        if let Some(known) = self.unchanged(ask, command)? {
            return Ok(known);
        }
        if event_type == "m.room.canonical_alias" {
            self.check_aliases(command)?;
        }
        let at = command.timestamp.unwrap_or(ask.now);
        let content = command.content.clone();
        let draft = Draft::state(&ask.user_id, event_type, state_key, content, at);
        let appended = self.append_local(Authority::SendState(permit), draft)?;
        Ok(appended.pdu.event_id().to_owned())
    }

    /// The event that already says the same, sent by the same user. What was redacted says nothing any
    /// more.
    fn unchanged(&self, ask: &Ask, command: &SendState) -> Result<Option<OwnedEventId>, SendError> {
        let Some(known) = self.state_event(&command.event_type, &command.state_key)? else {
            return Ok(None);
        };
        let same =
            known.pdu.content_as::<CanonicalJsonObject>().is_ok_and(|it| it == command.content);
        let own = known.pdu.sender() == ask.user_id;
        let redacted = self.view()?.redaction_of(known.pdu.event_id())?.is_some();
        Ok((same && own && !redacted).then(|| known.pdu.event_id().to_owned()))
    }

    /// New aliases in `m.room.canonical_alias` must lead here; those it had may stay.
    fn check_aliases(&self, command: &SendState) -> Result<(), SendError> {
        let before = self
            .view()?
            .shown_state::<CanonicalJsonObject>("m.room.canonical_alias", "")?
            .map(|content| named_aliases(&content))
            .transpose()
            .unwrap_or_default()
            .unwrap_or_default();
        for alias in named_aliases(&command.content)? {
            if before.contains(&alias) {
                continue;
            }
            let name = <&RoomAliasId>::try_from(alias.as_str())
                .map_err(|_| SendError::BadContent("not a room alias"))?;
            let row = ALIAS_BY_NAME.get(&*self.tx, (name,))?;
            if row.is_none_or(|row| row.room_id != self.room_id) {
                return Err(SendError::BadAlias(alias));
            }
        }
        Ok(())
    }
}
