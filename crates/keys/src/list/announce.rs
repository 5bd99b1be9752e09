//! Telling other servers what changed about the keys of users of this one.
//!
//! News is written with the change itself. Here each piece becomes a message to every server that
//! shares a room with the user, queued in the same batch that removes the news.

use std::collections::BTreeSet;

use ruma::{OwnedServerName, OwnedUserId, ServerName, UserId};
use serde_json::{Map, Value, json};
use vestibule_storage::{
    Read, Scan, SlotNo, Stamp, StorageError,
    outbox::queue_newest,
    tables::{
        account::DEVICE_BY_USER,
        device_key::DEVICE_KEY,
        device_list::{
            DEVICE_LIST_NEWS, DEVICE_LIST_VERSION, JOINED_ROOM_BY_USER, StoredDeviceListNews,
            StoredListChange,
        },
        room::SERVER_BY_ROOM,
        sender::StoredEdu,
    },
};
use vestibule_types::{
    RoomNo,
    limits::{JOINED_ROOMS_MAX, SERVERS_TOLD_MAX},
};

use crate::{
    Keys,
    object::Usage,
    show::{Sight, Viewer},
};

const SIGNING_KEY_UPDATE: &str = "m.signing_key_update";

/// Pieces of news looked at together.
const NEWS_AT_ONCE: usize = 32;

impl Keys {
    /// Queues what other servers have to be told.
    pub(crate) async fn announce(&self) -> Result<(), StorageError> {
        for slot in 0..self.store().slots() {
            while self.announce_some(SlotNo(slot)).await? {}
        }
        Ok(())
    }

    /// Says whether there may be more.
    async fn announce_some(&self, slot: SlotNo) -> Result<bool, StorageError> {
        let here = self.server_name().to_owned();
        let letters = self
            .store()
            .read::<_, StorageError, _>(move |read| {
                let news = DEVICE_LIST_NEWS.scan(read, (slot.0,), NEWS_AT_ONCE)?;
                let letters = news
                    .into_iter()
                    .map(|((_, stamp), news)| Ok((stamp, letter(read, &here, &news)?)));
                letters.collect::<Result<Vec<(Stamp, Option<Letter>)>, StorageError>>()
            })
            .await?;
        let more = letters.len() == NEWS_AT_ONCE;
        let (mut quiet, mut loud) = (Vec::new(), Vec::new());
        for (stamp, letter) in letters {
            match letter {
                Some(letter) => loud.push((stamp, letter)),
                None => quiet.push(stamp),
            }
        }
        if !quiet.is_empty() {
            // What concerns no other server, as most logins, is done with together.
            let done = self.store().write::<_, StorageError, _>(slot, move |tx| {
                quiet.iter().try_for_each(|stamp| DEVICE_LIST_NEWS.delete(tx, (slot.0, *stamp)))
            });
            done.await?;
        }
        for (stamp, letter) in loud {
            let queued = self.store().write::<_, StorageError, _>(slot, move |tx| {
                if !DEVICE_LIST_NEWS.contains(tx, (slot.0, stamp))? {
                    return Ok(());
                }
                DEVICE_LIST_NEWS.delete(tx, (slot.0, stamp))?;
                // A server that misses one of several updates finds out with the next one.
                let servers = letter.servers.clone();
                queue_newest(tx, servers, &letter.edu, &letter.key).map(drop)
            });
            queued.await?;
        }
        Ok(more)
    }
}

/// A message and to whom it goes.
struct Letter {
    servers: BTreeSet<OwnedServerName>,
    edu: StoredEdu,
    /// Whose and what: of these the newest is enough.
    key: String,
}

fn letter(
    read: &impl Read,
    here: &ServerName,
    news: &StoredDeviceListNews,
) -> Result<Option<Letter>, StorageError> {
    let user = &news.user;
    let (servers, edu) = match &news.change {
        StoredListChange::Device { device, version } => {
            let edu = device_update(read, user, device, *version)?;
            (servers_of(read, user, None)?, Some(edu))
        }
        StoredListChange::SigningKeys => {
            (servers_of(read, user, None)?, Some(signing_keys(read, user)?))
        }
        StoredListChange::CameInto { room } => {
            let known = servers_of(read, user, Some(*room))?;
            let mut servers = BTreeSet::new();
            add_servers(read, *room, &mut servers)?;
            (servers.difference(&known).cloned().collect(), latest(read, user)?)
        }
    };
    let mut servers: BTreeSet<OwnedServerName> = servers;
    servers.remove(here);
    Ok(edu.filter(|_| !servers.is_empty()).map(|edu| {
        let key = format!("{} {user}", edu.edu_type);
        Letter { servers, edu, key }
    }))
}

