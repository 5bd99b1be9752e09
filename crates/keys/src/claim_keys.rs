//! Giving one-time keys away: each of them once.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use ruma::{DeviceId, OwnedDeviceId, OwnedServerName, OwnedUserId, ServerName, UserId};
use serde_json::value::RawValue;
use tracing::instrument;
use vestibule_accounts::{Acquaintance, Refusal, known_subject};
use vestibule_policy::{Denial, Rate, RateKey, RateWho};
use vestibule_storage::{
    Scan, Stamped, StorageError, Tx,
    tables::{
        one_time_key::{
            FALLBACK_KEY, KEY_COUNT_POSITION, ONE_TIME_KEY, ONE_TIME_KEY_BY_ORDER,
            ONE_TIME_KEY_COUNT, SPENT_KEY, SPENT_KEY_BY_ORDER, SPENT_KEY_COUNT,
        },
        room::{STREAM, StoredNews},
    },
};
use vestibule_types::{
    Actor,
    limits::{
        KEYS_CLAIMED_ABROAD_AT_ONCE, KEYS_CLAIMED_ABROAD_PER_MINUTE,
        KEYS_CLAIMED_BY_SERVER_AT_ONCE, KEYS_CLAIMED_BY_SERVER_PER_MINUTE, KEYS_CLAIMED_MAX,
        REMOTE_KEYS_WAIT, REMOTE_KEYS_WAIT_MAX, SPENT_KEYS_REMEMBERED_MAX,
    },
};

use crate::{
    ClaimedKeys, Keys,
    ask::{Asked, KeyAct},
    elsewhere::{Question, by_server, everywhere},
    object::OneTimeKey,
    remote::{Json, RemoteKeysError},
    upload_keys::digest,
};

/// Claims of another server, each of up to [`KEYS_CLAIMED_MAX`] devices.
const SERVER_CLAIMS: Rate = Rate::per_minute(600, 600);

/// One-time keys of one user for one other server.
const FOR_SERVER: Rate =
    Rate::per_minute(KEYS_CLAIMED_BY_SERVER_PER_MINUTE, KEYS_CLAIMED_BY_SERVER_AT_ONCE);

/// One-time keys of one user for all other servers.
const FOR_SERVERS: Rate =
    Rate::per_minute(KEYS_CLAIMED_ABROAD_PER_MINUTE, KEYS_CLAIMED_ABROAD_AT_ONCE);

/// The algorithm wanted of each device of each user.
pub type Claims = BTreeMap<OwnedUserId, Devices>;

/// The algorithm wanted of each device.
type Devices = BTreeMap<OwnedDeviceId, String>;

/// Keys to be claimed.
#[derive(Debug, Default)]
pub struct ClaimKeys {
    /// From whom, and of which algorithm.
    pub one_time_keys: Claims,
    /// How long to wait for other servers.
    pub timeout: Option<Duration>,
}

/// Keys that were claimed.
#[derive(Debug, Default)]
pub struct Claimed {
    /// The keys.
    pub one_time_keys: ClaimedKeys,
    /// The servers that did not answer.
    pub failures: BTreeMap<OwnedServerName, RemoteKeysError>,
}

/// Why no keys were claimed.
#[derive(Debug, thiserror::Error)]
pub enum ClaimKeysError {
    /// Too many devices in one request.
    #[error("one request may not name so many devices")]
    TooMany,
    /// The policy refuses.
    #[error(transparent)]
    Denied(#[from] Denial),
    /// The keys could not be taken.
    #[error("could not take the keys")]
    Storage(#[from] StorageError),
}

impl From<Refusal> for ClaimKeysError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Denied(denial) => Self::Denied(denial),
            Refusal::Storage(error) => Self::Storage(error),
        }
    }
}

impl Keys {
    /// Takes one key of each device for the caller. Devices without one are left out, and so are
    /// people the caller's class may not reach.
    #[instrument(name = "keys.claim_keys", skip_all)]
    pub async fn claim_keys(
        &self,
        actor: &Actor,
        mut command: ClaimKeys,
    ) -> Result<Claimed, ClaimKeysError> {
        check_size(&command.one_time_keys)?;
        let acts = command.one_time_keys.keys().cloned().map(KeyAct::Claim).collect();
        let mut claimed = Claimed::default();
        let mut abroad = Claims::new();
        for asked in self.ask_all(actor, acts).await? {
            let KeyAct::Claim(target) = asked.act.clone() else { continue };
            let Some(devices) = command.one_time_keys.remove(&target) else { continue };
            if self.is_local(&target) {
                let keys = self.take_for(asked, target.clone(), devices).await?;
                insert(&mut claimed.one_time_keys, target, keys);
            } else {
                abroad.insert(target, devices);
            }
        }
        let wait = command.timeout.unwrap_or(REMOTE_KEYS_WAIT).min(REMOTE_KEYS_WAIT_MAX);
        self.claim_abroad(abroad, wait, &mut claimed).await;
        Ok(claimed)
    }

