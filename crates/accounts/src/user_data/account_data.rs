//! Account data: JSON objects by type, for the user or for one room of theirs.

use std::net::IpAddr;

use ruma::{EventId, OwnedRoomId, OwnedUserId, RoomId, UserId, push::Ruleset};
use tracing::instrument;
use vestibule_policy::{Denial, kind};
use vestibule_storage::{
    Read, Scan, Stamped, StorageError, Tx,
    tables::{
        room::{STREAM, StoredNews},
        user_data::{
            ACCOUNT_DATA, ACCOUNT_DATA_BYTES, StoredUserChange, USER_CHANGE, USER_DATA_GUARD,
        },
    },
};
use vestibule_types::{Actor, limits};

use super::push_rule;
use crate::{
    Accounts,
    gate::{OwnAct, Refusal},
};

/// The type of the push rules.
pub(super) const PUSH_RULES: &str = "m.push_rules";
/// The type of the read marker of a room.
const FULLY_READ: &str = "m.fully_read";

/// A new content for an item of account data.
#[derive(Clone, Debug)]
pub struct PutAccountData {
    /// Whose.
    pub user_id: OwnedUserId,
    /// The room it belongs to; `None` for global account data.
    pub room_id: Option<OwnedRoomId>,
    /// Its type.
    pub event_type: String,
    /// The content: the text of a JSON object.
    pub content: String,
    /// Where the request comes from.
    pub peer: Option<IpAddr>,
}

/// Why account data was not read or written.
#[derive(Debug, thiserror::Error)]
pub enum SetAccountDataError {
    /// It is somebody else's.
    #[error("this is somebody else's account data")]
    NotOwn,
    /// The server writes this type itself.
    #[error("this type of account data is managed by the server")]
    ServerControlled,
    /// The item is too large, all of them together are, or its type is too long.
    #[error("the account data is too large")]
    TooLarge,
    /// There is no room for one more item.
    #[error("there is too much account data already")]
    TooMany,
    /// The policy refuses.
    #[error(transparent)]
    Denied(#[from] Denial),
    /// The item could not be stored.
    #[error("could not store the account data")]
    Storage(#[from] StorageError),
}

impl From<Refusal> for SetAccountDataError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Denied(denial) => Self::Denied(denial),
            Refusal::Storage(error) => Self::Storage(error),
        }
    }
}

/// An item of account data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountDataItem {
    /// Its type.
    pub event_type: String,
    /// The content: the text of a JSON object.
    pub content: String,
}

impl Accounts {
    /// Sets an item of the caller's account data.
    #[instrument(name = "accounts.user_data.put_account_data", skip_all)]
    pub async fn put_account_data(
        &self,
        actor: &Actor,
        command: PutAccountData,
    ) -> Result<(), SetAccountDataError> {
        if actor.user_id() != command.user_id {
            return Err(SetAccountDataError::NotOwn);
        }
        if [PUSH_RULES, FULLY_READ].contains(&command.event_type.as_str()) {
            return Err(SetAccountDataError::ServerControlled);
        }
        let too_long = command.event_type.len() > limits::IDENTIFIER_BYTES_MAX;
        if too_long || command.content.len() > limits::ACCOUNT_DATA_BYTES_MAX {
            return Err(SetAccountDataError::TooLarge);
        }
        let prepared = self.prepare(actor, OwnAct::AccountData, command.peer).await?;
        self.0
            .write(actor.user_id(), move |tx| {
                prepared.spend::<kind::AccountData>(tx, &command.user_id)?;
                let item = Item { room_id: command.room_id.as_deref(), kind: &command.event_type };
                put(tx, &command.user_id, &item, command.content.clone())
            })
            .await
    }

