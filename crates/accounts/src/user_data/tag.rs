//! Tags: names a user gives to rooms. They live in the room's account data of type `m.tag`.

use std::net::IpAddr;

use ruma::{OwnedRoomId, OwnedUserId};
use serde_json::{Map, Value};
use tracing::instrument;
use vestibule_policy::{Denial, kind};
use vestibule_storage::{StorageError, Tx};
use vestibule_types::{Actor, limits};

use super::{
    SetAccountDataError,
    account_data::{self, Item},
};
use crate::{
    Accounts,
    gate::{OwnAct, Refusal},
};

pub(super) const TAG: &str = "m.tag";

/// Why tags were not read or written.
#[derive(Debug, thiserror::Error)]
pub enum SetTagError {
    /// They are somebody else's.
    #[error("these are somebody else's tags")]
    NotOwn,
    /// The tag is too long.
    #[error("a tag may have at most 255 bytes")]
    TooLong,
    /// The room has too many tags, or the account too much data.
    #[error("there are too many tags")]
    TooMany,
    /// The policy refuses.
    #[error(transparent)]
    Denied(#[from] Denial),
    /// The tags could not be stored.
    #[error("could not store the tags")]
    Storage(#[from] StorageError),
}

impl From<Refusal> for SetTagError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Denied(denial) => Self::Denied(denial),
            Refusal::Storage(error) => Self::Storage(error),
        }
    }
}

impl From<SetAccountDataError> for SetTagError {
    fn from(error: SetAccountDataError) -> Self {
        match error {
            SetAccountDataError::NotOwn => Self::NotOwn,
            SetAccountDataError::TooLarge
            | SetAccountDataError::TooMany
            | SetAccountDataError::ServerControlled => Self::TooMany,
            SetAccountDataError::Denied(denial) => Self::Denied(denial),
            SetAccountDataError::Storage(error) => Self::Storage(error),
        }
    }
}

impl Accounts {
    /// The tags the caller gave a room.
    pub async fn tags(
        &self,
        actor: &Actor,
        user_id: OwnedUserId,
        room_id: OwnedRoomId,
    ) -> Result<Map<String, Value>, SetTagError> {
        if actor.user_id() != user_id {
            return Err(SetTagError::NotOwn);
        }
        let content = self
            .0
            .store
            .read(move |read| {
                account_data::get(read, &user_id, &Item { room_id: Some(&room_id), kind: TAG })
            })
            .await?;
        Ok(tags_of(content))
    }

    /// Gives a room a tag, or takes it away when `info` is `None`.
    #[instrument(name = "accounts.user_data.set_tag", skip_all)]
    pub async fn set_tag(
        &self,
        actor: &Actor,
        (user_id, room_id): (OwnedUserId, OwnedRoomId),
        (tag, info): (String, Option<Map<String, Value>>),
        peer: Option<IpAddr>,
    ) -> Result<(), SetTagError> {
        if actor.user_id() != user_id {
            return Err(SetTagError::NotOwn);
        }
        if tag.len() > limits::TAG_BYTES_MAX {
            return Err(SetTagError::TooLong);
        }
        let prepared = self.prepare(actor, OwnAct::AccountData, peer).await?;
        self.0
            .write(actor.user_id(), move |tx| {
                prepared.spend::<kind::AccountData>(tx, &user_id)?;
                let item = Item { room_id: Some(&room_id), kind: TAG };
                change(tx, &user_id, &item, (&tag, info.as_ref()))
            })
            .await
    }
}

/// The tag that marks the room in which the server speaks to a user.
const SERVER_NOTICE: &str = "m.server_notice";

/// Marks a room as the one of the server's notices. The transaction must be in the user's slot.
pub fn tag_notice_room(
    tx: &mut Tx<'_>,
    user_id: &OwnedUserId,
    room_id: &OwnedRoomId,
) -> Result<(), SetTagError> {
    let item = Item { room_id: Some(room_id), kind: TAG };
    if tags_of(account_data::get(tx, user_id, &item)?).contains_key(SERVER_NOTICE) {
        return Ok(());
    }
    change(tx, user_id, &item, (SERVER_NOTICE, Some(&Map::new())))
}

fn change(
    tx: &mut Tx<'_>,
    user_id: &OwnedUserId,
    item: &Item<'_>,
    (tag, info): (&str, Option<&Map<String, Value>>),
) -> Result<(), SetTagError> {
    let mut tags = tags_of(account_data::get(tx, user_id, item)?);
    match info {
        Some(info) => {
            tags.insert(tag.to_owned(), Value::Object(info.clone()));
        }
        None if tags.remove(tag).is_none() => return Ok(()),
        None => {}
    }
    let content = serde_json::json!({ "tags": tags }).to_string();
    if tags.len() > limits::TAGS_PER_ROOM_MAX || content.len() > limits::ACCOUNT_DATA_BYTES_MAX {
        return Err(SetTagError::TooMany);
    }
    Ok(account_data::put(tx, user_id, item, content)?)
}

/// The tags in a content. Clients may write the content themselves, so anything can be in it.
fn tags_of(content: Option<String>) -> Map<String, Value> {
    let content: Option<Map<String, Value>> =
        content.and_then(|content| serde_json::from_str(&content).ok());
    match content.and_then(|mut content| content.remove("tags")) {
        Some(Value::Object(tags)) => tags,
        _ => Map::new(),
    }
}
