//! Getting the keys of users of another server: out of the copy that is kept while a room is shared
//! with them, else from their server.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use ruma::{OwnedUserId, ServerName, UserId};
use tokio::sync::Semaphore;
use vestibule_accounts::list_change::tell_clients;
use vestibule_storage::{
    Stamp, StorageError, Tx,
    tables::{
        cross_signing::{CROSS_SIGNING_KEY, StoredSigningKey},
        device_key::{DEVICE_KEY, StoredDeviceKey},
        device_list::{DEVICE_LIST_POSITION, REMOTE_DEVICE_LIST, StoredRemoteDeviceList},
    },
};
use vestibule_types::limits::{
    LIST_FETCHES_MAX, LIST_FETCHES_WAITING_MAX, REMOTE_DEVICES_MAX, REMOTE_KEYS_WAIT_MAX,
};

use super::{fetched::Fetched, is_tracked};
use crate::{
    DeviceIds, Keys, RemoteKeysError, ShownKeys,
    object::{CrossSigningKey, Usage},
    query_keys::merge,
    show::{Sight, Viewer},
};

/// Up to so many lists of one server are fetched one by one, with their versions; more are asked
/// for in one question.
const LISTS_ONE_BY_ONE: usize = 4;

/// The pauses between attempts to fetch a list nobody waits for. After that it is fetched when it
/// is asked for.
const PAUSES: [Duration; 3] =
    [Duration::from_secs(5), Duration::from_mins(1), Duration::from_mins(10)];

/// Lists that are being fetched.
#[derive(Debug)]
pub(crate) struct Fetches {
    /// One fetch of a list at a time.
    turns: Mutex<HashMap<OwnedUserId, Arc<tokio::sync::Mutex<()>>>>,
    /// How many are fetched although nobody waits.
    quiet: Arc<Semaphore>,
    /// How many wait for that.
    waiting: AtomicUsize,
}

impl Default for Fetches {
    fn default() -> Self {
        Self {
            turns: Mutex::default(),
            quiet: Arc::new(Semaphore::new(LIST_FETCHES_MAX)),
            waiting: AtomicUsize::new(0),
        }
    }
}

impl Fetches {
    fn turn(&self, user: &UserId) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.turns.lock();
        turns.retain(|_, turn| Arc::strong_count(turn) > 1);
        Arc::clone(turns.entry(user.to_owned()).or_default())
    }
}

/// How much of what was asked is here.
#[derive(Debug, Default)]
struct Sorted {
    /// Lists that are kept and hold everything.
    fresh: DeviceIds,
    /// Lists that would be kept, and where each was in the stream of changes.
    wanted: BTreeMap<OwnedUserId, Option<Stamp>>,
    /// Lists of people no room is shared with.
    foreign: DeviceIds,
}

impl Keys {
    /// The keys of users of one other server. With what is known when it does not answer.
    pub(crate) async fn ask_server(
        &self,
        server: &ServerName,
        viewer: &Viewer,
        devices: DeviceIds,
        wait: Duration,
    ) -> Result<(ShownKeys, Option<RemoteKeysError>), StorageError> {
        let mut shown = ShownKeys::default();
        let mut sorted = self.sort(devices.clone()).await?;
        self.show_all(viewer, sorted.fresh, &mut shown).await?;
        let mut failure = None;
        if sorted.wanted.len() <= LISTS_ONE_BY_ONE {
            for user in sorted.wanted.clone().into_keys() {
                match self.fetch_list(&user, wait).await? {
                    Ok(()) => {
                        sorted.wanted.remove(&user);
                        let own = devices.get(&user).cloned().unwrap_or_default();
                        let own = DeviceIds::from([(user, own)]);
                        self.show_all(viewer, own, &mut shown).await?;
                    }
                    Err(RemoteKeysError::Unreachable) => {
                        failure = Some(RemoteKeysError::Unreachable);
                        break;
                    }
                    // Servers differ in what they answer here; the question below is the older one.
                    Err(RemoteKeysError::Refused | RemoteKeysError::Malformed) => {}
                }
            }
        }
        let mut question = sorted.foreign;
        question.extend(sorted.wanted.keys().map(|user| (user.clone(), Vec::new())));
        if failure.is_some() || question.is_empty() {
            return Ok((shown, failure));
        }
        let asked: BTreeSet<OwnedUserId> = question.keys().cloned().collect();
        let answer = match self.remote().query(server, question, wait).await {
            Ok(answer) => Fetched::of_answer(answer, &asked),
            Err(failure) => return Ok((shown, Some(failure))),
        };
        for (user, fetched) in &answer {
            if let Some(position) = sorted.wanted.get(user) {
                self.store_list(user, (fetched.clone(), None), *position).await?;
            }
        }
        let viewer = viewer.clone();
        let foreign = self.store().read::<_, StorageError, _>(move |read| {
            let mut foreign = ShownKeys::default();
            for (user, fetched) in answer {
                let sight = Sight::new(read, &viewer, &user)?;
                let wanted = devices.get(&user).map(Vec::as_slice).unwrap_or_default();
                fetched.show(&sight, (&user, wanted), &mut foreign)?;
            }
            Ok(foreign)
        });
        merge(&mut shown, foreign.await?);
        Ok((shown, None))
    }

