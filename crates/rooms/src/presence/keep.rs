//! Writing down what users said of themselves and when they were last active, and reading it again.
//!
//! What is said is on disk before the caller hears of it. Last activity changes with everything that
//! is done, so it is written now and then, and once more when the server stops.

use std::{collections::BTreeMap, time::Duration};

use ruma::{OwnedUserId, UserId};
use vestibule_storage::{
    Read, StorageError,
    tables::{
        account::{ACCOUNT_BY_ID, StoredAccountState},
        presence::{PRESENCE_BY_USER, StoredAvailability, StoredPresence},
    },
};
use vestibule_types::limits::{PRESENCE_KEPT_EVERY, PRESENCE_KEPT_PER_BATCH};

use super::{
    Availability, Presence, UserPresence,
    person::{Here, Said, Told, against_devices},
};
use crate::Rooms;

/// When somebody last did something, and what they set.
type Active = (OwnedUserId, (Duration, Option<Availability>));

impl Presence {
    /// Whether somebody of this server is remembered.
    fn remembers(&self, user: &UserId) -> bool {
        self.state.lock().people.get(user).is_some_and(|person| person.here.is_some())
    }

    /// Remembers somebody of this server as they were written down, unless they are remembered.
    fn recall(&self, user: &UserId, row: StoredPresence, now: Duration) {
        let mut state = self.state.lock();
        let person = state.person(user);
        if person.here.is_none() {
            // Others were told that before.
            person.told = Told { status: row.status.clone(), ..Told::default() };
            person.here = Some(Here::recalled(row, now));
        }
    }

    /// Forgets what somebody said: their account is gone.
    pub(crate) fn forget(&self, user: &UserId, now: Duration) {
        self.known(user, now, |here| *here = Here::default());
    }

    /// Takes those of whom there is something to write down.
    fn take_unkept(&self) -> Vec<Active> {
        let mut state = self.state.lock();
        let users = std::mem::take(&mut state.unkept);
        let kept = users.into_iter().filter_map(|user| {
            let here = state.people.get_mut(&user)?.here.as_mut()?;
            Some((user, here.keep()))
        });
        kept.collect()
    }
}

impl Rooms {
    /// Begins to write down now and then when users were last active. It ends with one last time
    /// when the server stops.
    pub fn start(&self) {
        if !self.inner.presence.config().enabled {
            return;
        }
        let (rooms, environment) = (self.clone(), self.inner.env.clone());
        let spawner = environment.spawner.clone();
        let work = async move {
            let mut stopping = environment.spawner.stopping();
            loop {
                let stop = tokio::select! {
                    biased;
                    () = &mut stopping => true,
                    () = environment.clock.sleep(PRESENCE_KEPT_EVERY) => false,
                };
                if let Err(error) = rooms.keep_presence().await {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "it was not written when users were last active"
                    );
                }
                if stop {
                    break;
                }
            }
        };
        spawner.spawn("rooms.keep_presence", Box::pin(work));
    }

    /// Writes down who was active since the last time.
    pub async fn keep_presence(&self) -> Result<(), StorageError> {
        let mut by_slot: BTreeMap<_, Vec<Active>> = BTreeMap::new();
        for active in self.inner.presence.take_unkept() {
            by_slot.entry(self.inner.store.slot_of_user(&active.0)).or_default().push(active);
        }
        for (slot, people) in by_slot {
            for batch in people.chunks(PRESENCE_KEPT_PER_BATCH) {
                let batch = batch.to_vec();
                let write = self.inner.store.write::<_, StorageError, _>(slot, move |tx| {
                    let users = || batch.iter().map(|(user, _)| (user,));
                    let rows = PRESENCE_BY_USER.multi_get(tx, users())?;
                    for ((user, (active, set)), before) in batch.iter().zip(rows) {
                        let row = later(before.clone().unwrap_or_default(), *active, *set);
                        if before.as_ref() != Some(&row) && is_account(tx, user)? {
                            PRESENCE_BY_USER.put(tx, (user,), &row)?;
                        }
                    }
                    Ok(())
                });
                write.await?;
            }
        }
        Ok(())
    }

    /// Writes down what somebody says of themselves, unless that is what they said just now.
    pub(super) async fn keep_said(
        &self,
        user: &UserId,
        (state, status): (Availability, Option<String>),
        now: Duration,
    ) -> Result<Said, StorageError> {
        let set = against_devices(state).and_then(stored);
        let row = StoredPresence { set, status: status.clone(), active_at: millis(now) };
        let (user, slot) = (user.to_owned(), self.inner.store.slot_of_user(user));
        let write = self.inner.store.write::<_, StorageError, _>(slot, move |tx| {
            let before = PRESENCE_BY_USER.get(tx, (&user,))?;
            if before.is_none_or(|before| !holds(&before, &row)) && is_account(tx, &user)? {
                PRESENCE_BY_USER.put(tx, (&user,), &row)?;
            }
            Ok(())
        });
        Ok(Said { state, status, written_at: write.await?.position })
    }

    /// Sees that what somebody of this server said is remembered.
    pub(super) async fn recall_presence(&self, user: &UserId) -> Result<(), StorageError> {
        if !self.inner.presence.remembers(user) {
            // In a box: it is rarely needed, and those who wait would hold it.
            let row = Box::pin(self.stored_presence(user)).await?;
            self.inner.presence.recall(user, row.unwrap_or_default(), self.presence_moment());
        }
        Ok(())
    }

    /// The presence of somebody who is not remembered: they are not there, and this they said.
    pub(super) async fn last_presence(&self, user: &UserId) -> Result<UserPresence, StorageError> {
        let row = self.stored_presence(user).await?;
        let active = row.as_ref().map(|row| Duration::from_millis(row.active_at));
        Ok(UserPresence {
            user_id: user.to_owned(),
            state: Availability::Offline,
            status: row.and_then(|row| row.status),
            active,
            currently_active: false,
        })
    }

    async fn stored_presence(&self, user: &UserId) -> Result<Option<StoredPresence>, StorageError> {
        let user = user.to_owned();
        self.inner.store.read(move |snapshot| PRESENCE_BY_USER.get(snapshot, (&user,))).await
    }
}

/// A row with a later activity. What was set before it holds no longer, unless it is still set.
fn later(before: StoredPresence, active: Duration, set: Option<Availability>) -> StoredPresence {
    let active_at = millis(active);
    if active_at < before.active_at {
        return before;
    }
    StoredPresence { set: set.and_then(stored), active_at, ..before }
}

/// Whether a row says the same as another that would replace it, but for an activity a little later.
fn holds(row: &StoredPresence, next: &StoredPresence) -> bool {
    let later = Duration::from_millis(next.active_at.saturating_sub(row.active_at));
    row.set == next.set && row.status == next.status && later < PRESENCE_KEPT_EVERY
}

/// Whether somebody has an account that is not deactivated: nothing is kept of others.
fn is_account(read: &impl Read, user: &UserId) -> Result<bool, StorageError> {
    let account = ACCOUNT_BY_ID.get(read, (user,))?;
    Ok(account.is_some_and(|account| account.state != StoredAccountState::Deactivated))
}

fn stored(set: Availability) -> Option<StoredAvailability> {
    match set {
        Availability::Offline => Some(StoredAvailability::Offline),
        Availability::Unavailable => Some(StoredAvailability::Unavailable),
        Availability::Online => None,
    }
}

fn millis(moment: Duration) -> u64 {
    u64::try_from(moment.as_millis()).unwrap_or(u64::MAX)
}
