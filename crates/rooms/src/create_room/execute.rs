//! Turning a plan into a room.

use std::sync::Arc;

use ruma::{
    CanonicalJsonObject, MilliSecondsSinceUnixEpoch, OwnedRoomAliasId, OwnedRoomId, OwnedUserId,
    RoomAliasId, RoomId, UserId, uint,
};
use vestibule_events::{EventBuilder, Pdu, RoomVersion};
use vestibule_policy::{Permit, kind};
use vestibule_storage::tables::{
    notice::{NOTICE_ROOM, StoredNoticeRoom},
    room::{ROOM_BY_NO, ROOM_NO_BY_ID},
};
use vestibule_types::{
    Actor, RoomNo,
    limits::{CREATE_INITIAL_STATE_MAX, CREATE_INVITES_MAX, IDENTIFIER_BYTES_MAX},
};

use super::{
    CreateRoom, CreateRoomError, CreatedRoom,
    plan::{Plan, Step, plan},
};
use crate::{
    Address, IdentityAccess, InviteByAddress, MembershipError, RoomTx, Rooms,
    append::{Authority, Draft},
    ask::{Ask, AskError, Deed},
    membership::{Abroad, blocks_invites, invite_content, member_content_with_profile},
};

impl Rooms {
    /// Makes a room.
    pub async fn create_room(
        &self,
        actor: &Actor,
        command: CreateRoom,
    ) -> Result<CreatedRoom, CreateRoomError> {
        self.create_room_for(actor, command, None).await
    }

    /// Makes a room, if wanted as the one in which the server speaks to a user.
    pub(crate) async fn create_room_for(
        &self,
        actor: &Actor,
        command: CreateRoom,
        notices_for: Option<OwnedUserId>,
    ) -> Result<CreatedRoom, CreateRoomError> {
        if command.invite.len() + command.invite_addresses.len() > CREATE_INVITES_MAX {
            return Err(CreateRoomError::TooMany("invitees"));
        }
        for (_, identity) in &command.invite_addresses {
            self.trusts_identity_server(&identity.server).map_err(MembershipError::Identity)?;
        }
        if command.initial_state.len() > CREATE_INITIAL_STATE_MAX {
            return Err(CreateRoomError::TooMany("state events"));
        }
        let version = match &command.room_version {
            Some(version) => version.parse::<RoomVersion>()?,
            None => self.inner.config.default_version,
        };
        let alias = self.alias_of(&command)?;
        let laid_out = plan(actor.user_id(), &command, version, alias.as_ref())?;
        let mut ask = self.ask(actor, &Deed::CreateRoom(command.kind())).await?;
        loop {
            let (found, create) = self.find_room_id(ask, version, &laid_out).await?;
            ask = found;
            let room_id = create.room_id().to_owned();
            let birth = Arc::new(Birth {
                ask: ask.clone(),
                create,
                plan: laid_out.clone(),
                alias: alias.clone(),
                command: command.clone(),
                no: self.new_room_no(),
                notices_for: notices_for.clone(),
            });
            let bearing = Arc::clone(&birth);
            match self.in_room(&room_id, move |room| room.be_born(&bearing)).await {
                // Somebody took the identifier since it was looked for: it is looked for again.
                Err(CreateRoomError::SameMoment) => {}
                born => {
                    if let Err(CreateRoomError::Ask(AskError::Denied(_))) = &born {
                        self.note_refused_birth(&birth, &room_id).await?;
                    }
                    born?;
                    self.invite_from_elsewhere(&ask, &room_id, (&laid_out, command.is_direct))
                        .await;
                    self.invite_addresses(actor, &room_id, command.invite_addresses).await;
                    return Ok(CreatedRoom { room_id, version });
                }
            }
        }
    }

    /// Writes into the audit ring which of the decisions refused a room. They are made again here: the ring is
    /// no part of the batch, which left nothing behind.
    async fn note_refused_birth(
        &self,
        birth: &Birth,
        room_id: &RoomId,
    ) -> Result<(), CreateRoomError> {
        for deed in birth.deeds(room_id) {
            let decision = self.decide_now(birth.ask.clone(), deed).await?;
            if decision.denial().is_some() {
                let ledger = &self.inner.ledger;
                ledger.refuse(&decision, 0, birth.ask.address).await.map_err(AskError::Denied)?;
                break;
            }
        }
        Ok(())
    }

