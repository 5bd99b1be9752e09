//! What this service asks other servers.

use std::{collections::BTreeMap, time::Duration};

use ruma::{OwnedDeviceId, OwnedUserId, ServerName, UserId};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use vestibule_types::BoxFuture;

/// A JSON text.
pub type Json = Box<RawValue>;

/// Devices by user.
pub type DeviceIds = BTreeMap<OwnedUserId, Vec<OwnedDeviceId>>;

/// One-time keys by user, device, and algorithm and name.
pub type ClaimedKeys = BTreeMap<OwnedUserId, BTreeMap<OwnedDeviceId, BTreeMap<String, Json>>>;

/// Keys as they are shown to whoever asks.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct ShownKeys {
    /// Identity keys by user and device.
    pub device_keys: BTreeMap<OwnedUserId, BTreeMap<OwnedDeviceId, Json>>,
    /// Master keys.
    #[serde(default)]
    pub master_keys: BTreeMap<OwnedUserId, Json>,
    /// Self-signing keys.
    #[serde(default)]
    pub self_signing_keys: BTreeMap<OwnedUserId, Json>,
    /// User-signing keys: only ever the asker's own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub user_signing_keys: BTreeMap<OwnedUserId, Json>,
}

/// A device of another server's user.
#[derive(Debug)]
pub struct RemoteDevice {
    /// Which one.
    pub device_id: OwnedDeviceId,
    /// Its identity keys.
    pub keys: Json,
    /// Its name.
    pub display_name: Option<String>,
}

/// All devices of another server's user at one moment.
#[derive(Debug)]
pub struct RemoteDeviceList {
    /// The version of the list.
    pub stream_id: u64,
    /// The devices.
    pub devices: Vec<RemoteDevice>,
    /// The master key.
    pub master_key: Option<Json>,
    /// The self-signing key.
    pub self_signing_key: Option<Json>,
}

/// Why another server did not answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RemoteKeysError {
    /// It cannot be reached, or failed.
    #[error("the server cannot be reached")]
    Unreachable,
    /// It answered that there is no such thing, or that we may not have it.
    #[error("the server refused")]
    Refused,
    /// Its answer cannot be read.
    #[error("the server's answer is malformed")]
    Malformed,
}

/// What other servers answer about keys. Implementations bound the size of answers.
pub trait RemoteKeys: Send + Sync + 'static {
    /// The keys of users of a server. An empty list of devices asks for all of them.
    fn query<'a>(
        &'a self,
        server: &'a ServerName,
        devices: DeviceIds,
        wait: Duration,
    ) -> BoxFuture<'a, Result<ShownKeys, RemoteKeysError>>;

    /// One one-time key for each device named, of the algorithm named.
    fn claim<'a>(
        &'a self,
        server: &'a ServerName,
        devices: BTreeMap<OwnedUserId, BTreeMap<OwnedDeviceId, String>>,
        wait: Duration,
    ) -> BoxFuture<'a, Result<ClaimedKeys, RemoteKeysError>>;

    /// The device list of a user.
    fn device_list<'a>(
        &'a self,
        user: &'a UserId,
        wait: Duration,
    ) -> BoxFuture<'a, Result<RemoteDeviceList, RemoteKeysError>>;
}

/// A server that speaks with nobody.
#[derive(Debug)]
pub(crate) struct Alone;

impl RemoteKeys for Alone {
    fn query<'a>(
        &'a self,
        _: &'a ServerName,
        _: DeviceIds,
        _: Duration,
    ) -> BoxFuture<'a, Result<ShownKeys, RemoteKeysError>> {
        Box::pin(async { Err(RemoteKeysError::Unreachable) })
    }

    fn claim<'a>(
        &'a self,
        _: &'a ServerName,
        _: BTreeMap<OwnedUserId, BTreeMap<OwnedDeviceId, String>>,
        _: Duration,
    ) -> BoxFuture<'a, Result<ClaimedKeys, RemoteKeysError>> {
        Box::pin(async { Err(RemoteKeysError::Unreachable) })
    }

    fn device_list<'a>(
        &'a self,
        _: &'a UserId,
        _: Duration,
    ) -> BoxFuture<'a, Result<RemoteDeviceList, RemoteKeysError>> {
        Box::pin(async { Err(RemoteKeysError::Unreachable) })
    }
}