    /// Takes one key of each device for users of another server. People whose class keeps to its
    /// scope are reached where a room is shared with that server. Whoever asks for many keys of one user
    /// gets the fallback keys, so that no server takes the keys meant for everybody else.
    #[instrument(name = "keys.claim_keys_for_server", skip_all)]
    pub async fn claim_keys_for_server(
        &self,
        origin: &ServerName,
        claims: Claims,
    ) -> Result<ClaimedKeys, ClaimKeysError> {
        check_size(&claims)?;
        let parts = &self.inner.parts;
        let now = parts.environment.clock.monotonic();
        parts.rates.charge_server(origin, (RateKey::Keys, SERVER_CLAIMS), now)?;
        let mut claimed = ClaimedKeys::new();
        for (target, devices) in claims {
            if !self.is_local(&target) || !self.is_within_reach(origin, &target).await? {
                continue;
            }
            let spared = self.spared(origin, &target, &devices).await?;
            let owner = target.clone();
            let taken = self.write(&target, move |tx| take_all(tx, &owner, (&devices, &spared)));
            let keys = taken.await.map_err(ClaimKeysError::Storage)?;
            insert(&mut claimed, target, keys);
        }
        Ok(claimed)
    }

    /// Whether users of another server may begin conversations with an account of ours.
    async fn is_within_reach(
        &self,
        origin: &ServerName,
        target: &UserId,
    ) -> Result<bool, StorageError> {
        let parts = &self.inner.parts;
        let owner = target.to_owned();
        let subject = match self.store().read(move |read| known_subject(read, &owner)).await {
            Ok(subject) => subject,
            Err(Refusal::Denied(_)) => return Ok(false),
            Err(Refusal::Storage(error)) => return Err(error),
        };
        if !parts.policy.current().is_scoped(&subject.class) {
            return Ok(true);
        }
        parts.rooms.share_room_with_server(target, origin).await
    }

    /// Charges another server for the one-time keys it would get of a user, and says of which devices it
    /// gets none.
    async fn spared(
        &self,
        origin: &ServerName,
        target: &UserId,
        devices: &Devices,
    ) -> Result<BTreeSet<OwnedDeviceId>, StorageError> {
        let (owner, asked) = (target.to_owned(), devices.clone());
        let with_keys = self.store().read::<_, StorageError, _>(move |read| {
            let mut with_keys = Vec::new();
            for (device, algorithm) in asked {
                if ONE_TIME_KEY_COUNT.get(read, (&owner, &device, &algorithm))? > 0 {
                    with_keys.push(device);
                }
            }
            Ok(with_keys)
        });
        let with_keys = with_keys.await?;
        let parts = &self.inner.parts;
        let now = parts.environment.clock.monotonic();
        let is_spared = |_: &OwnedDeviceId| {
            let between = RateWho::Between(origin.to_owned(), target.to_owned());
            let all = RateWho::Subject(target.to_owned());
            let buckets = [(between, FOR_SERVER), (all, FOR_SERVERS)];
            parts.rates.charge_servers(RateKey::Keys, buckets, now).is_err()
        };
        Ok(with_keys.into_iter().filter(is_spared).collect())
    }

    async fn take_for(
        &self,
        asked: Asked,
        target: OwnedUserId,
        devices: Devices,
    ) -> Result<Taken, ClaimKeysError> {
        let slot_of = target.clone();
        self.write(&slot_of, move |tx| {
            asked.spend(tx)?;
            Ok(take_all(tx, &target, (&devices, &BTreeSet::new()))?)
        })
        .await
    }

    async fn claim_abroad(&self, claims: Claims, wait: Duration, claimed: &mut Claimed) {
        let ask = |(server, claims): (OwnedServerName, Claims)| -> Question<_> {
            let keys = self.clone();
            Box::pin(async move {
                let wanted = claims.clone();
                let answer = keys.remote().claim(&server, claims, wait).await;
                (server, wanted, answer)
            })
        };
        let asking = by_server(claims).into_iter().map(ask).collect();
        for (server, wanted, answer) in everywhere(asking).await {
            match answer {
                Ok(keys) => claimed.one_time_keys.extend(only_wanted(keys, &wanted)),
                Err(error) => {
                    claimed.failures.insert(server, error);
                }
            }
        }
    }
}

type Taken = BTreeMap<OwnedDeviceId, BTreeMap<String, Json>>;

fn check_size(claims: &Claims) -> Result<(), ClaimKeysError> {
    let devices: usize = claims.values().map(BTreeMap::len).sum();
    if devices > KEYS_CLAIMED_MAX { Err(ClaimKeysError::TooMany) } else { Ok(()) }
}