    /// An item of the caller's account data; `Ok(None)` when there is none.
    #[instrument(name = "accounts.user_data.account_data", skip_all)]
    pub async fn account_data(
        &self,
        actor: &Actor,
        user_id: &UserId,
        room_id: Option<OwnedRoomId>,
        event_type: String,
    ) -> Result<Option<String>, SetAccountDataError> {
        if actor.user_id() != user_id {
            return Err(SetAccountDataError::NotOwn);
        }
        let user = user_id.to_owned();
        let read = move |read: &vestibule_storage::Snapshot<'_>| {
            if room_id.is_none() && event_type == PUSH_RULES {
                return push_rule::content(read, &user).map(Some);
            }
            get(read, &user, &Item { room_id: room_id.as_deref(), kind: &event_type })
        };
        Ok(self.0.store.read(read).await?)
    }

    /// Moves the read marker of a room. Whether the room and the event are there is the caller's
    /// to know.
    #[instrument(name = "accounts.user_data.set_fully_read", skip_all)]
    pub async fn set_fully_read(
        &self,
        user_id: &UserId,
        room_id: &RoomId,
        event_id: &EventId,
    ) -> Result<(), SetAccountDataError> {
        let content = serde_json::json!({ "event_id": event_id }).to_string();
        let (user, room) = (user_id.to_owned(), room_id.to_owned());
        self.0
            .write(user_id, move |tx| {
                let item = Item { room_id: Some(&room), kind: FULLY_READ };
                put(tx, &user, &item, content.clone())
            })
            .await
    }
}

/// Which item.
pub(super) struct Item<'a> {
    pub(super) room_id: Option<&'a RoomId>,
    pub(super) kind: &'a str,
}

impl Item<'_> {
    fn room(&self) -> &str {
        self.room_id.map(RoomId::as_str).unwrap_or_default()
    }
}

pub(super) fn get(
    read: &impl Read,
    user_id: &UserId,
    item: &Item<'_>,
) -> Result<Option<String>, StorageError> {
    let row = ACCOUNT_DATA.get(read, (user_id, item.room(), item.kind))?;
    Ok(row.map(|row| row.value))
}

/// Writes an item and tells those who follow the user. The transaction must be in the user's slot.
pub(super) fn put(
    tx: &mut Tx<'_>,
    user_id: &UserId,
    item: &Item<'_>,
    content: String,
) -> Result<(), SetAccountDataError> {
    let key = (user_id, item.room(), item.kind);
    let items = USER_DATA_GUARD.get(tx, (user_id,))?.unwrap_or_default();
    let old = ACCOUNT_DATA.get(tx, key)?;
    count_bytes(tx, user_id, (old.as_ref().map_or("", |old| &old.value), &content))?;
    match old {
        Some(old) => USER_CHANGE.delete(tx, (user_id, old.stamp))?,
        None if items >= u64::try_from(limits::ACCOUNT_DATA_ITEMS_MAX).unwrap_or(u64::MAX) => {
            return Err(SetAccountDataError::TooMany);
        }
        None => USER_DATA_GUARD.put(tx, (user_id,), &items.saturating_add(1))?,
    }
    let stamp = tx.next_stamp();
    ACCOUNT_DATA.put(tx, key, &Stamped::new(stamp, content))?;
    let change = StoredUserChange::AccountData {
        room_id: item.room_id.map(ToOwned::to_owned),
        event_type: item.kind.to_owned(),
    };
    USER_CHANGE.put(tx, (user_id, stamp), &change)?;
    let news = StoredNews::User { user: user_id.to_owned() };
    Ok(STREAM.put(tx, (tx.slot().0, stamp), &news)?)
}

/// Counts what a user's items take when one is replaced. What is too much already may still shrink.
fn count_bytes(
    tx: &mut Tx<'_>,
    user_id: &UserId,
    (old, new): (&str, &str),
) -> Result<(), SetAccountDataError> {
    let long = |text: &str| u64::try_from(text.len()).unwrap_or(u64::MAX);
    let before = if let Some(bytes) = ACCOUNT_DATA_BYTES.get(tx, (user_id,))? {
        bytes
    } else {
        let mut bytes = 0_u64;
        let all = Scan::prefix((user_id,)).limit(limits::ACCOUNT_DATA_ITEMS_MAX);
        ACCOUNT_DATA.each(tx, all, |_, row| {
            bytes = bytes.saturating_add(long(&row.value));
            std::ops::ControlFlow::Continue(())
        })?;
        bytes
    };
    let after = before.saturating_sub(long(old)).saturating_add(long(new));
    if after > before && after > limits::ACCOUNT_DATA_TOTAL_BYTES_MAX {
        return Err(SetAccountDataError::TooLarge);
    }
    Ok(ACCOUNT_DATA_BYTES.put(tx, (user_id,), &after)?)
}

/// The push rules a user begins with.
pub(super) fn default_rules(user_id: &UserId) -> Ruleset {
    Ruleset::server_default(user_id)
}
