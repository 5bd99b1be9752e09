//! Doing it: successor, tombstone and aliases, in one batch.

use ruma::{
    CanonicalJsonObject, CanonicalJsonValue, EventId, OwnedRoomAliasId, OwnedRoomId, RoomId,
};
use vestibule_events::Pdu;
use vestibule_policy::{Object, Permit, RoomKind, kind};
use vestibule_storage::{
    StorageError,
    tables::directory::{
        ALIAS_BY_NAME, ALIAS_BY_ROOM, PUBLICATION_BY_ROOM, SCOPE_GUARD, StoredAliasOrigin,
    },
};
use vestibule_types::RoomNo;

use super::{Inheritance, UpgradeRoomError, copy::tombstone, levels::Levels};
use crate::{
    AppendError, Appended, CreateRoomError, RoomTx, Rooms,
    append::{Authority, Draft},
    ask::{Ask, Deed, name_suffix},
    membership::{MembershipError, member_content_with_profile},
};

/// Everything an upgrade is made from; the closure that uses it may run twice.
pub(super) struct Succession {
    pub(super) ask: Ask,
    pub(super) upgrade: Deed,
    pub(super) kind: RoomKind,
    pub(super) inherited: Inheritance,
    /// The successor's beginning, but for the tombstone it names where its version has it name one.
    pub(super) create: Pdu,
    pub(super) no: RoomNo,
}

impl Succession {
    fn levels(&self) -> Levels {
        let create = self.create.content_as::<CanonicalJsonObject>().unwrap_or_default();
        self.inherited.levels(&self.ask.user_id, &create, self.create.version())
    }

    /// The successor's beginning, now that the old room is closed by this event. Where the room's id is made
    /// from it, it cannot name what names the room.
    fn beginning(&self, rooms: &Rooms, tombstone: &EventId) -> Result<Pdu, CreateRoomError> {
        let version = self.create.version();
        if version.room_id_is_create_event() {
            return Ok(self.create.clone());
        }
        let mut content = self
            .create
            .content_as::<CanonicalJsonObject>()
            .map_err(|error| CreateRoomError::BadCreation(error.to_string()))?;
        if let Some(CanonicalJsonValue::Object(predecessor)) = content.get_mut("predecessor") {
            let tombstone = CanonicalJsonValue::String(tombstone.to_string());
            predecessor.insert("event_id".to_owned(), tombstone);
        }
        let room_id = Some(self.create.room_id().to_owned());
        rooms.build_create_of(room_id, (&self.ask.user_id, self.ask.now), version, content)
    }
}

impl RoomTx<'_, '_> {
    /// Replaces the room. Returns its successor.
    pub(super) fn succeed(
        &mut self,
        succession: &Succession,
    ) -> Result<OwnedRoomId, UpgradeRoomError> {
        let Succession { ask, upgrade, create, .. } = succession;
        self.known()?;
        let permit = self.permit::<kind::UpgradeRoom>(ask, upgrade)?;
        if let Some(made) = self.just_replaced(ask, create.version())? {
            return Ok(made);
        }
        let new_id = create.room_id().to_owned();
        let old_id = self.room_id.clone();

        // The tombstone first: whoever may not close the room makes no successor either.
        let tombstone =
            self.append_upgrade(ask, &permit, ("m.room.tombstone", tombstone(&new_id)))?;
        let create = succession.beginning(self.rooms, tombstone.pdu.event_id())?;
        let mut successor = RoomTx::open(self.rooms, &mut *self.tx, &new_id)?;
        let birth = successor.be_successor(succession, create)?;
        successor.close()?;
        let moved = self.move_aliases(succession, (&old_id, &new_id))?;
        let mut successor = RoomTx::open_staged(self.rooms, &mut *self.tx, &new_id)?;
        if !moved.is_empty() {
            successor.take_canonical_alias(succession)?;
        }
        if let Some(levels) = succession.levels().last {
            successor.append_born(ask, &birth, ("m.room.power_levels", "", levels))?;
        }
        successor.close()?;
        self.leave_aliases(ask, &moved)?;
        self.close_down(succession, &permit)?;
        Ok(new_id)
    }

    /// The old room does not call itself by names that lead away from it, if the sender's power reaches
    /// that far.
    fn leave_aliases(&mut self, ask: &Ask, moved: &[OwnedRoomAliasId]) -> Result<(), AppendError> {
        let before = self.savepoint();
        match self.write_without(ask, |name| moved.iter().any(|alias| alias.as_str() == name)) {
            Err(AppendError::Forbidden(_)) => self.rollback_to(before),
            other => other?,
        }
        Ok(())
    }

    fn append_upgrade(
        &mut self,
        ask: &Ask,
        permit: &Permit<kind::UpgradeRoom>,
        (event_type, content): (&str, CanonicalJsonObject),
    ) -> Result<Appended, AppendError> {
        let draft = Draft::state(&ask.user_id, event_type, "", content, ask.now);
        self.append_local(Authority::Upgrade(permit), draft)
    }

    /// Raises the levels of the old room, if the sender's power reaches that far.
    fn close_down(
        &mut self,
        succession: &Succession,
        permit: &Permit<kind::UpgradeRoom>,
    ) -> Result<(), UpgradeRoomError> {
        let closing = succession.inherited.closing_power_levels();
        let before = self.savepoint();
        match self.append_upgrade(&succession.ask, permit, ("m.room.power_levels", closing)) {
            Err(AppendError::Forbidden(_)) => self.rollback_to(before),
            other => drop(other?),
        }
        let now = succession.ask.now.get().into();
        self.scope_changed(now)?;
        Ok(())
    }

