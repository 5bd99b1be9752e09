//! Following the log: one task that looks at everything once, queues what pushers have to tell, and
//! starts the tasks of these pushers.

mod hub;
mod invitation;
mod news;

pub(crate) use self::hub::Hub;

use std::{collections::BTreeMap, time::Duration};

use vestibule_storage::{
    Positions, Scan, SlotNo, Snapshot, Stamp, StorageError, Tx,
    tables::{
        push::{PUSH_TAIL, PUSH_WAITING, PUSHER, PUSHER_STANDING, StoredPush},
        sender::StoredCursor,
    },
};
use vestibule_types::limits::{PUSH_TAIL_COMMITS_MAX, PUSHES_WAITING_MAX};

use self::news::{News, Reading};
use crate::{Push, pusher::PusherId};

/// How long to wait after a failed read or write.
const RETRY: Duration = Duration::from_secs(1);

/// The slot of what belongs to the whole server.
const SLOT: SlotNo = SlotNo(0);

/// Something a pusher has to tell, and the place in the log it comes from.
#[derive(Clone, Debug)]
struct Queued {
    id: PusherId,
    slot: SlotNo,
    stamp: Stamp,
    push: StoredPush,
    /// Its gateway is left alone: older rows make room, since nobody takes them away.
    rests: bool,
}

/// The end of what was published at these positions.
pub(crate) fn end_of(positions: &Positions) -> StoredCursor {
    StoredCursor(positions.iter().map(|(_, commit)| Stamp::end_of(commit)).collect())
}

/// How far a cursor is in a slot.
fn at(cursor: &StoredCursor, slot: SlotNo) -> Stamp {
    cursor.0.get(usize::from(slot.0)).copied().unwrap_or_default()
}

/// How many commits lie between two cursors.
fn commits_between(from: &StoredCursor, to: &StoredCursor) -> u64 {
    let slots = (0..).map(SlotNo).zip(&to.0);
    slots.map(|(slot, to)| to.commit.saturating_sub(at(from, slot).commit)).sum()
}

impl Push {
    /// Follows the log until the server stops.
    pub(crate) async fn follow(self) {
        let mut stopping = self.environment().spawner.stopping();
        let followed = async {
            while let Err(error) = self.load().await {
                warn(&error, "what is to be told to devices cannot be read");
                self.environment().clock.sleep(RETRY).await;
            }
            self.run().await;
        };
        tokio::select! {
            biased;
            () = followed => {}
            () = &mut stopping => {}
        }
    }

    async fn run(&self) {
        let clock = &self.environment().clock;
        let mut published = self.store().watch_for(self.hub().concerns());
        let mut unwritten = 0;
        loop {
            // Whatever was published before this is in the snapshot read next.
            published.mark_unchanged();
            if let Err(error) = self.round(&mut unwritten).await {
                warn(&error, "the log cannot be followed for devices");
                clock.sleep(RETRY).await;
                continue;
            }
            for id in self.hub().rested(clock.monotonic()) {
                self.wake(&id);
            }
            let pause =
                self.hub().next_rested().map(|until| until.saturating_sub(clock.monotonic()));
            tokio::select! {
                biased;
                changed = published.changed() => if changed.is_err() { return },
                () = self.bell().notified() => {}
                () = clock.sleep(pause.unwrap_or_default()), if pause.is_some() => {}
            }
        }
    }

    /// Looks through what is new in the log.
    async fn round(&self, unwritten: &mut u64) -> Result<(), StorageError> {
        loop {
            let from = self.hub().tail();
            let published = end_of(&self.store().positions());
            if published.0.iter().enumerate().all(|(slot, end)| from.0.get(slot) >= Some(end)) {
                return Ok(());
            }
            // Asked after the end was looked up: a pusher set meanwhile is for what comes later.
            let News { to, queued, owners } = if self.hub().has_no_owners() {
                News { to: published, queued: Vec::new(), owners: Vec::new() }
            } else {
                let (push, from) = (self.clone(), from.clone());
                let look = move |snapshot: &Snapshot<'_>| Reading::new(&push, snapshot).read(&from);
                self.store().read(look).await?
            };
            for user in owners {
                self.hub().add_owner(&user);
            }
            *unwritten += commits_between(&from, &to);
            if !queued.is_empty() || *unwritten >= PUSH_TAIL_COMMITS_MAX {
                self.keep(&queued, to.clone()).await?;
                *unwritten = 0;
            }
            self.hub().set_tail(to);
            for Queued { id, .. } in queued {
                self.wake(&id);
            }
        }
    }

