//! Doing it: successor, tombstone and aliases, in one batch.

use ruma::{CanonicalJsonObject, OwnedRoomAliasId, RoomId};
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
    AppendError, RoomTx,
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
    pub(super) create: Pdu,
    pub(super) no: RoomNo,
}

impl Succession {
    fn levels(&self) -> Levels {
        let create = self.create.content_as::<CanonicalJsonObject>().unwrap_or_default();
        self.inherited.levels(&self.ask.user_id, &create, self.create.version())
    }
}

impl RoomTx<'_, '_> {
    pub(super) fn succeed(&mut self, succession: &Succession) -> Result<(), UpgradeRoomError> {
        let Succession { ask, upgrade, create, .. } = succession;
        self.known()?;
        let permit = self.permit::<kind::UpgradeRoom>(ask, upgrade)?;
        let new_id = create.room_id().to_owned();
        let old_id = self.room_id.clone();

        // The tombstone first: whoever may not close the room makes no successor either.
        self.append_upgrade(ask, &permit, ("m.room.tombstone", tombstone(&new_id)))?;
        let mut successor = RoomTx::open(self.rooms, &mut *self.tx, &new_id)?;
        let birth = successor.be_successor(succession)?;
        successor.close()?;
        let moved = self.move_aliases(succession, (&old_id, &new_id))?;
        let mut successor = RoomTx::open_staged(self.rooms, &mut *self.tx, &new_id)?;
        if moved {
            successor.take_canonical_alias(succession)?;
        }
        if let Some(levels) = succession.levels().last {
            successor.append_born(ask, &birth, ("m.room.power_levels", "", levels))?;
        }
        successor.close()?;
        self.close_down(succession, &permit)
    }

    fn append_upgrade(
        &mut self,
        ask: &Ask,
        permit: &Permit<kind::UpgradeRoom>,
        (event_type, content): (&str, CanonicalJsonObject),
    ) -> Result<(), AppendError> {
        let draft = Draft::state(&ask.user_id, event_type, "", content, ask.now);
        self.append_local(Authority::Upgrade(permit), draft)?;
        Ok(())
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
            other => other?,
        }
        let now = succession.ask.now.get().into();
        self.scope_changed(now)?;
        Ok(())
    }

    /// The successor's beginning. Returns the permit it was made with, which covers its last power levels.
    fn be_successor(
        &mut self,
        succession: &Succession,
    ) -> Result<Permit<kind::CreateRoom>, UpgradeRoomError> {
        let Succession { ask, create, inherited, .. } = succession;
        let creator = &ask.user_id;
        let permit = self.permit::<kind::CreateRoom>(ask, &Deed::CreateRoom(succession.kind))?;
        self.begin(succession.no, create.version(), ask.now.get().into())?;
        self.append_create(Authority::Creation(&permit), create.clone())?;

        let suffix = name_suffix(permit.obligations());
        let join = member_content_with_profile(&*self.tx, "join", creator, suffix)?;
        self.append_born(ask, &permit, ("m.room.member", creator.as_str(), join))?;
        let levels = succession.levels().first;
        self.append_born(ask, &permit, ("m.room.power_levels", "", levels))?;
        for (event_type, state_key, content) in &inherited.state {
            self.append_born(ask, &permit, (event_type, state_key, content.clone()))?;
        }
        for banned in &inherited.bans {
            match self.ban(ask, banned, None) {
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
    ) -> Result<bool, UpgradeRoomError> {
        let moved =
            self.carry_aliases(&succession.ask, &succession.inherited.aliases, (old_id, new_id))?;
        if let Some(room) = self.room.as_ref().map(|room| room.no) {
            PUBLICATION_BY_ROOM.delete(self.tx, (room,))?;
        }
        Ok(moved)
    }

    /// Points aliases to a successor, each as far as the policy gives this user the permit.
    pub(super) fn carry_aliases(
        &mut self,
        ask: &Ask,
        aliases: &[OwnedRoomAliasId],
        (old_id, new_id): (&RoomId, &RoomId),
    ) -> Result<bool, StorageError> {
        let mut moved = false;
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
            moved = true;
        }
        if moved {
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