    /// Invites those of other servers: their servers have to sign. The room is there already, so one
    /// whose server cannot be reached is left out, and can be invited again.
    async fn invite_from_elsewhere(
        &self,
        ask: &Ask,
        room_id: &RoomId,
        (plan, is_direct): (&Plan, bool),
    ) {
        for target in plan.invites.iter().filter(|user| self.is_elsewhere(user)) {
            let (room_id, target) = (room_id.to_owned(), target.clone());
            let content = invite_content(None, is_direct);
            let abroad = Abroad { room_id, target, content, by_address: None };
            if let Err(error) = self.invite_elsewhere(ask.clone(), abroad).await {
                tracing::info!(error = &error as &dyn std::error::Error, "nobody was invited");
            }
        }
    }

    /// Invites owners of addresses, as far as identity servers help: the room is there already.
    async fn invite_addresses(
        &self,
        actor: &Actor,
        room_id: &RoomId,
        addresses: Vec<(Address, IdentityAccess)>,
    ) {
        for (address, identity) in addresses {
            let invite = InviteByAddress { room_id: room_id.to_owned(), address, identity };
            if let Err(error) = self.invite_by_address(actor, invite).await {
                tracing::info!(error = &error as &dyn std::error::Error, "nobody was invited");
            }
        }
    }

    pub(crate) fn is_elsewhere(&self, user: &UserId) -> bool {
        user.server_name() != self.inner.server_name
    }

    fn alias_of(&self, command: &CreateRoom) -> Result<Option<OwnedRoomAliasId>, CreateRoomError> {
        let Some(localpart) = &command.alias_localpart else { return Ok(None) };
        if localpart.is_empty() || localpart.contains([':', '#', '\0']) {
            return Err(CreateRoomError::BadAlias);
        }
        RoomAliasId::parse(format!("#{localpart}:{}", self.inner.server_name))
            .ok()
            .filter(|alias| alias.as_bytes().len() <= IDENTIFIER_BYTES_MAX)
            .map(Some)
            .ok_or(CreateRoomError::BadAlias)
    }

    pub(crate) fn new_room_no(&self) -> RoomNo {
        RoomNo(u64::from_be_bytes(self.inner.env.random_bytes()) >> 1)
    }

    /// Builds the create event. Its identifier may name the room, so a moment at which the same
    /// room was made already is passed over.
    async fn find_room_id(
        &self,
        mut ask: Ask,
        version: RoomVersion,
        plan: &Plan,
    ) -> Result<(Ask, Pdu), CreateRoomError> {
        loop {
            let create = self.build_create(&ask.user_id, ask.now, version, plan.create.clone())?;
            let room_id = create.room_id().to_owned();
            let taken = self
                .inner
                .store
                .read(move |snapshot| ROOM_NO_BY_ID.get(snapshot, (&room_id,)))
                .await?;
            if taken.is_none() {
                return Ok((ask, create));
            }
            ask.now = MilliSecondsSinceUnixEpoch(ask.now.get().saturating_add(uint!(1)));
        }
    }

    /// Builds and signs a create event.
    pub(crate) fn build_create(
        &self,
        creator: &UserId,
        at: MilliSecondsSinceUnixEpoch,
        version: RoomVersion,
        content: CanonicalJsonObject,
    ) -> Result<Pdu, CreateRoomError> {
        let room_id =
            if version.room_id_is_create_event() { None } else { Some(self.random_room_id()?) };
        self.build_create_of(room_id, (creator, at), version, content)
    }

    /// The same for a room whose identifier is known, if it is not made from the event.
    pub(crate) fn build_create_of(
        &self,
        room_id: Option<OwnedRoomId>,
        (creator, at): (&UserId, MilliSecondsSinceUnixEpoch),
        version: RoomVersion,
        content: CanonicalJsonObject,
    ) -> Result<Pdu, CreateRoomError> {
        let builder = EventBuilder {
            room_id,
            sender: creator.to_owned(),
            event_type: "m.room.create".to_owned(),
            state_key: Some(String::new()),
            content,
            origin_server_ts: at,
            prev_events: Vec::new(),
            auth_events: Vec::new(),
            depth: 1,
            redacts: None,
        };
        Ok(builder.build_and_sign(version, &self.inner.signing_key, &self.inner.server_name)?)
    }

    fn random_room_id(&self) -> Result<OwnedRoomId, CreateRoomError> {
        let localpart = self.inner.env.random_text(LETTERS, 18);
        RoomId::parse(format!("!{localpart}:{}", self.inner.server_name))
            .map_err(|error| CreateRoomError::BadCreation(error.to_string()))
    }
}

