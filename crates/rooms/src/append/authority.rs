//! By what right an event is appended: a permit of the policy that fits the event.

use ruma::{CanonicalJsonValue, RoomId, UserId};
use vestibule_policy::{Object, Permit, PermitMismatch, kind};

use super::Draft;

/// The permits that let an event in. Each is spent on exactly one event, but for the creation of a
/// room, whose one permit covers the events the room begins with.
#[derive(Debug)]
pub(crate) enum Authority<'a> {
    /// One's own membership turns `join`, or stays it with another name.
    Join(Permit<kind::Join>),
    /// One's own membership turns `leave`.
    Leave(Permit<kind::Leave>),
    /// One's own membership turns `knock`.
    Knock(Permit<kind::Knock>),
    /// One's own membership turned `join` on another server, and turns `leave` in the same batch.
    Undone(Permit<kind::Leave>),
    /// Somebody is invited.
    Invite(Permit<kind::Invite>),
    /// Somebody is removed.
    Kick(Permit<kind::Kick>),
    /// Somebody is banned, or their ban is lifted.
    Ban(Permit<kind::Ban>),
    /// A message-like event.
    Send(Permit<kind::Send>),
    /// A state event other than a membership.
    SendState(Permit<kind::SendState>),
    /// A redaction.
    Redact(Permit<kind::Redact>),
    /// The profile of somebody who stays joined changed.
    Profile(Permit<kind::SetProfile>),
    /// What a new room begins with.
    Creation(&'a Permit<kind::CreateRoom>),
    /// The tombstone of a room that is replaced, and the power levels that close it.
    Upgrade(&'a Permit<kind::UpgradeRoom>),
}

impl Authority<'_> {
    /// Spends the permit on an event. It must be of the stored epoch, of the sender, and for what
    /// the event does.
    pub(super) fn spend(
        self,
        draft: &Draft,
        room: &RoomId,
        epoch: u64,
    ) -> Result<(), PermitMismatch> {
        let sender = &*draft.sender;
        let own = || own_membership(draft);
        let here = Object::room(room);
        let of_member = || target(draft).map(|user| Object::member(room, user));
        match self {
            Self::Join(permit) if own() == Some("join") => {
                permit.verify(sender, &here, epoch)?;
            }
            Self::Leave(permit) if own() == Some("leave") => {
                permit.verify(sender, &here, epoch)?;
            }
            Self::Undone(permit) if own() == Some("join") => {
                permit.verify(sender, &here, epoch)?;
            }
            Self::Knock(permit) if own() == Some("knock") => {
                permit.verify(sender, &here, epoch)?;
            }
            Self::Profile(permit) if own() == Some("join") => {
                permit.verify(sender, &here, epoch)?;
            }
            Self::Invite(permit) if membership(draft) == Some("invite") => {
                permit.verify(sender, &of_member().ok_or(PermitMismatch::Object)?, epoch)?;
            }
            Self::Kick(permit) if membership(draft) == Some("leave") => {
                permit.verify(sender, &of_member().ok_or(PermitMismatch::Object)?, epoch)?;
            }
            Self::Ban(permit) if matches!(membership(draft), Some("ban" | "leave")) => {
                permit.verify(sender, &of_member().ok_or(PermitMismatch::Object)?, epoch)?;
            }
            Self::Send(permit) if draft.state_key.is_none() => {
                permit.verify(sender, &Object::event(room, &draft.event_type), epoch)?;
            }
            Self::SendState(permit)
                if draft.state_key.is_some() && draft.event_type != "m.room.member" =>
            {
                permit.verify(sender, &Object::event(room, &draft.event_type), epoch)?;
            }
            Self::Redact(permit) if draft.event_type == "m.room.redaction" => {
                permit.verify(sender, &here, epoch)?;
            }
            Self::Creation(permit) => begins(permit, draft, epoch)?,
            Self::Upgrade(permit) => replaces(permit, draft, &here, epoch)?,
            _ => return Err(PermitMismatch::Object),
        }
        Ok(())
    }
}

/// A creation permit covers state of its subject, but nobody else's membership.
fn begins(
    permit: &Permit<kind::CreateRoom>,
    draft: &Draft,
    epoch: u64,
) -> Result<(), PermitMismatch> {
    if permit.epoch() != epoch {
        return Err(PermitMismatch::Stale);
    }
    if permit.subject() != draft.sender {
        return Err(PermitMismatch::Subject);
    }
    let others = draft.event_type == "m.room.member" && own_membership(draft) != Some("join");
    if draft.state_key.is_none() || others { Err(PermitMismatch::Object) } else { Ok(()) }
}

fn replaces(
    permit: &Permit<kind::UpgradeRoom>,
    draft: &Draft,
    here: &Object,
    epoch: u64,
) -> Result<(), PermitMismatch> {
    if permit.epoch() != epoch {
        return Err(PermitMismatch::Stale);
    }
    if permit.subject() != draft.sender {
        return Err(PermitMismatch::Subject);
    }
    let closes = matches!(draft.event_type.as_str(), "m.room.tombstone" | "m.room.power_levels");
    if permit.object() == here && closes { Ok(()) } else { Err(PermitMismatch::Object) }
}

fn membership(draft: &Draft) -> Option<&str> {
    if draft.event_type != "m.room.member" {
        return None;
    }
    match draft.content.get("membership") {
        Some(CanonicalJsonValue::String(membership)) => Some(membership),
        _ => None,
    }
}

fn own_membership(draft: &Draft) -> Option<&str> {
    let own = draft.state_key.as_deref() == Some(draft.sender.as_str());
    if own { membership(draft) } else { None }
}

fn target(draft: &Draft) -> Option<&UserId> {
    <&UserId>::try_from(draft.state_key.as_deref()?).ok()
}
