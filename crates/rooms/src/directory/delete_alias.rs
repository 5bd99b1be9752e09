//! Taking a name away from a room.

use ruma::{CanonicalJsonObject, CanonicalJsonValue, OwnedRoomAliasId, RoomAliasId};
use vestibule_policy::{Object, Permit, kind};
use vestibule_storage::tables::directory::{ALIAS_BY_NAME, ALIAS_BY_ROOM};
use vestibule_types::Actor;

use super::DirectoryError;
use crate::{
    AppendError, RoomTx, Rooms,
    append::{Authority, Draft},
    ask::{Ask, Deed},
};

impl Rooms {
    /// Takes an alias of this server away. Doors it opened close with the same commit. The room's
    /// `m.room.canonical_alias` does not name it any more either; where a policy server has to sign
    /// that, it follows when it did, if it does.
    pub async fn delete_alias(
        &self,
        actor: &Actor,
        alias: OwnedRoomAliasId,
    ) -> Result<(), DirectoryError> {
        let name = alias.clone();
        let row = self
            .inner
            .store
            .read::<_, DirectoryError, _>(
                move |snapshot| Ok(ALIAS_BY_NAME.get(snapshot, (&name,))?),
            )
            .await?
            .ok_or(DirectoryError::UnknownAlias)?;
        let room_id = row.room_id;
        let deed = Deed::DeleteAlias(alias.clone(), room_id.clone());
        let ask = self.ask(actor, &deed).await?;
        let (room, asked, name) = (room_id.clone(), ask.clone(), alias.clone());
        let deleted = self.in_room(&room_id, move |tx| {
            let row = ALIAS_BY_NAME.get(&*tx.tx, (&name,))?;
            if row.is_none_or(|row| row.room_id != room) {
                return Err(DirectoryError::UnknownAlias);
            }
            let permit = tx.permit::<kind::DeleteAlias>(&asked, &deed)?;
            tx.remove_alias(&asked, permit, &name)?;
            tx.drop_canonical(&asked, &name)
        });
        let (Dropped::Unsigned, _) = deleted.await? else { return Ok(()) };
        let work =
            move |tx: &mut RoomTx<'_, '_>| tx.write_without(&ask, |name| name == alias.as_str());
        if let Err(error) = self.in_room_recommended::<_, AppendError, _>(&room_id, work).await {
            tracing::debug!(%error, "a deleted alias is still named by its room");
        }
        Ok(())
    }
}

/// What became of the name that a room's state has for a deleted alias.
enum Dropped {
    /// It is gone, or may stay.
    Done,
    /// A policy server has to sign that it goes.
    Unsigned,
}

impl RoomTx<'_, '_> {
    fn remove_alias(
        &mut self,
        ask: &Ask,
        permit: Permit<kind::DeleteAlias>,
        alias: &RoomAliasId,
    ) -> Result<(), DirectoryError> {
        let object = Object::alias(alias, &self.room_id);
        self.spend_permit(ask, permit, &object)?;
        ALIAS_BY_NAME.delete(self.tx, (alias,))?;
        ALIAS_BY_ROOM.delete(self.tx, (&self.room_id, alias))?;
        self.bump_scope_guard()?;
        self.scope_changed(ask.now.get().into())?;
        Ok(())
    }

    /// Takes the alias out of `m.room.canonical_alias`, when whoever deletes it may do that.
    fn drop_canonical(
        &mut self,
        ask: &Ask,
        alias: &RoomAliasId,
    ) -> Result<Dropped, DirectoryError> {
        let savepoint = self.savepoint();
        let Err(error) = self.write_without(ask, |name| name == alias.as_str()) else {
            return Ok(Dropped::Done);
        };
        // The room's rules do not let this user change it; the alias is gone all the same.
        self.rollback_to(savepoint);
        match error {
            AppendError::Storage(cause) => Err(cause.into()),
            AppendError::NotRecommended(_) => Ok(Dropped::Unsigned),
            _ => Ok(Dropped::Done),
        }
    }

    /// Takes aliases out of `m.room.canonical_alias`, as far as the policy lets this user.
    pub(crate) fn write_without(
        &mut self,
        ask: &Ask,
        is_gone: impl Fn(&str) -> bool,
    ) -> Result<(), AppendError> {
        let content =
            self.view()?.shown_state::<CanonicalJsonObject>("m.room.canonical_alias", "")?;
        let Some(mut content) = content else { return Ok(()) };
        let before = content.clone();
        let is_it = |value: &CanonicalJsonValue| value.as_str().is_some_and(&is_gone);
        if content.get("alias").is_some_and(is_it) {
            content.remove("alias");
        }
        if let Some(CanonicalJsonValue::Array(alternatives)) = content.get_mut("alt_aliases") {
            alternatives.retain(|value| !is_it(value));
        }
        if content == before {
            return Ok(());
        }
        let deed = Deed::SendState(self.room_id.clone(), "m.room.canonical_alias".to_owned());
        let Ok(permit) = self.permit::<kind::SendState>(ask, &deed) else { return Ok(()) };
        let draft = Draft::state(&ask.user_id, "m.room.canonical_alias", "", content, ask.now);
        self.append_local(Authority::SendState(permit), draft)?;
        Ok(())
    }
}
