//! Joining a room this server is not in.
//!
//! The policy decides before anything leaves this server, again when a server in the room has laid the
//! join out, and a third time on the state that came back (in the batch that brings the room here).

use std::sync::Arc;

use ruma::{OwnedRoomId, OwnedServerName, RoomId};
use vestibule_policy::{Decision, Denial, kind};
use vestibule_storage::StorageError;
use vestibule_types::Actor;

use super::is_worth_another;
use crate::{
    Answer, ElsewhereError, Handshake, Join, MembershipError, Prepared, Rooms, UnknownRoom, Wanted,
    ask::{Afar, Ask, AskError, Deed, subject},
    import::{Arrival, ImportError, Imported},
};

impl Rooms {
    pub(crate) async fn join_elsewhere(
        &self,
        actor: &Actor,
        command: Join,
    ) -> Result<OwnedRoomId, MembershipError> {
        let (rooms, actor) = (self.clone(), actor.clone());
        self.see_through(async move {
            let _turn = rooms.inner.turns.wait(&command.room_id).await;
            if rooms.is_here(&command.room_id).await? {
                return rooms.join_here(&actor, command).await;
            }
            rooms.hand_in_join(&actor, command).await
        })
        .await
    }

    async fn hand_in_join(
        &self,
        actor: &Actor,
        command: Join,
    ) -> Result<OwnedRoomId, MembershipError> {
        let deed = Deed::Join(command.room_id.clone());
        let assumed = Afar { guest_can_join: Some(true), ..Afar::default() };
        let mut ask = self.ask_afar(actor, &deed, assumed).await?;
        let vias = self.vias(&ask, &command.room_id, command.via.clone()).await?;
        if self.needs_guest_access(&ask).await? {
            ask.afar.guest_can_join = self.told_guest_access(&command.room_id, &vias).await;
        }
        let mut last = MembershipError::UnknownRoom(UnknownRoom);
        for server in vias {
            match self.join_through(&server, &ask, &command).await {
                Ok(()) => {
                    self.follow_upgrade(&ask, &command.room_id).await?;
                    return Ok(command.room_id);
                }
                Err(error) if is_worth_another(&error) => last = error,
                Err(error) => return Err(error),
            }
        }
        Err(last)
    }

    /// Whether a room admits guests, as the first server says that says anything.
    async fn told_guest_access(&self, room_id: &RoomId, vias: &[OwnedServerName]) -> Option<bool> {
        for server in vias {
            if let Ok(Some(told)) = self.elsewhere().guest_can_join(server, room_id).await {
                return Some(told);
            }
        }
        None
    }

    /// Whether the policy has to know of a room whether it admits guests, for this account.
    async fn needs_guest_access(&self, ask: &Ask) -> Result<bool, StorageError> {
        let user = ask.user_id.clone();
        self.inner.store.read(move |snapshot| Ok(subject(snapshot, &user)?.is_spec_guest)).await
    }

    async fn join_through(
        &self,
        server: &OwnedServerName,
        ask: &Ask,
        command: &Join,
    ) -> Result<(), MembershipError> {
        let elsewhere = self.elsewhere();
        self.decided(ask, &Deed::Join(command.room_id.clone())).await?;
        let handshake = Handshake {
            wanted: Wanted::Join,
            room_id: command.room_id.clone(),
            user_id: ask.user_id.clone(),
        };
        let prepared = elsewhere.prepare(server, &handshake).await?;
        let join = self.decided_join(ask, command, prepared).await?;

        // Who may not be here is not let into rooms elsewhere either.
        self.inner.store.could_arrive().await?;
        self.look_after_join(&join, server).await?;
        let _space = self.inner.turns.import().await;
        let Answer::Joined(answer) = elsewhere.hand_in(server, Wanted::Join, &join).await? else {
            return Err(ElsewhereError::BadAnswer("no room came back".to_owned()).into());
        };
        let mut arriving = ask.clone();
        arriving.afar.arriving = true;
        match self.import(arriving, Arrival { join, answer }).await? {
            Imported::Joined => Ok(()),
            Imported::Left(decision) => {
                let ledger = &self.inner.ledger;
                ledger.refuse(&decision, 0, ask.address).await.map_err(AskError::Denied)?;
                let denial = decision.denial();
                Err(denial
                    .map_or_else(|| UnknownRoom.into(), |it: Denial| AskError::Denied(it).into()))
            }
            Imported::AlreadyHere => {
                let (ask, command) = (ask.clone(), command.clone());
                let room_id = command.room_id.clone();
                self.in_room_recommended(&room_id, move |room| room.join(&ask, &command)).await?;
                Ok(())
            }
        }
    }

    /// Decides, and notes a refusal for the operator.
    async fn decided(&self, ask: &Ask, deed: &Deed) -> Result<Decision, MembershipError> {
        let decision = self.decide_now(ask.clone(), deed.clone()).await?;
        if let Some(denial) = decision.denial() {
            let ledger = &self.inner.ledger;
            ledger.refuse(&decision, 0, ask.address).await.map_err(AskError::Denied)?;
            return Err(AskError::Denied(denial).into());
        }
        Ok(decision)
    }

    /// Decides once more, and builds the join as the decision obliges to.
    async fn decided_join(
        &self,
        ask: &Ask,
        command: &Join,
        prepared: Prepared,
    ) -> Result<Arc<vestibule_events::Pdu>, MembershipError> {
        let decision = self.decided(ask, &Deed::Join(command.room_id.clone())).await?;
        let permit = decision.permit::<kind::Join>().map_err(AskError::Denied)?;
        let (wanted, reason) = (Wanted::Join, command.reason.as_deref());
        let content = self.content_abroad(ask, (wanted, reason), permit.obligations()).await?;
        let whose = (&*command.room_id, &*ask.user_id, Wanted::Join);
        self.sign_prepared(whose, prepared, content)
    }
}

impl From<ImportError> for MembershipError {
    fn from(error: ImportError) -> Self {
        match error {
            ImportError::BadAnswer(reason) => ElsewhereError::BadAnswer(reason).into(),
            ImportError::Membership(error) => error,
            ImportError::Storage(cause) => cause.into(),
        }
    }
}
