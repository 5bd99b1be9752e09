//! Setting a pusher, and taking it away.
//!
//! A pushkey belongs to one user, unless they say that others may keep theirs. Who else has it is known
//! in slot 0, and that is written before the pusher is: a row there may stand for nothing, and no pusher
//! is without one.

use ruma::{DeviceId, OwnedUserId, UserId};
use tracing::instrument;
use vestibule_storage::{
    Scan, SlotNo, StorageError, Store, Tx,
    tables::{
        account::{DEVICE_BY_USER, SESSION_GUARD},
        push::{
            PUSHER, PUSHER_OWNER, PUSHER_STANDING, StoredPusher, StoredPusherStanding,
            remove_pusher,
        },
        room::{STREAM, StoredNews},
        sender::StoredCursor,
    },
};
use vestibule_types::{
    Actor,
    limits::{
        APP_ID_BYTES_MAX, PUSHER_DATA_BYTES_MAX, PUSHER_TEXT_BYTES_MAX, PUSHERS_PER_USER_MAX,
        PUSHKEY_BYTES_MAX, USERS_PER_PUSHKEY_MAX,
    },
};

use super::PusherId;
use crate::{Push, ShownPusher, follow::end_of};

/// The slot of what belongs to the whole server.
const SLOT: SlotNo = SlotNo(0);

/// The path of every push gateway (push gateway API).
const GATEWAY_PATH: &str = "/_matrix/push/v1/notify";

/// A pusher to be set.
#[derive(Clone, Debug)]
pub struct SetPusher {
    /// The pusher.
    pub pusher: ShownPusher,
    /// Whether other users with the same pushkey keep it.
    pub append: bool,
}

/// A pusher to be taken away.
#[derive(Clone, Debug)]
pub struct DeletePusher {
    /// Which application.
    pub app_id: String,
    /// Which device, as its provider names it.
    pub pushkey: String,
}

