//! Leaving a room this server is not in: declining an invitation, taking back a knock.
//!
//! It always succeeds. A server in the room is told when one can be reached; when none can, the user is
//! out all the same as far as this server is concerned, and somebody is told later.

use std::sync::Arc;

use ruma::{OwnedServerName, RoomId};
use vestibule_events::{EventBuilder, Pdu, RoomVersion};
use vestibule_policy::{Object, kind};
use vestibule_storage::{StorageError, tables::room::StoredMembership};
use vestibule_types::Actor;

use super::tell_leave::UntoldLeave;
use crate::{
    AppendError, GuardNote, Handshake, Leave, MembershipError, OpenRoom, RoomTx, RoomView, Rooms,
    UnknownRoom, Wanted,
    append::membership_of,
    ask::{Ask, AskError, Deed, strips_reason},
    membership::member_content,
    outside::{Outside, OutsideRoom},
};

/// What a user is to a room this server is not in.
struct Standing {
    membership: StoredMembership,
    version: RoomVersion,
}

impl Rooms {
    pub(crate) async fn leave_elsewhere(
        &self,
        actor: &Actor,
        command: Leave,
    ) -> Result<GuardNote, MembershipError> {
        let ask = self.ask(actor, &Deed::Leave(command.room_id.clone())).await?;
        let rooms = self.clone();
        self.see_through(async move {
            let _turn = rooms.inner.turns.wait(&command.room_id).await;
            // Whoever had the turn before may have brought the room here.
            if rooms.is_here(&command.room_id).await? {
                return rooms.leave_here(ask, command).await;
            }
            rooms.take_leave(&ask, &command).await?;
            Ok(GuardNote::None)
        })
        .await
    }

    /// Takes somebody out of a room this server is not in. Being out already is fine.
    pub(crate) async fn take_leave(
        &self,
        ask: &Ask,
        command: &Leave,
    ) -> Result<(), MembershipError> {
        let standing = self.standing(&command.room_id, ask).await?;
        match standing.membership {
            StoredMembership::Leave => return Ok(()),
            StoredMembership::Ban => {
                return Err(MembershipError::WrongMembership("you are banned from this room"));
            }
            StoredMembership::Join | StoredMembership::Invite | StoredMembership::Knock => {}
        }
        let decision = self.decide_now(ask.clone(), Deed::Leave(command.room_id.clone())).await?;
        decision.allowed().map_err(AskError::Denied)?;
        let keeps = !strips_reason(decision.obligations());
        let reason = command.reason.as_deref().filter(|_| keeps);
        let mut left = None;
        let vias = self.vias(ask, &command.room_id, Vec::new()).await?;
        for server in &vias {
            match self.leave_through(server, ask, (&command.room_id, reason)).await {
                Ok(event) => {
                    left = Some(event);
                    break;
                }
                Err(error) => {
                    tracing::debug!(error = &error as &dyn std::error::Error, "left all the same");
                }
            }
        }
        let mut untold = None;
        let left = if let Some(left) = left {
            left
        } else {
            let left = self.leave_alone(ask, (&command.room_id, reason), standing.version)?;
            untold = Some(UntoldLeave {
                room_id: command.room_id.clone(),
                user_id: ask.user_id.clone(),
                event_id: left.event_id().clone(),
                reason: reason.map(ToOwned::to_owned),
                vias,
                at: self.inner.env.now_ms(),
            });
            left
        };
        let ask = ask.clone();
        let work = move |room: &mut RoomTx<'_, '_>| {
            room.left_outside(&ask, &left)?;
            untold.as_ref().map_or(Ok(()), |untold| Ok(room.leave_untold(untold)?))
        };
        self.in_room::<_, MembershipError, _>(&command.room_id, work).await?;
        Ok(())
    }

    async fn standing(&self, room_id: &RoomId, ask: &Ask) -> Result<Standing, MembershipError> {
        let (rooms, room_id, user) = (self.clone(), room_id.to_owned(), ask.user_id.clone());
        self.inner
            .store
            .read(move |snapshot| {
                if let Some(outside) = OutsideRoom::one(snapshot, &user, &room_id)? {
                    let version = outside.event.version();
                    return Ok(Standing { membership: outside.membership, version });
                }
                let room = OpenRoom::load(snapshot, &room_id)?.ok_or(UnknownRoom)?;
                let view = RoomView::new(&rooms, snapshot, &room);
                let member = view.state_event("m.room.member", user.as_str())?;
                let not_in = MembershipError::WrongMembership("you are not in this room");
                let membership = membership_of(&member.ok_or(not_in)?.pdu);
                Ok(Standing { membership, version: room.version })
            })
            .await
    }

    pub(super) async fn leave_through(
        &self,
        server: &OwnedServerName,
        ask: &Ask,
        (room_id, reason): (&RoomId, Option<&str>),
    ) -> Result<Arc<Pdu>, MembershipError> {
        let user_id = ask.user_id.clone();
        let handshake = Handshake { wanted: Wanted::Leave, room_id: room_id.to_owned(), user_id };
        let prepared = self.elsewhere().prepare(server, &handshake).await?;
        let content = member_content(Wanted::Leave.as_str(), reason);
        let whose = (room_id, &*ask.user_id, Wanted::Leave);
        let leave = self.sign_prepared(whose, prepared, content)?;
        self.elsewhere().hand_in(server, Wanted::Leave, &leave).await?;
        Ok(leave)
    }

    /// The leave that nobody could be told: it has no place in the room's graph.
    fn leave_alone(
        &self,
        ask: &Ask,
        (room_id, reason): (&RoomId, Option<&str>),
        version: RoomVersion,
    ) -> Result<Arc<Pdu>, MembershipError> {
        let builder = EventBuilder {
            room_id: Some(room_id.to_owned()),
            sender: ask.user_id.clone(),
            event_type: "m.room.member".to_owned(),
            state_key: Some(ask.user_id.to_string()),
            content: member_content(Wanted::Leave.as_str(), reason),
            origin_server_ts: self.inner.env.now(),
            prev_events: Vec::new(),
            auth_events: Vec::new(),
            depth: 1,
            redacts: None,
        };
        let inner = &self.inner;
        let pdu = builder.build_and_sign(version, &inner.signing_key, &inner.server_name);
        Ok(Arc::new(pdu.map_err(AppendError::from)?))
    }
}

impl RoomTx<'_, '_> {
    fn left_outside(&mut self, ask: &Ask, left: &Pdu) -> Result<(), MembershipError> {
        let user = &ask.user_id;
        let permit = self.permit::<kind::Leave>(ask, &Deed::Leave(self.room_id.clone()))?;
        self.spend_permit(ask, permit, &Object::room(&self.room_id))?;
        let row = self.outside(user)?.map(|row| row.value);
        let (stripped, via) = row.map(|row| (row.stripped, row.via)).unwrap_or_default();
        let membership = StoredMembership::Leave;
        let outside = Outside { membership, event: left, stripped: &stripped, via: &via };
        self.put_outside(user, &outside)?;
        Ok::<_, StorageError>(()).map_err(Into::into)
    }
}