/// The servers in the rooms of a user, but for one of the rooms.
fn servers_of(
    read: &impl Read,
    user: &UserId,
    but: Option<RoomNo>,
) -> Result<BTreeSet<OwnedServerName>, StorageError> {
    let mut servers = BTreeSet::new();
    for ((_, room), ()) in JOINED_ROOM_BY_USER.scan(read, (user,), JOINED_ROOMS_MAX)? {
        if Some(room) != but {
            add_servers(read, room, &mut servers)?;
        }
    }
    Ok(servers)
}

fn add_servers(
    read: &impl Read,
    room: RoomNo,
    servers: &mut BTreeSet<OwnedServerName>,
) -> Result<(), StorageError> {
    let left = SERVERS_TOLD_MAX.saturating_sub(servers.len());
    let rows = SERVER_BY_ROOM.scan_with(read, Scan::prefix((room,)).limit(left))?;
    servers.extend(rows.into_iter().map(|((_, server), _)| server));
    Ok(())
}

fn device_update(
    read: &impl Read,
    user: &OwnedUserId,
    device: &ruma::DeviceId,
    version: u64,
) -> Result<StoredEdu, StorageError> {
    let mut content = Map::new();
    content.insert("user_id".to_owned(), user.as_str().into());
    content.insert("device_id".to_owned(), device.as_str().into());
    content.insert("stream_id".to_owned(), version.into());
    let before: Vec<u64> = version.checked_sub(1).filter(|it| *it > 0).into_iter().collect();
    content.insert("prev_id".to_owned(), before.into());
    if let Some(row) = DEVICE_BY_USER.get(read, (user, device))? {
        let sight = Sight::new(read, &Viewer::Server, user)?;
        if let Some(mut object) = sight.device(read, device)? {
            object.remove_unsigned();
            content.insert("keys".to_owned(), json!(object.object()));
        }
        if let Some(name) = row.display_name {
            content.insert("device_display_name".to_owned(), name.into());
        }
    } else {
        content.insert("deleted".to_owned(), true.into());
    }
    Ok(edu("m.device_list_update", content))
}

fn signing_keys(read: &impl Read, user: &OwnedUserId) -> Result<StoredEdu, StorageError> {
    let sight = Sight::new(read, &Viewer::Server, user)?;
    let mut content = Map::new();
    content.insert("user_id".to_owned(), user.as_str().into());
    let keys = [("master_key", Usage::Master), ("self_signing_key", Usage::SelfSigning)];
    for (field, usage) in keys {
        if let Some(key) = sight.signing_key(read, usage)? {
            content.insert(field.to_owned(), json!(key));
        }
    }
    // It tells all of them, so of several that wait only the newest counts.
    let key = Some(format!("{SIGNING_KEY_UPDATE} {user}"));
    Ok(StoredEdu { key, ..edu(SIGNING_KEY_UPDATE, content) })
}

/// The newest update once more, about any of the devices. Who has the list knows it already, who
/// has an older one learns that it is old.
fn latest(read: &impl Read, user: &OwnedUserId) -> Result<Option<StoredEdu>, StorageError> {
    let Some(version) = DEVICE_LIST_VERSION.get(read, (user,))? else { return Ok(None) };
    let with_keys = DEVICE_KEY.scan(read, (user,), 1)?.into_iter().map(|((_, device), _)| device);
    let any = DEVICE_BY_USER.scan(read, (user,), 1)?.into_iter().map(|((_, device), _)| device);
    let Some(device) = with_keys.chain(any).next() else { return Ok(None) };
    device_update(read, user, &device, version).map(Some)
}

fn edu(edu_type: &str, content: Map<String, Value>) -> StoredEdu {
    let content = Value::Object(content).to_string();
    StoredEdu { edu_type: edu_type.to_owned(), content, key: None }
}