/// Why a pusher was not set.
#[derive(Debug, thiserror::Error)]
pub enum SetPusherError {
    /// A text is too long, or is no text of its kind.
    #[error("{0}")]
    Invalid(&'static str),
    /// The gateway is none that is called.
    #[error("url must lead to a push gateway: an https URL with the path /_matrix/push/v1/notify")]
    BadGateway,
    /// The user has as many as one may have.
    #[error("there are too many pushers")]
    TooMany,
    /// The pusher could not be stored.
    #[error("could not store the pusher")]
    Storage(#[from] StorageError),
}

impl Push {
    /// Sets a pusher of the caller's, in place of one with the same application and pushkey.
    #[instrument(name = "push.pusher.set", skip_all)]
    pub async fn set_pusher(
        &self,
        actor: &Actor,
        command: SetPusher,
    ) -> Result<(), SetPusherError> {
        let SetPusher { pusher, append } = command;
        check(&pusher)?;
        if self.web().path_of(&pusher.url).as_deref() != Some(GATEWAY_PATH) {
            return Err(SetPusherError::BadGateway);
        }
        let user = actor.user_id().to_owned();
        let id = PusherId { user, app_id: pusher.app_id.clone(), pushkey: pusher.pushkey.clone() };
        let store = self.store();
        own(store, &id, append).await?;
        let row = StoredPusher {
            device_id: actor.device_id().map(ToOwned::to_owned),
            url: pusher.url,
            data: pusher.data,
            app_display_name: pusher.app_display_name,
            device_display_name: pusher.device_display_name,
            profile_tag: pusher.profile_tag,
            lang: pusher.lang,
            set_at: self.environment().now_ms(),
            from: end_of(&store.positions()),
        };
        let slot = store.slot_of_user(&id.user);
        self.hub().add_owner(&id.user);
        store.write(slot, move |tx| put(tx, &id, &row)).await?;
        Ok(())
    }

    /// Takes a pusher of the caller's away, if it is there.
    #[instrument(name = "push.pusher.delete", skip_all)]
    pub async fn delete_pusher(
        &self,
        actor: &Actor,
        command: DeletePusher,
    ) -> Result<(), StorageError> {
        let DeletePusher { app_id, pushkey } = command;
        let id = PusherId { user: actor.user_id().to_owned(), app_id, pushkey };
        disown(self.store(), &id).await
    }
}

fn check(pusher: &ShownPusher) -> Result<(), SetPusherError> {
    use SetPusherError::Invalid;
    if !(1..=PUSHKEY_BYTES_MAX).contains(&pusher.pushkey.len()) {
        return Err(Invalid("pushkey must have 1 to 512 bytes"));
    }
    if !(1..=APP_ID_BYTES_MAX).contains(&pusher.app_id.len()) {
        return Err(Invalid("app_id must have 1 to 64 bytes"));
    }
    if pusher.data.len() > PUSHER_DATA_BYTES_MAX {
        return Err(Invalid("data is too large"));
    }
    let texts = [
        Some(&pusher.url),
        Some(&pusher.app_display_name),
        Some(&pusher.device_display_name),
        pusher.profile_tag.as_ref(),
        Some(&pusher.lang),
    ];
    let too_long = |text: &&String| text.len() > PUSHER_TEXT_BYTES_MAX;
    if texts.iter().flatten().any(too_long) {
        return Err(Invalid("a text of the pusher is too long"));
    }
    Ok(())
}

/// Writes down whose the pushkey is, and takes it from others unless they may keep it.
async fn own(store: &Store, id: &PusherId, append: bool) -> Result<(), SetPusherError> {
    let wanted = id.clone();
    let read = store.read::<_, StorageError, _>(move |snapshot| {
        let key = (wanted.app_id.as_str(), wanted.pushkey.as_str());
        let mut others = Vec::new();
        for ((_, _, user), ()) in PUSHER_OWNER.scan_with(snapshot, Scan::prefix(key))? {
            if user != wanted.user && PUSHER.contains(snapshot, (&user, key.0, key.1))? {
                others.push(user);
            }
        }
        Ok(others)
    });
    let others: Vec<OwnedUserId> = read.await?;
    if append && others.len() >= USERS_PER_PUSHKEY_MAX {
        return Err(SetPusherError::TooMany);
    }
    if !append {
        for user in others {
            disown(store, &PusherId { user, ..id.clone() }).await?;
        }
    }
    let id = id.clone();
    let write = store.write::<_, StorageError, _>(SLOT, move |tx| {
        PUSHER_OWNER.put(tx, (id.app_id.as_str(), id.pushkey.as_str(), &id.user), &())
    });
    write.await?;
    Ok(())
}

/// Removes a pusher and what is known of its pushkey.
pub(crate) async fn disown(store: &Store, id: &PusherId) -> Result<(), StorageError> {
    let gone = id.clone();
    let slot = store.slot_of_user(&id.user);
    let write = store.write::<_, StorageError, _>(slot, move |tx| remove_pusher(tx, gone.key()));
    write.await?;
    let id = id.clone();
    let write = store.write::<_, StorageError, _>(SLOT, move |tx| {
        PUSHER_OWNER.delete(tx, (id.app_id.as_str(), id.pushkey.as_str(), &id.user))
    });
    write.await.map(drop)
}

fn put(tx: &mut Tx<'_>, id: &PusherId, row: &StoredPusher) -> Result<(), SetPusherError> {
    touch(tx, &id.user)?;
    if !is_open(tx, &id.user, row.device_id.as_deref())? {
        // It was logged out meanwhile, and its pushers went with it.
        return Ok(());
    }
    let old = PUSHER.get(tx, id.key())?;
    if old.is_none() {
        let others = PUSHER.scan(tx, (&id.user,), PUSHERS_PER_USER_MAX)?;
        if others.len() >= PUSHERS_PER_USER_MAX {
            return Err(SetPusherError::TooMany);
        }
    }
    let from: StoredCursor = old.map_or_else(|| row.from.clone(), |old| old.from);
    if tx.slot() == SLOT {
        // Who took the pushkey away in between removed this row.
        PUSHER_OWNER.put(tx, (id.app_id.as_str(), id.pushkey.as_str(), &id.user), &())?;
    }
    PUSHER.put(tx, id.key(), &StoredPusher { from, ..row.clone() })?;
    // Its gateway may be another one now.
    if let Some(standing) = PUSHER_STANDING.get(tx, id.key())? {
        let standing = StoredPusherStanding { badge: standing.badge, ..Default::default() };
        PUSHER_STANDING.put(tx, id.key(), &standing)?;
    }
    let (slot, stamp) = (tx.slot().0, tx.next_stamp());
    Ok(STREAM.put(tx, (slot, stamp), &StoredNews::User { user: id.user.clone() })?)
}

/// Whether the session that sets it is open. Sessions without a device are not kept.
fn is_open(tx: &Tx<'_>, user: &UserId, device: Option<&DeviceId>) -> Result<bool, StorageError> {
    match device {
        Some(device) => DEVICE_BY_USER.contains(tx, (user, device)),
        None => Ok(true),
    }
}

/// Whoever closes sessions scans the pushers of the user, and writes this.
fn touch(tx: &mut Tx<'_>, user: &UserId) -> Result<(), StorageError> {
    let changes = SESSION_GUARD.get(tx, (user,))?.unwrap_or_default();
    SESSION_GUARD.put(tx, (user,), &changes.wrapping_add(1))
}