fn insert(claimed: &mut ClaimedKeys, target: OwnedUserId, keys: Taken) {
    if !keys.is_empty() {
        claimed.insert(target, keys);
    }
}

/// What was asked for: another server may not slip in keys of somebody else.
fn only_wanted(keys: ClaimedKeys, wanted: &Claims) -> ClaimedKeys {
    let mut kept = ClaimedKeys::new();
    for (user, mut devices) in keys {
        let Some(wanted) = wanted.get(&user) else { continue };
        devices.retain(|device, _| wanted.contains_key(device));
        insert(&mut kept, user, devices);
    }
    kept
}

/// Takes one key of each device: of those to be spared the one that is lent.
fn take_all(
    tx: &mut Tx<'_>,
    owner: &UserId,
    (devices, spared): (&Devices, &BTreeSet<OwnedDeviceId>),
) -> Result<Taken, StorageError> {
    let mut taken = Taken::new();
    for (device, algorithm) in devices {
        let of = (owner, &**device);
        let oldest = if spared.contains(device) { None } else { take(tx, of, algorithm)? };
        let given = match oldest {
            Some(key) => Some(key),
            None => lend(tx, of, algorithm)?,
        };
        if let Some((name, json)) = given {
            let key = BTreeMap::from([(format!("{algorithm}:{name}"), json)]);
            taken.insert(device.clone(), key);
        }
    }
    if !taken.is_empty() {
        let (slot, stamp) = (tx.slot().0, tx.next_stamp());
        STREAM.put(tx, (slot, stamp), &StoredNews::User { user: owner.to_owned() })?;
        for device in taken.keys() {
            KEY_COUNT_POSITION.put(tx, (owner, device), &Stamped::new(stamp, ()))?;
        }
    }
    Ok(taken)
}

/// Takes the oldest key.
fn take(
    tx: &mut Tx<'_>,
    (owner, device): (&UserId, &DeviceId),
    algorithm: &str,
) -> Result<Option<(String, Json)>, StorageError> {
    let oldest = Scan::prefix((owner, device, algorithm)).limit(1);
    for (place, name) in ONE_TIME_KEY_BY_ORDER.scan_with(tx, oldest)? {
        let key = (owner, device, algorithm, name.as_str());
        // Asserted: of two who take it one finds it gone and takes the next.
        let Some(row) = ONE_TIME_KEY.get(tx, key)? else { continue };
        ONE_TIME_KEY.delete(tx, key)?;
        ONE_TIME_KEY_BY_ORDER.delete(tx, &place)?;
        ONE_TIME_KEY_COUNT.add(tx, (owner, device, algorithm), -1)?;
        let key = OneTimeKey { algorithm: algorithm.to_owned(), name, json: row.value };
        remember(tx, (owner, device), &key)?;
        return Ok(Some((key.name, json(key.json)?)));
    }
    Ok(None)
}

/// Lends the key for when there is none to take.
fn lend(
    tx: &mut Tx<'_>,
    (owner, device): (&UserId, &DeviceId),
    algorithm: &str,
) -> Result<Option<(String, Json)>, StorageError> {
    let Some(mut fallback) = FALLBACK_KEY.get(tx, (owner, device, algorithm))? else {
        return Ok(None);
    };
    if !fallback.used {
        fallback.used = true;
        FALLBACK_KEY.put(tx, (owner, device, algorithm), &fallback)?;
    }
    Ok(Some((fallback.key_name, json(fallback.json)?)))
}

/// Remembers a key as given out, and forgets the oldest such when there are many.
fn remember(
    tx: &mut Tx<'_>,
    (owner, device): (&UserId, &DeviceId),
    key: &OneTimeKey,
) -> Result<(), StorageError> {
    let digest = digest(&key.unsigned());
    let stamp = tx.next_stamp();
    SPENT_KEY.put(tx, (owner, device, digest), &())?;
    SPENT_KEY_BY_ORDER.put(tx, (owner, device, stamp), &digest.to_vec())?;
    SPENT_KEY_COUNT.add(tx, (owner, device), 1)?;
    let remembered_max = u64::try_from(SPENT_KEYS_REMEMBERED_MAX).unwrap_or(u64::MAX);
    if SPENT_KEY_COUNT.get(&tx.fixed(), (owner, device))? <= remembered_max {
        return Ok(());
    }
    for (place, digest) in SPENT_KEY_BY_ORDER.scan(tx, (owner, device), 1)? {
        let Ok(digest) = <[u8; 32]>::try_from(digest) else { continue };
        SPENT_KEY.delete(tx, (owner, device, digest))?;
        SPENT_KEY_BY_ORDER.delete(tx, place)?;
        SPENT_KEY_COUNT.add(tx, (owner, device), -1)?;
    }
    Ok(())
}

fn json(text: String) -> Result<Json, StorageError> {
    RawValue::from_string(text).map_err(|error| StorageError::corrupt("one_time_key", error))
}
