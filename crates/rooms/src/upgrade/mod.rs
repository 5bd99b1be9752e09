//! Replacing a room by one of a newer version.
//!
//! Old and new room change in one batch: the successor, the tombstone, and the aliases that may
//! follow. The successor's identifier is chosen so that both rooms share a slot of the store.

mod copy;
mod execute;
mod follow;
mod levels;
mod repeated;

use ruma::{CanonicalJsonObject, CanonicalJsonValue, OwnedRoomId, OwnedUserId};
use vestibule_events::{RoomVersion, RoomVersionError};
use vestibule_policy::RoomKind;
use vestibule_storage::StorageError;
use vestibule_types::{Actor, limits::IDENTIFIER_BYTES_MAX};

use self::{copy::Inheritance, execute::Succession};
use crate::{
    AppendError, CreateRoomError, DirectoryError, MembershipError, RoomTx, Rooms, UnknownRoom,
    ask::{AskError, Deed},
};

/// Replace a room.
#[derive(Clone, Debug)]
pub struct UpgradeRoom {
    /// The room to replace.
    pub room_id: OwnedRoomId,
    /// The version of its successor.
    pub new_version: String,
    /// Who shares the creator's power, in versions that know of that.
    pub additional_creators: Vec<OwnedUserId>,
}

/// Why a room was not replaced. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum UpgradeRoomError {
    /// The version is not one this server makes.
    #[error(transparent)]
    Version(#[from] RoomVersionError),
    /// This server does not know the room.
    #[error(transparent)]
    UnknownRoom(#[from] UnknownRoom),
    /// The policy or the database refused.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// The successor could not be made.
    #[error(transparent)]
    Create(#[from] CreateRoomError),
    /// The old room's rules refuse the tombstone.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// An alias could not follow.
    #[error(transparent)]
    Alias(#[from] DirectoryError),
    /// A ban could not be copied.
    #[error(transparent)]
    Ban(#[from] MembershipError),
}

impl From<StorageError> for UpgradeRoomError {
    fn from(error: StorageError) -> Self {
        Self::Ask(AskError::Storage(error))
    }
}

/// How often another identifier is tried for the successor before giving up; with `S` slots each
/// try succeeds with probability `1 / S`.
const TRIES_MAX: u32 = 512;

impl Rooms {
    /// Replaces a room and tells it where it went. Asked again by the same user a moment later, it answers
    /// with the successor there is.
    pub async fn upgrade_room(
        &self,
        actor: &Actor,
        command: UpgradeRoom,
    ) -> Result<OwnedRoomId, UpgradeRoomError> {
        let version = command.new_version.parse::<RoomVersion>()?;
        let too_long = |user: &OwnedUserId| user.as_bytes().len() > IDENTIFIER_BYTES_MAX;
        if command.additional_creators.iter().any(too_long) {
            let reason = "a user id in `additional_creators` is too long".to_owned();
            return Err(CreateRoomError::BadCreation(reason).into());
        }
        let old_id = command.room_id.clone();
        let upgrade = Deed::UpgradeRoom(old_id.clone());
        let mut ask = self.ask(actor, &upgrade).await?;
        let inherited =
            self.with_view(&old_id, |view| Inheritance::of(&view)).await?.ok_or(UnknownRoom)?;

        let content = create_content(actor, &command, version, &inherited);
        let slot = self.inner.store.slot_of_room(&old_id);
        let mut tries = 0;
        let create = loop {
            let create = self.build_create(&ask.user_id, ask.now, version, content.clone())?;
            if self.inner.store.slot_of_room(create.room_id()) == slot || tries == TRIES_MAX {
                break create;
            }
            tries += 1;
            ask.now =
                ruma::MilliSecondsSinceUnixEpoch(ask.now.get().saturating_add(ruma::uint!(1)));
        };
        let succession = Succession {
            ask,
            upgrade,
            kind: inherited.kind(),
            inherited,
            create,
            no: self.new_room_no(),
        };
        let user = actor.user_id().to_owned();
        let work = move |room: &mut RoomTx<'_, '_>| room.succeed(&succession);
        let (new_id, _) = self.in_room_recommended(&old_id, work).await?;
        self.take_along(user, (&old_id, &new_id)).await?;
        Ok(new_id)
    }
}

fn create_content(
    actor: &Actor,
    command: &UpgradeRoom,
    version: RoomVersion,
    inherited: &Inheritance,
) -> CanonicalJsonObject {
    let text = |text: &str| CanonicalJsonValue::String(text.to_owned());
    let mut content = inherited.create.clone();
    for gone in ["creator", "additional_creators", "predecessor"] {
        content.remove(gone);
    }
    let mut predecessor = CanonicalJsonObject::new();
    predecessor.insert("room_id".to_owned(), text(command.room_id.as_str()));
    content.insert("predecessor".to_owned(), CanonicalJsonValue::Object(predecessor));
    content.insert("room_version".to_owned(), text(version.as_str()));
    if version.create_names_creator() {
        content.insert("creator".to_owned(), text(actor.user_id().as_str()));
    }
    if version.rules().authorization.additional_room_creators
        && !command.additional_creators.is_empty()
    {
        let creators = command.additional_creators.iter().map(|it| text(it.as_str())).collect();
        content.insert("additional_creators".to_owned(), CanonicalJsonValue::Array(creators));
    }
    content
}

impl Inheritance {
    /// What kind of room the policy is asked about.
    fn kind(&self) -> RoomKind {
        let is_space = matches!(
            self.create.get("type"),
            Some(CanonicalJsonValue::String(kind)) if kind == "m.space"
        );
        if is_space {
            RoomKind::Space
        } else if self.is_public {
            RoomKind::Public
        } else {
            RoomKind::Private
        }
    }
}
