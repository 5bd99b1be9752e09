//! Giving a room a name.

use ruma::{OwnedRoomAliasId, OwnedRoomId, RoomAliasId};
use vestibule_policy::{Object, Permit, kind};
use vestibule_storage::tables::directory::{
    ALIAS_BY_NAME, ALIAS_BY_ROOM, StoredAlias, StoredAliasOrigin,
};
use vestibule_types::{
    Actor,
    limits::{ALIASES_PER_ROOM_MAX, IDENTIFIER_BYTES_MAX},
};

use super::DirectoryError;
use crate::{
    RoomTx, Rooms,
    ask::{Ask, Deed, subject},
};

impl Rooms {
    /// Points an alias of this server to a room.
    pub async fn create_alias(
        &self,
        actor: &Actor,
        alias: OwnedRoomAliasId,
        room_id: OwnedRoomId,
    ) -> Result<(), DirectoryError> {
        if alias.as_bytes().len() > IDENTIFIER_BYTES_MAX {
            return Err(DirectoryError::TooLong);
        }
        let deed = Deed::CreateAlias(alias.clone(), room_id.clone());
        let ask = self.ask(actor, &deed).await?;
        self.in_room(&room_id, move |room| {
            room.check_names(&ask)?;
            room.known()?;
            let permit = room.permit::<kind::CreateAlias>(&ask, &deed)?;
            room.put_alias(&ask, permit, &alias)
        })
        .await?;
        Ok(())
    }
}

impl RoomTx<'_, '_> {
    /// A room is named by those in it. Who is not is told nothing of it either, but for admins.
    fn check_names(&self, ask: &Ask) -> Result<(), DirectoryError> {
        if self.is_joined(&ask.user_id)? || subject(&*self.tx, &ask.user_id)?.class.is_admin() {
            return Ok(());
        }
        Err(DirectoryError::Powerless("you must be in the room to give it an alias"))
    }

    /// Writes an alias that was allowed. The row remembers the class of its creator: whether the
    /// alias opens a door is decided from it.
    pub(crate) fn put_alias(
        &mut self,
        ask: &Ask,
        permit: Permit<kind::CreateAlias>,
        alias: &RoomAliasId,
    ) -> Result<(), DirectoryError> {
        let object = Object::alias(alias, &self.room_id);
        let spent = self.spend_permit(ask, permit, &object)?;
        if ALIAS_BY_NAME.get(&*self.tx, (alias,))?.is_some() {
            return Err(DirectoryError::Taken);
        }
        let row = StoredAlias {
            room_id: self.room_id.clone(),
            creator: ask.user_id.clone(),
            creator_class: spent.class,
            origin: StoredAliasOrigin::User,
            created_at: ask.now.get().into(),
        };
        self.write_alias(alias, &row)
    }

    /// Writes an alias row with its reverse index, pins and guard.
    pub(crate) fn write_alias(
        &mut self,
        alias: &RoomAliasId,
        row: &StoredAlias,
    ) -> Result<(), DirectoryError> {
        let names = ALIAS_BY_ROOM.scan(&*self.tx, (&row.room_id,), ALIASES_PER_ROOM_MAX)?;
        if names.len() >= ALIASES_PER_ROOM_MAX {
            return Err(DirectoryError::TooManyAliases);
        }
        ALIAS_BY_NAME.put(self.tx, (alias,), row)?;
        ALIAS_BY_ROOM.put(self.tx, (&row.room_id, alias), &())?;
        self.pin_alias(alias)?;
        self.bump_scope_guard()?;
        self.scope_changed(row.created_at)?;
        Ok(())
    }
}
