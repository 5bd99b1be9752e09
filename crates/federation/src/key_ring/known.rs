//! What is known of the keys of a server, and what each of them is good for.

use std::collections::{BTreeMap, BTreeSet};

use ruma::{OwnedServerName, serde::Base64};
use vestibule_events::{PublicKeys, RoomVersion};
use vestibule_storage::tables::server_key::{StoredServerKey, StoredServerKeys};

/// The keys of one server.
#[derive(Clone, Debug, Default)]
pub(crate) struct ServerKeys {
    /// When the answer came, in milliseconds since the Unix epoch.
    pub(crate) fetched_at: u64,
    /// Until when the current keys are good.
    pub(crate) valid_until: u64,
    /// The answer, canonical JSON.
    pub(crate) answer: Vec<u8>,
    /// By key id, `ed25519:name`.
    pub(crate) keys: BTreeMap<String, KnownKey>,
}

/// One key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KnownKey {
    pub(crate) public_key: Vec<u8>,
    /// Until when it is known to be good, in milliseconds since the Unix epoch.
    pub(crate) valid_until: u64,
    /// When it stopped being used.
    pub(crate) expired_at: Option<u64>,
    /// Whether the latest answer names it as a key in use.
    pub(crate) current: bool,
}

/// What a signature is on, which decides whether a key is good for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A request that arrived at this moment: only keys in use count.
    Request(u64),
    /// Something made at this moment; keys of before count up to their end.
    Object(u64),
    /// As `Object`, in a room version that ignores how long a key in use is said to be good.
    OldEvent(u64),
}

impl Purpose {
    /// What a signature on an event of this version is judged by (server-server API, "Validating hashes
    /// and signatures on received events"; room version 5, "Signing key validity period").
    pub(crate) fn of_event(version: RoomVersion, origin_server_ts: u64) -> Self {
        if version.rules().enforce_key_validity {
            Self::Object(origin_server_ts)
        } else {
            Self::OldEvent(origin_server_ts)
        }
    }
}

impl KnownKey {
    /// Whether a signature with this key counts.
    pub(crate) fn good_for(&self, purpose: Purpose) -> bool {
        match (purpose, self.expired_at) {
            (Purpose::Request(now), None) => self.current && now <= self.valid_until,
            (Purpose::Request(_), Some(_)) => false,
            (Purpose::Object(at), None) => at <= self.valid_until,
            (Purpose::OldEvent(_), None) => true,
            (Purpose::Object(at) | Purpose::OldEvent(at), Some(expired_at)) => at <= expired_at,
        }
    }
}

impl ServerKeys {
    /// The keys that are good for a purpose, among these.
    pub(crate) fn good_for(
        &self,
        purpose: Purpose,
        key_ids: &BTreeSet<String>,
    ) -> BTreeMap<String, Base64> {
        let good = |key_id: &&String| self.keys.get(*key_id).is_some_and(|k| k.good_for(purpose));
        let key = |key_id: &String| {
            let key = self.keys.get(key_id)?;
            Some((key_id.clone(), Base64::new(key.public_key.clone())))
        };
        key_ids.iter().filter(good).filter_map(key).collect()
    }
}

/// The keys of several servers, as signature checks take them.
pub(crate) fn public_keys(
    of: impl IntoIterator<Item = (OwnedServerName, BTreeMap<String, Base64>)>,
) -> PublicKeys {
    let good = of.into_iter().filter(|(_, keys)| !keys.is_empty());
    good.map(|(server, keys)| (server.to_string(), keys)).collect()
}

impl From<StoredServerKeys> for ServerKeys {
    fn from(stored: StoredServerKeys) -> Self {
        let key = |key: StoredServerKey| {
            let StoredServerKey { key_id, public_key, valid_until, expired_at, current } = key;
            (key_id, KnownKey { public_key, valid_until, expired_at, current })
        };
        Self {
            fetched_at: stored.fetched_at,
            valid_until: stored.valid_until,
            answer: stored.answer,
            keys: stored.keys.into_iter().map(key).collect(),
        }
    }
}

impl From<&ServerKeys> for StoredServerKeys {
    fn from(known: &ServerKeys) -> Self {
        let key = |(key_id, key): (&String, &KnownKey)| StoredServerKey {
            key_id: key_id.clone(),
            public_key: key.public_key.clone(),
            valid_until: key.valid_until,
            expired_at: key.expired_at,
            current: key.current,
        };
        Self {
            fetched_at: known.fetched_at,
            valid_until: known.valid_until,
            answer: known.answer.clone(),
            keys: known.keys.iter().map(key).collect(),
        }
    }
}