    async fn sort(&self, devices: DeviceIds) -> Result<Sorted, StorageError> {
        let here = self.server_name().to_owned();
        self.store()
            .read(move |read| {
                let mut sorted = Sorted::default();
                for (user, devices) in devices {
                    if !is_tracked(read, &here, &user)? {
                        sorted.foreign.insert(user, devices);
                        continue;
                    }
                    let list = REMOTE_DEVICE_LIST.get(read, (&user,))?;
                    if list.is_some_and(|list| list.fresh) {
                        sorted.fresh.insert(user, devices);
                    } else {
                        let position = DEVICE_LIST_POSITION.get(read, (&user,))?;
                        sorted.wanted.insert(user, position.map(|it| it.stamp));
                    }
                }
                Ok(sorted)
            })
            .await
    }

    /// Fetches the list of a user with whom a room is shared, unless it is here by now.
    pub(crate) async fn fetch_list(
        &self,
        user: &UserId,
        wait: Duration,
    ) -> Result<Result<(), RemoteKeysError>, StorageError> {
        let turn = self.inner.fetches.turn(user);
        let _one_at_a_time = turn.lock().await;
        let devices = DeviceIds::from([(user.to_owned(), Vec::new())]);
        let Some(position) = self.sort(devices).await?.wanted.remove(user) else {
            return Ok(Ok(()));
        };
        match self.remote().device_list(user, wait).await {
            Ok(list) => {
                let version = list.stream_id;
                let fetched = Fetched::of_list(user, list);
                self.store_list(user, (fetched, Some(version)), position).await.map(Ok)
            }
            Err(error) => Ok(Err(error)),
        }
    }

    /// Fetches the list of a user in the background.
    pub(crate) fn fetch_soon(&self, user: OwnedUserId) {
        let waiting = &self.inner.fetches.waiting;
        if waiting.fetch_add(1, Ordering::Relaxed) >= LIST_FETCHES_WAITING_MAX {
            waiting.fetch_sub(1, Ordering::Relaxed);
            return;
        }
        let (keys, quiet) = (self.clone(), Arc::clone(&self.inner.fetches.quiet));
        let environment = self.inner.parts.environment.clone();
        let spawner = environment.spawner.clone();
        let work = async move {
            let mut stopping = environment.spawner.stopping();
            for pause in PAUSES {
                let turn = quiet.acquire().await;
                let fetched = keys.fetch_list(&user, REMOTE_KEYS_WAIT_MAX).await;
                drop(turn);
                if !matches!(fetched, Ok(Err(RemoteKeysError::Unreachable))) {
                    break;
                }
                tokio::select! {
                    biased;
                    () = &mut stopping => break,
                    () = environment.clock.sleep(pause) => {}
                }
            }
            keys.inner.fetches.waiting.fetch_sub(1, Ordering::Relaxed);
        };
        spawner.spawn("keys.fetch_list", Box::pin(work));
    }

    /// Stores a list that was fetched. It is fresh unless an update came in meanwhile.
    async fn store_list(
        &self,
        user: &UserId,
        (fetched, version): (Fetched, Option<u64>),
        position: Option<Stamp>,
    ) -> Result<(), StorageError> {
        let owner = user.to_owned();
        self.write(user, move |tx| {
            let known = REMOTE_DEVICE_LIST.get(tx, (&owner,))?.is_some();
            let now = DEVICE_LIST_POSITION.get(tx, (&owner,))?.map(|it| it.stamp);
            let list = StoredRemoteDeviceList {
                fresh: now == position,
                updates: version.into_iter().collect(),
            };
            REMOTE_DEVICE_LIST.put(tx, (&owner,), &list)?;
            let changed = replace(tx, &owner, &fetched)?;
            // Of a list that was never here nobody was told anything else.
            if changed && known { tell_clients(tx, &owner) } else { Ok(()) }
        })
        .await
    }
}

/// Puts the keys in the place of those that were here. Says whether they differ.
fn replace(tx: &mut Tx<'_>, owner: &UserId, fetched: &Fetched) -> Result<bool, StorageError> {
    let mut changed = false;
    for ((_, device), _) in DEVICE_KEY.scan(tx, (owner,), REMOTE_DEVICES_MAX)? {
        if !fetched.devices.contains_key(&device) {
            DEVICE_KEY.delete(tx, (owner, &device))?;
            changed = true;
        }
    }
    for (device, it) in &fetched.devices {
        let (json, display_name) = (Some(it.keys.to_json()), it.display_name.clone());
        let row = StoredDeviceKey { json, display_name };
        if DEVICE_KEY.get(tx, (owner, device))?.as_ref() != Some(&row) {
            DEVICE_KEY.put(tx, (owner, device), &row)?;
            changed = true;
        }
    }
    changed |= put_signing_key(tx, owner, Usage::Master, fetched.master.as_ref())?;
    changed |= put_signing_key(tx, owner, Usage::SelfSigning, fetched.self_signing.as_ref())?;
    Ok(changed)
}

/// Stores a cross-signing key, or that there is none. Says whether that is new.
pub(crate) fn put_signing_key(
    tx: &mut Tx<'_>,
    owner: &UserId,
    usage: Usage,
    key: Option<&CrossSigningKey>,
) -> Result<bool, StorageError> {
    let row = key
        .map(|key| StoredSigningKey { public_key: key.public.clone(), json: key.object.to_json() });
    let place = (owner, usage.row());
    if CROSS_SIGNING_KEY.get(tx, place)? == row {
        return Ok(false);
    }
    match row {
        Some(row) => CROSS_SIGNING_KEY.put(tx, place, &row)?,
        None => CROSS_SIGNING_KEY.delete(tx, place)?,
    }
    Ok(true)
}