    /// The successor's beginning. Returns the permit it was made with, which covers its last power levels.
    fn be_successor(
        &mut self,
        succession: &Succession,
        create: Pdu,
    ) -> Result<Permit<kind::CreateRoom>, UpgradeRoomError> {
        let Succession { ask, inherited, .. } = succession;
        let creator = &ask.user_id;
        let permit = self.permit::<kind::CreateRoom>(ask, &Deed::CreateRoom(succession.kind))?;
        self.begin(succession.no, create.version(), ask.now.get().into())?;
        self.append_create(Authority::Creation(&permit), create)?;

        let suffix = name_suffix(permit.obligations());
        let join = member_content_with_profile(&*self.tx, "join", creator, suffix)?;
        self.append_born(ask, &permit, ("m.room.member", creator.as_str(), join))?;
        let levels = succession.levels().first;
        self.append_born(ask, &permit, ("m.room.power_levels", "", levels))?;
        for (event_type, state_key, content) in &inherited.state {
            self.append_born(ask, &permit, (event_type, state_key, content.clone()))?;
        }
        for (banned, reason) in &inherited.bans {
            match self.ban(ask, banned, reason.as_deref()) {
                Ok(()) | Err(MembershipError::Append(AppendError::Forbidden(_))) => {}
                Err(error) => return Err(error.into()),
            }
        }
        if inherited.published {
            let deed = Deed::Publish(self.room_id.clone());
            if let Ok(publish) = self.permit::<kind::Publish>(ask, &deed) {
                self.publish(ask, publish)?;
            }
        }
        Ok(permit)
    }

    fn append_born(
        &mut self,
        ask: &Ask,
        permit: &Permit<kind::CreateRoom>,
        (event_type, state_key, content): (&str, &str, CanonicalJsonObject),
    ) -> Result<(), AppendError> {
        let draft = Draft::state(&ask.user_id, event_type, state_key, content, ask.now);
        self.append_local(Authority::Creation(permit), draft)?;
        Ok(())
    }

    /// Moves the aliases that the policy lets follow. An alias it does not stays where it is.
    fn move_aliases(
        &mut self,
        succession: &Succession,
        (old_id, new_id): (&RoomId, &RoomId),
    ) -> Result<Vec<OwnedRoomAliasId>, UpgradeRoomError> {
        let moved =
            self.carry_aliases(&succession.ask, &succession.inherited.aliases, (old_id, new_id))?;
        if let Some(room) = self.room.as_ref().map(|room| room.no) {
            PUBLICATION_BY_ROOM.delete(self.tx, (room,))?;
        }
        Ok(moved)
    }

    /// Points aliases to a successor, each as far as the policy gives this user the permit. Returns those
    /// that moved.
    pub(super) fn carry_aliases(
        &mut self,
        ask: &Ask,
        aliases: &[OwnedRoomAliasId],
        (old_id, new_id): (&RoomId, &RoomId),
    ) -> Result<Vec<OwnedRoomAliasId>, StorageError> {
        let mut moved = Vec::new();
        for alias in aliases {
            let Some(mut row) = ALIAS_BY_NAME.get(&*self.tx, (alias,))? else { continue };
            if row.room_id != *old_id {
                continue;
            }
            let deed = Deed::MoveAlias(alias.clone(), new_id.to_owned());
            let Ok(permit) = self.decide(ask, &deed)?.permit::<kind::MoveAlias>() else { continue };
            let object = Object::alias(alias, new_id);
            let spent = match self.spend_permit(ask, permit, &object) {
                Ok(spent) => spent,
                Err(crate::AskError::Denied(_)) => continue,
                Err(crate::AskError::Storage(error)) => return Err(error),
            };
            row.room_id = new_id.to_owned();
            row.origin = StoredAliasOrigin::Upgrade;
            row.creator_class = spent.class;
            ALIAS_BY_NAME.put(self.tx, (alias,), &row)?;
            ALIAS_BY_ROOM.delete(self.tx, (old_id, alias))?;
            ALIAS_BY_ROOM.put(self.tx, (new_id, alias), &())?;
            moved.push(alias.clone());
        }
        if !moved.is_empty() {
            self.bump_scope_guard()?;
            self.guard_of(new_id)?;
        }
        Ok(moved)
    }

    fn guard_of(&mut self, room_id: &RoomId) -> Result<(), StorageError> {
        let stamp = self.next_stamp();
        SCOPE_GUARD.put(self.tx, (room_id,), &vestibule_storage::Stamped { stamp, value: () })
    }

    /// The successor's main alias is the old room's, once that leads to it.
    fn take_canonical_alias(&mut self, succession: &Succession) -> Result<(), UpgradeRoomError> {
        let Some(content) = &succession.inherited.canonical_alias else { return Ok(()) };
        let ask = &succession.ask;
        let event_type = "m.room.canonical_alias";
        let deed = Deed::SendState(self.room_id.clone(), event_type.to_owned());
        let Ok(permit) = self.permit::<kind::SendState>(ask, &deed) else { return Ok(()) };
        let draft = Draft::state(&ask.user_id, event_type, "", content.clone(), ask.now);
        self.append_local(Authority::SendState(permit), draft)?;
        Ok(())
    }
}
