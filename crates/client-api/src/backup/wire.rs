//! Backups and room keys as they are written.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, value::RawValue};
use vestibule_http::{MatrixError, internal};
use vestibule_keys::{
    Json,
    backup::{Backup, BackupState, KeysOfRooms, RoomKey},
};

/// The version in the query.
#[derive(Debug, Deserialize)]
pub(super) struct Version {
    pub(super) version: String,
}

/// How the keys of a backup are encrypted.
#[derive(Debug, Deserialize)]
pub(super) struct NewBackupBody {
    pub(super) algorithm: String,
    pub(super) auth_data: Map<String, serde_json::Value>,
}

/// A JSON object as it is kept.
pub(super) fn raw(object: &Map<String, serde_json::Value>) -> Result<Json, MatrixError> {
    serde_json::value::to_raw_value(object).map_err(|error| internal(&error))
}

/// A backup, as a client is shown it.
#[derive(Debug, Serialize)]
pub(super) struct ShownBackup {
    algorithm: String,
    auth_data: Json,
    count: u64,
    etag: String,
    version: String,
}

impl From<Backup> for ShownBackup {
    fn from(backup: Backup) -> Self {
        let Backup { version, algorithm, auth_data, state } = backup;
        Self { algorithm, auth_data, count: state.count, etag: state.etag, version }
    }
}

/// What a change left.
#[derive(Debug, Serialize)]
pub(super) struct ShownState {
    etag: String,
    count: u64,
}

impl From<BackupState> for ShownState {
    fn from(state: BackupState) -> Self {
        Self { etag: state.etag, count: state.count }
    }
}

/// A room key.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct KeyBody {
    first_message_index: u64,
    forwarded_count: u64,
    is_verified: bool,
    session_data: Json,
}

impl KeyBody {
    pub(super) fn into_key(self) -> Result<RoomKey, MatrixError> {
        if !self.session_data.get().starts_with('{') {
            return Err(MatrixError::bad_json("`session_data` is not an object"));
        }
        Ok(RoomKey {
            first_message_index: self.first_message_index,
            forwarded_count: self.forwarded_count,
            is_verified: self.is_verified,
            session_data: self.session_data.get().to_owned(),
        })
    }

    pub(super) fn of(key: RoomKey) -> Result<Self, MatrixError> {
        let session_data =
            RawValue::from_string(key.session_data).map_err(|error| internal(&error))?;
        Ok(Self {
            first_message_index: key.first_message_index,
            forwarded_count: key.forwarded_count,
            is_verified: key.is_verified,
            session_data,
        })
    }
}

/// The keys of a room, by session.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct RoomBody {
    pub(super) sessions: BTreeMap<String, KeyBody>,
}

impl RoomBody {
    pub(super) fn into_keys(self) -> Result<BTreeMap<String, RoomKey>, MatrixError> {
        let keys = self.sessions.into_iter().map(|(session, key)| Ok((session, key.into_key()?)));
        keys.collect()
    }

    pub(super) fn of(keys: BTreeMap<String, RoomKey>) -> Result<Self, MatrixError> {
        let sessions = keys.into_iter().map(|(session, key)| Ok((session, KeyBody::of(key)?)));
        Ok(Self { sessions: sessions.collect::<Result<_, MatrixError>>()? })
    }
}

/// The keys of a backup, by room.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct RoomsBody {
    pub(super) rooms: BTreeMap<String, RoomBody>,
}

impl RoomsBody {
    pub(super) fn into_keys(self) -> Result<KeysOfRooms, MatrixError> {
        self.rooms.into_iter().map(|(room, keys)| Ok((room, keys.into_keys()?))).collect()
    }

    pub(super) fn of(keys: KeysOfRooms) -> Result<Self, MatrixError> {
        let rooms = keys.into_iter().map(|(room, keys)| Ok((room, RoomBody::of(keys)?)));
        Ok(Self { rooms: rooms.collect::<Result<_, MatrixError>>()? })
    }
}
