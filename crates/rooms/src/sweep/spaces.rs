//! When rooms were last seen inside the spaces that open them. A space that the last of ours left
//! cannot be read any more; guests in its rooms are judged for a while by what was seen last.

use std::collections::{BTreeMap, BTreeSet};

use ruma::{OwnedRoomId, RoomId};
use vestibule_policy::{Class, Policy, SpaceRule};
use vestibule_storage::{Scan, StorageError, Tx, tables::directory::SPACE_SEEN};
use vestibule_types::{
    ClassName,
    limits::{SPACE_GRACE_MS, SPACE_ROOMS_MAX, SPACE_SEEN_STEP_MS},
};

use crate::{RoomTx, Rooms, facts::StoredSpaces};

impl Rooms {
    /// Walks down every space of the policy and writes down which rooms are inside now. What was
    /// seen too long ago to count is forgotten.
    pub(super) async fn note_seen_inside(&self) -> Result<(), StorageError> {
        let policy = self.inner.policy.current();
        let now = self.inner.env.now_ms();
        for (class, rule) in rules(&policy) {
            let (rooms, policy) = (self.clone(), policy.clone());
            let (class, rule) = (class.clone(), rule.clone());
            let slot = self.inner.store.slot_of_room(&rule.id);
            self.inner
                .store
                .write(slot, move |tx| rooms.note_one_space(&policy, tx, (&class, &rule, now)))
                .await?;
        }
        self.forget_seen_long_ago(now).await
    }

    /// The walk and its rows are one transaction: an edge that is taken out meanwhile is seen.
    fn note_one_space(
        &self,
        policy: &Policy,
        tx: &mut Tx<'_>,
        (class, rule, now): (&ClassName, &SpaceRule, u64),
    ) -> Result<(), StorageError> {
        let walk = policy.walk_space(rule, &mut StoredSpaces { rooms: self, reader: &*tx })?;
        if !walk.unknown().is_empty() {
            return Ok(());
        }
        let inside: BTreeSet<&RoomId> = walk.rooms().collect();
        let known = SPACE_SEEN.scan(&*tx, (class, &rule.id), SPACE_ROOMS_MAX)?;
        let mut fresh: BTreeSet<OwnedRoomId> = BTreeSet::new();
        for ((_, _, room), seen) in known {
            if !inside.contains(&*room) {
                SPACE_SEEN.delete(tx, (class, &rule.id, &room))?;
            } else if now.saturating_sub(seen) < SPACE_SEEN_STEP_MS {
                fresh.insert(room);
            }
        }
        for room in inside.into_iter().filter(|room| !fresh.contains(*room)) {
            SPACE_SEEN.put(tx, (class, &rule.id, room), &now)?;
        }
        Ok(())
    }

    async fn forget_seen_long_ago(&self, now: u64) -> Result<(), StorageError> {
        let old = move |seen: u64| now.saturating_sub(seen) > SPACE_GRACE_MS;
        let (mut after, mut more) = (None, true);
        while more {
            let mut page = Scan::prefix(()).limit(SPACE_ROOMS_MAX);
            if let Some(last) = after.take() {
                page = page.after(last);
            }
            let rows = self.inner.store.read(move |it| SPACE_SEEN.scan_with(it, page)).await?;
            more = rows.len() == SPACE_ROOMS_MAX;
            after = rows.last().map(|(key, _)| key.clone());
            let mut gone: BTreeMap<OwnedRoomId, Vec<_>> = BTreeMap::new();
            for (key, seen) in rows.into_iter().filter(|(_, seen)| old(*seen)) {
                gone.entry(key.1.clone()).or_default().push((key, seen));
            }
            for (space, rows) in gone {
                self.forget_rooms_seen(&space, rows).await?;
            }
        }
        Ok(())
    }

    /// Forgets rooms seen in one space, unless they were seen again meanwhile.
    async fn forget_rooms_seen(
        &self,
        space: &RoomId,
        rows: Vec<((ClassName, OwnedRoomId, OwnedRoomId), u64)>,
    ) -> Result<(), StorageError> {
        let slot = self.inner.store.slot_of_room(space);
        let forget = move |tx: &mut Tx<'_>| {
            for (key, seen) in &rows {
                if SPACE_SEEN.get(&*tx, key)? == Some(*seen) {
                    SPACE_SEEN.delete(tx, key)?;
                }
            }
            Ok::<_, StorageError>(())
        };
        self.inner.store.write(slot, forget).await?;
        Ok(())
    }
}

impl RoomTx<'_, '_> {
    /// An edge to a room changed: what was seen of it before is no evidence any more. The sweep
    /// that follows sees whether it is inside.
    pub(super) fn forget_seen_inside(&mut self, child: &RoomId) -> Result<(), StorageError> {
        let policy = self.rooms.inner.policy.current();
        for (class, rule) in rules(&policy) {
            let key = (class, &*rule.id, child);
            if SPACE_SEEN.get(&*self.tx, key)?.is_some() {
                SPACE_SEEN.delete(self.tx, key)?;
            }
        }
        Ok(())
    }
}

/// The spaces of every class.
fn rules(policy: &Policy) -> impl Iterator<Item = (&ClassName, &SpaceRule)> {
    let scoped = policy.classes().filter_map(|class| Some((class.name(), Class::scope(class)?)));
    scoped.flat_map(|(name, scope)| scope.spaces().iter().map(move |rule| (name, rule)))
}
