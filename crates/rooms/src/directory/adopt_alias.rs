//! An operator vouching for an alias somebody else made, and for a space's edge.

use ruma::{MilliSecondsSinceUnixEpoch, OwnedRoomAliasId, OwnedRoomId, OwnedUserId};
use vestibule_policy::{Object, PermitKind, Subject, kind};
use vestibule_storage::tables::directory::{
    ALIAS_BY_NAME, SPACE_APPROVAL, SPACE_EDGE_FIRST, StoredAliasOrigin,
};
use vestibule_types::{Actor, ClassName};

use super::DirectoryError;
use crate::{
    RoomTx, Rooms, UnknownRoom,
    ask::{Ask, AskError, Deed, decide_for, subject},
};

/// Who administers this server.
#[derive(Clone, Debug)]
pub enum Administrator {
    /// Whoever has the machine; acts as the server's own user.
    Operator(OwnedUserId),
    /// An account; its class is looked at.
    Admin(Actor),
}

/// An administrator's request, as it goes into a transaction.
#[derive(Clone)]
pub(super) struct AdminAsk {
    /// The operator; an account is read inside.
    pub(super) system: Option<Subject>,
    pub(super) ask: Ask,
}

impl Administrator {
    pub(super) fn ask(&self, now: MilliSecondsSinceUnixEpoch) -> AdminAsk {
        match self {
            Self::Operator(system) => AdminAsk {
                system: Some(Subject::system(system.clone())),
                ask: Ask::unattended(system, now),
            },
            Self::Admin(actor) => {
                AdminAsk { system: None, ask: Ask::unattended(actor.user_id(), now) }
            }
        }
    }
}

impl Rooms {
    /// Re-authorises an alias as the operator's own: from now on it opens doors as if an admin had
    /// made it.
    pub async fn adopt_alias(
        &self,
        by: &Administrator,
        alias: OwnedRoomAliasId,
    ) -> Result<OwnedRoomId, DirectoryError> {
        let room_id = self.resolve_alias(&alias).await?;
        let (now, place) = (self.inner.env.now_ms(), room_id.clone());
        let ask = by.ask(self.inner.env.now());
        let deed = Deed::AdoptAlias(alias.clone(), room_id.clone());
        self.in_room(&room_id, move |room| {
            let object = Object::alias(&alias, &place);
            room.administer::<kind::AdoptAlias>((&ask, &deed), &object)?;
            let row = ALIAS_BY_NAME.get(&*room.tx, (&alias,))?;
            let mut row =
                row.filter(|row| row.room_id == place).ok_or(DirectoryError::UnknownAlias)?;
            row.creator_class = ClassName::admin();
            row.origin = StoredAliasOrigin::Admin;
            ALIAS_BY_NAME.put(room.tx, (&alias,), &row)?;
            room.bump_scope_guard()?;
            Ok::<_, DirectoryError>(room.scope_changed(now)?)
        })
        .await?;
        Ok(room_id)
    }

    /// Approves a space's edge that somebody who is no curator set first.
    pub async fn approve_space_child(
        &self,
        by: &Administrator,
        space: OwnedRoomId,
        child: OwnedRoomId,
    ) -> Result<(), DirectoryError> {
        let (now, place) = (self.inner.env.now_ms(), space.clone());
        let ask = by.ask(self.inner.env.now());
        let deed = Deed::ApproveSpaceChild(space.clone(), child.clone());
        self.in_room(&space, move |room| {
            room.known()?;
            let object = Object::Edge { space: place.clone(), child: child.clone() };
            room.administer::<kind::ApproveSpaceChild>((&ask, &deed), &object)?;
            if SPACE_EDGE_FIRST.get(&*room.tx, (&place, &child))?.is_none() {
                return Err(DirectoryError::UnknownRoom(UnknownRoom));
            }
            SPACE_APPROVAL.put(room.tx, (&place, &child), &())?;
            room.bump_scope_guard()?;
            Ok(room.scope_changed(now)?)
        })
        .await?;
        Ok(())
    }
}

impl RoomTx<'_, '_> {
    /// Asks whether this may be administered, and spends the permit.
    fn administer<K: PermitKind>(
        &self,
        asked: (&AdminAsk, &Deed),
        object: &Object,
    ) -> Result<(), DirectoryError> {
        Ok(self.administer_with::<K>(asked, object)?)
    }

    /// The same, for whoever has errors of their own.
    pub(super) fn administer_with<K: PermitKind>(
        &self,
        (by, deed): (&AdminAsk, &Deed),
        object: &Object,
    ) -> Result<(), AskError> {
        let subject = match &by.system {
            Some(system) => system.clone(),
            None => subject(&*self.tx, &by.ask.user_id)?,
        };
        let (policy, view) = (self.rooms.inner.policy.current(), self.view().ok());
        let asked = (&subject, &by.ask, deed);
        let decision = decide_for(&policy, &*self.tx, view.as_ref(), asked)?;
        let permit = decision.permit::<K>()?;
        self.spend_permit(&by.ask, permit, object)?;
        Ok(())
    }
}
