//! What a server says about its keys, judged.

use std::{cmp::Reverse, collections::BTreeMap};

use ruma::{
    CanonicalJsonObject, ServerName,
    serde::{Base64, base64::Standard},
};
use serde::Deserialize;
use vestibule_events::{PublicKeys, verify_json};
use vestibule_types::limits::{KEY_ID_BYTES_MAX, KEY_VALIDITY_MAX, KEYS_PER_SERVER_MAX};

use super::known::{KnownKey, ServerKeys};

/// Why an answer is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum AnswerError {
    #[error("not the keys of a server: {0}")]
    Malformed(String),
    #[error("the keys of another server")]
    OtherServer,
    #[error("more than {KEYS_PER_SERVER_MAX} keys")]
    TooManyKeys,
    #[error("no signature by a key of its own holds: {0}")]
    Unsigned(String),
}

#[derive(Deserialize)]
struct Written {
    server_name: String,
    verify_keys: BTreeMap<String, WrittenKey>,
    #[serde(default)]
    old_verify_keys: BTreeMap<String, WrittenOldKey>,
    valid_until_ts: u64,
}

#[derive(Deserialize)]
struct WrittenKey {
    key: String,
}

#[derive(Deserialize)]
struct WrittenOldKey {
    key: String,
    expired_ts: u64,
}

/// Reads an answer and joins it with what was known before: a key the server no longer names keeps the
/// validity it had.
pub(super) fn judge(
    server: &ServerName,
    answer: &str,
    before: Option<&ServerKeys>,
    now: u64,
) -> Result<ServerKeys, AnswerError> {
    let malformed = |error: serde_json::Error| AnswerError::Malformed(error.to_string());
    let object: CanonicalJsonObject = serde_json::from_str(answer).map_err(malformed)?;
    let written: Written = serde_json::from_str(answer).map_err(malformed)?;
    if written.server_name != server.as_str() {
        return Err(AnswerError::OtherServer);
    }
    if written.verify_keys.len() + written.old_verify_keys.len() > KEYS_PER_SERVER_MAX {
        return Err(AnswerError::TooManyKeys);
    }
    let validity_max = u64::try_from(KEY_VALIDITY_MAX.as_millis()).unwrap_or(u64::MAX);
    let valid_until = written.valid_until_ts.min(now.saturating_add(validity_max));
    let mut keys = BTreeMap::new();
    for (key_id, old) in written.old_verify_keys {
        let Some(public_key) = public_key(&key_id, &old.key) else { continue };
        let expired_at = Some(old.expired_ts);
        let valid_until = old.expired_ts;
        keys.insert(key_id, KnownKey { public_key, valid_until, expired_at, current: false });
    }
    for (key_id, key) in written.verify_keys {
        let Some(public_key) = public_key(&key_id, &key.key) else { continue };
        keys.insert(key_id, KnownKey { public_key, valid_until, expired_at: None, current: true });
    }
    verify_json(&object, server, &current(server, &keys))
        .map_err(|error| AnswerError::Unsigned(error.to_string()))?;
    remember(&mut keys, before);
    let answer = serde_json::to_vec(&object).map_err(malformed)?;
    Ok(ServerKeys { fetched_at: now, valid_until, answer, keys })
}

/// The key, if it is one that signatures can be checked with.
fn public_key(key_id: &str, key: &str) -> Option<Vec<u8>> {
    let name = key_id.strip_prefix("ed25519:")?;
    let bytes = Base64::<Standard>::parse(key).ok()?.into_inner();
    (bytes.len() == 32 && !name.is_empty() && key_id.len() <= KEY_ID_BYTES_MAX).then_some(bytes)
}

fn current(server: &ServerName, keys: &BTreeMap<String, KnownKey>) -> PublicKeys {
    let current = keys.iter().filter(|(_, key)| key.current);
    let current = current.map(|(id, key)| (id.clone(), Base64::new(key.public_key.clone())));
    PublicKeys::from([(server.to_string(), current.collect())])
}

/// Keeps keys of before that the answer does not name, those that were good last first.
fn remember(keys: &mut BTreeMap<String, KnownKey>, before: Option<&ServerKeys>) {
    let Some(before) = before else { return };
    let unnamed = before.keys.iter().filter(|(key_id, _)| !keys.contains_key(*key_id));
    let mut unnamed: Vec<_> =
        unnamed.map(|(id, key)| (id.clone(), KnownKey { current: false, ..key.clone() })).collect();
    unnamed.sort_by_key(|(_, key)| Reverse(key.valid_until));
    let room = KEYS_PER_SERVER_MAX.saturating_sub(keys.len());
    keys.extend(unnamed.into_iter().take(room));
}