    /// Writes what was found, and then up to where everything was found.
    async fn keep(&self, queued: &[Queued], to: StoredCursor) -> Result<(), StorageError> {
        let mut by_slot: BTreeMap<SlotNo, Vec<Queued>> = BTreeMap::new();
        for queued in queued {
            let slot = self.store().slot_of_user(&queued.id.user);
            by_slot.entry(slot).or_default().push(queued.clone());
        }
        let ours = by_slot.remove(&SLOT).unwrap_or_default();
        for (slot, queued) in by_slot {
            let write = self.store().write::<_, StorageError, _>(slot, move |tx| {
                queued.iter().try_for_each(|queued| queue(tx, queued))
            });
            write.await?;
        }
        let write = self.store().write::<_, StorageError, _>(SLOT, move |tx| {
            ours.iter().try_for_each(|queued| queue(tx, queued))?;
            PUSH_TAIL.put(tx, (0,), &to)
        });
        write.await.map(drop)
    }

    /// Begins where an earlier run ended, or, at the very first start, here and now.
    async fn load(&self) -> Result<(), StorageError> {
        let read = self.store().read::<_, StorageError, _>(|snapshot| {
            let mut pushers = Vec::new();
            PUSHER.each(snapshot, Scan::prefix(()), |(user, app_id, pushkey), _| {
                pushers.push(PusherId { user, app_id, pushkey });
                std::ops::ControlFlow::Continue(())
            })?;
            let mut waiting = Vec::new();
            for id in &pushers {
                if !PUSH_WAITING.scan(snapshot, id.key(), 1)?.is_empty() {
                    let standing = PUSHER_STANDING.get(snapshot, id.key())?.unwrap_or_default();
                    waiting.push((id.clone(), standing.retry_at));
                }
            }
            Ok((PUSH_TAIL.get(snapshot, (0,))?, pushers, waiting))
        });
        let (tail, pushers, waiting) = read.await?;
        for id in &pushers {
            self.hub().add_owner(&id.user);
        }
        let (clock, now) = (&self.environment().clock, self.environment().now_ms());
        for (id, retry_at) in waiting {
            let rest = Duration::from_millis(retry_at.saturating_sub(now));
            self.hub().rest(&id, clock.monotonic().saturating_add(rest));
        }
        let begins_here = tail.is_none();
        let tail = tail.unwrap_or_else(|| end_of(&self.store().positions()));
        if begins_here {
            self.keep(&[], tail.clone()).await?;
        }
        self.hub().set_tail(tail);
        Ok(())
    }

    /// Starts the task of a pusher unless it has one, or its gateway is left alone.
    fn wake(&self, id: &PusherId) {
        if !self.hub().wake(id) {
            return;
        }
        let (push, id) = (self.clone(), id.clone());
        let stopping = self.environment().spawner.stopping();
        let work = async move {
            tokio::select! {
                biased;
                () = push.work(&id) => {}
                () = stopping => {}
            }
        };
        self.environment().spawner.spawn("push.deliver", Box::pin(work));
    }
}

/// Queues something for a pusher that is still there.
fn queue(tx: &mut Tx<'_>, queued: &Queued) -> Result<(), StorageError> {
    let (user, app_id, pushkey) = queued.id.key();
    if !PUSHER.contains(tx, queued.id.key())? {
        return Ok(());
    }
    let key = (user, app_id, pushkey, queued.slot.0, queued.stamp);
    PUSH_WAITING.put(tx, key, &queued.push)?;
    if queued.rests { make_room(tx, &queued.id) } else { Ok(()) }
}

/// Drops the oldest of what waits for a pusher when that is too much.
fn make_room(tx: &mut Tx<'_>, id: &PusherId) -> Result<(), StorageError> {
    let newest = Scan::prefix(id.key()).reverse().limit(PUSHES_WAITING_MAX + 1);
    let rows = PUSH_WAITING.scan_with(tx, newest)?;
    if let Some((key, _)) = rows.get(PUSHES_WAITING_MAX) {
        PUSH_WAITING.delete_scan(tx, Scan::prefix(id.key()).to(key))?;
    }
    Ok(())
}

fn warn(error: &StorageError, what: &str) {
    tracing::warn!(error = error as &dyn std::error::Error, "{what}");
}
