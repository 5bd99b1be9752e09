//! Asking other servers about keys. What they tell of theirs comes in transactions.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use ruma::{
    OwnedDeviceId, OwnedUserId, ServerName, UserId,
    api::federation::{
        device::get_devices::v1 as get_devices,
        keys::{claim_keys::v1 as claim_keys, get_keys::v1 as get_keys},
    },
    serde::Raw,
};
use vestibule_keys::{
    ClaimedKeys, DeviceIds, Json, RemoteDevice, RemoteDeviceList, RemoteKeys, RemoteKeysError,
    ShownKeys,
};
use vestibule_remote::{CallOptions, Remote, RemoteError};
use vestibule_types::BoxFuture;

/// The keys that other servers have.
pub(crate) struct KeysElsewhere {
    remote: Remote,
}

impl KeysElsewhere {
    /// Asks over this way out.
    pub(crate) fn over(remote: Remote) -> Arc<Self> {
        Arc::new(Self { remote })
    }
}

fn within(wait: Duration) -> CallOptions {
    CallOptions { time_max: wait, ..CallOptions::default() }
}

impl RemoteKeys for KeysElsewhere {
    fn query<'a>(
        &'a self,
        server: &'a ServerName,
        devices: DeviceIds,
        wait: Duration,
    ) -> BoxFuture<'a, Result<ShownKeys, RemoteKeysError>> {
        Box::pin(async move {
            let request = get_keys::Request::new(devices);
            let answer = self.remote.call_with(server, request, within(wait)).await;
            let answer = answer.map_err(failed)?;
            Ok(ShownKeys {
                device_keys: answer
                    .device_keys
                    .into_iter()
                    .map(|(user, it)| (user, raw(it)))
                    .collect(),
                master_keys: raw(answer.master_keys),
                self_signing_keys: raw(answer.self_signing_keys),
                user_signing_keys: BTreeMap::new(),
            })
        })
    }

    fn claim<'a>(
        &'a self,
        server: &'a ServerName,
        devices: BTreeMap<OwnedUserId, BTreeMap<OwnedDeviceId, String>>,
        wait: Duration,
    ) -> BoxFuture<'a, Result<ClaimedKeys, RemoteKeysError>> {
        Box::pin(async move {
            let claims = devices.into_iter().map(|(user, devices)| {
                let devices = devices.into_iter();
                (user, devices.map(|(device, algorithm)| (device, algorithm.into())).collect())
            });
            let request = claim_keys::Request::new(claims.collect());
            let answer = self.remote.call_with(server, request, within(wait)).await;
            let keys = answer.map_err(failed)?.one_time_keys.into_iter();
            let of_device = |keys: BTreeMap<_, Raw<_>>| {
                keys.into_iter()
                    .map(|(id, key): (ruma::OwnedOneTimeKeyId, Raw<_>)| {
                        (id.to_string(), key.into_json())
                    })
                    .collect()
            };
            Ok(keys
                .map(|(user, devices)| {
                    let devices = devices.into_iter();
                    (user, devices.map(|(device, keys)| (device, of_device(keys))).collect())
                })
                .collect())
        })
    }

    fn device_list<'a>(
        &'a self,
        user: &'a UserId,
        wait: Duration,
    ) -> BoxFuture<'a, Result<RemoteDeviceList, RemoteKeysError>> {
        Box::pin(async move {
            let request = get_devices::Request::new(user.to_owned());
            let answer = self.remote.call_with(user.server_name(), request, within(wait)).await;
            let answer = answer.map_err(failed)?;
            if answer.user_id != user {
                return Err(RemoteKeysError::Malformed);
            }
            let devices = answer.devices.into_iter().map(|device| RemoteDevice {
                device_id: device.device_id,
                keys: device.keys.into_json(),
                display_name: device.device_display_name,
            });
            Ok(RemoteDeviceList {
                stream_id: answer.stream_id.into(),
                devices: devices.collect(),
                master_key: answer.master_key.map(Raw::into_json),
                self_signing_key: answer.self_signing_key.map(Raw::into_json),
            })
        })
    }
}

fn raw<K: Ord, T>(keys: BTreeMap<K, Raw<T>>) -> BTreeMap<K, Json> {
    keys.into_iter().map(|(key, json)| (key, json.into_json())).collect()
}

fn failed(error: RemoteError) -> RemoteKeysError {
    match error {
        RemoteError::Answered { status: 400..500, .. } => RemoteKeysError::Refused,
        RemoteError::BadAnswer { .. } | RemoteError::Request(_) => RemoteKeysError::Malformed,
        RemoteError::Answered { .. }
        | RemoteError::BackingOff { .. }
        | RemoteError::Refused(_)
        | RemoteError::Unreachable { .. } => RemoteKeysError::Unreachable,
        RemoteError::Storage(error) => {
            tracing::warn!(%error, "another server could not be asked for keys");
            RemoteKeysError::Unreachable
        }
    }
}