const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Everything a room is born from; the closure that uses it may run twice.
struct Birth {
    ask: Ask,
    create: Pdu,
    plan: Plan,
    alias: Option<OwnedRoomAliasId>,
    command: CreateRoom,
    no: RoomNo,
    notices_for: Option<OwnedUserId>,
}

impl Birth {
    /// What is decided before there is a room, in order.
    fn deeds(&self, room_id: &RoomId) -> Vec<Deed> {
        let room_id = || room_id.to_owned();
        let mut deeds = vec![Deed::CreateRoom(self.command.kind())];
        deeds.extend(self.command.kind_beside().map(Deed::CreateRoom));
        deeds.extend(self.alias.clone().map(|alias| Deed::CreateAlias(alias, room_id())));
        deeds.extend(self.command.published.then(|| Deed::Publish(room_id())));
        let invitees = self.plan.invites.iter();
        deeds.extend(invitees.map(|user| Deed::Invite(room_id(), user.clone())));
        deeds
    }
}

impl RoomTx<'_, '_> {
    fn be_born(&mut self, birth: &Birth) -> Result<(), CreateRoomError> {
        let Birth { ask, create, plan, alias, command, no, notices_for } = birth;
        if self.room.is_some() || ROOM_BY_NO.get(&*self.tx, (*no,))?.is_some() {
            return Err(CreateRoomError::SameMoment);
        }
        // Every decision first: one refusal, and there is no room.
        let permit = self.permit::<kind::CreateRoom>(ask, &Deed::CreateRoom(command.kind()))?;
        if let Some(beside) = command.kind_beside() {
            self.decide(ask, &Deed::CreateRoom(beside))?.allowed().map_err(AskError::from)?;
        }
        let alias_permit = match alias {
            Some(alias) => {
                let deed = Deed::CreateAlias(alias.clone(), self.room_id.clone());
                Some((alias, self.permit::<kind::CreateAlias>(ask, &deed)?))
            }
            None => None,
        };
        let publish = if command.published {
            Some(self.permit::<kind::Publish>(ask, &Deed::Publish(self.room_id.clone()))?)
        } else {
            None
        };
        let mut invites: Vec<(OwnedUserId, Permit<kind::Invite>)> = Vec::new();
        for invitee in &plan.invites {
            let deed = Deed::Invite(self.room_id.clone(), invitee.clone());
            let permit = self.permit(ask, &deed)?;
            if self.rooms.is_elsewhere(invitee) {
                continue;
            }
            if blocks_invites(&*self.tx, invitee)? {
                return Err(MembershipError::InviteBlocked.into());
            }
            invites.push((invitee.clone(), permit));
        }

        self.begin(*no, create.version(), ask.now.get().into())?;
        self.append_create(Authority::Creation(&permit), create.clone())?;
        self.begin_state(ask, &permit, plan)?;
        if let Some(user) = notices_for {
            let room_id = self.room_id.clone();
            NOTICE_ROOM.put(self.tx, (user,), &StoredNoticeRoom { room_id })?;
        }
        if let Some((alias, alias_permit)) = alias_permit {
            self.put_alias(ask, alias_permit, alias)?;
        }
        if let Some(publish) = publish {
            self.publish(ask, publish)?;
        }
        for (invitee, permit) in invites {
            self.append_invite(ask, permit, (&invitee, invite_content(None, command.is_direct)))?;
        }
        Ok(())
    }

    /// The creator's join and the state the room begins with.
    fn begin_state(
        &mut self,
        ask: &Ask,
        permit: &Permit<kind::CreateRoom>,
        plan: &Plan,
    ) -> Result<(), CreateRoomError> {
        let suffix = crate::ask::name_suffix(permit.obligations());
        let creator = &ask.user_id;
        let content = member_content_with_profile(&*self.tx, "join", creator, suffix)?;
        let join = Draft::state(creator, "m.room.member", creator.as_str(), content, ask.now);
        self.append_local(Authority::Creation(permit), join)?;
        for step in std::iter::once(&plan.power_levels).chain(&plan.rest) {
            let Step { event_type, state_key, content } = step.clone();
            let draft = Draft::state(creator, &event_type, &state_key, content, ask.now);
            self.append_local(Authority::Creation(permit), draft)?;
        }
        Ok(())
    }
}
