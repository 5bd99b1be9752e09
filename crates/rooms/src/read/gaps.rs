//! Where a room's history has gaps, and fetching what lies in them.
//!
//! History is fetched for somebody who is in the room and whom the policy does not hold back: never for a
//! guest, nor for anybody who looks in from outside.

use std::collections::{BTreeMap, HashMap};

use ruma::{OwnedEventId, OwnedServerName, RoomId, UserId};
use vestibule_accounts::facts::subject;
use vestibule_policy::Policy;
use vestibule_storage::{
    Read, Stamp, StorageError,
    tables::{
        room::{EVENT_STATE, SERVER_BY_ROOM, StoredMembership},
        staging::GAP_BY_PREV,
    },
};
use vestibule_types::{
    EventNo,
    limits::{GAPS_MAX, SERVERS_COMPARED_MAX},
};

use crate::{ElsewhereError, RoomView, Rooms, TimelinePosition, append::LIVE};

/// The events of the timeline with parents that are not here, and those parents. What is hidden has no
/// place in the timeline: its missing parents lie before the first event after it.
#[derive(Clone, Debug, Default)]
pub struct Gaps(HashMap<EventNo, Vec<OwnedEventId>>);

/// What came of asking for what lies in a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Filled {
    /// Some of it is here now.
    Some,
    /// Nobody has more.
    Nothing,
    /// Nobody could be asked now.
    NotNow,
}

impl Gaps {
    /// The missing parents of an event.
    #[must_use]
    pub fn before(&self, no: EventNo) -> Option<&[OwnedEventId]> {
        self.0.get(&no).map(|missing| &**missing)
    }

    /// The events with missing parents, and those parents.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (EventNo, &[OwnedEventId])> {
        self.0.iter().map(|(no, missing)| (*no, &**missing))
    }
}

impl<R: Read> RoomView<'_, R> {
    /// Where this room's history has gaps.
    pub fn gaps(&self) -> Result<Gaps, StorageError> {
        let mut open: BTreeMap<EventNo, Vec<OwnedEventId>> = BTreeMap::new();
        for ((_, missing), child) in GAP_BY_PREV.scan(&self.reader, (self.room.no,), GAPS_MAX)? {
            open.entry(child.0).or_default().push(missing);
        }
        let room = self.room.no;
        let around = EVENT_STATE.multi_get(&self.reader, open.keys().map(|no| (room, *no)))?;
        let mut gaps = Gaps::default();
        for ((child, missing), around) in open.into_iter().zip(around) {
            let Some(around) = around else { continue };
            let shown = if around.value.soft_failed {
                self.first_after(around.stamp)?
            } else {
                Some(child)
            };
            let Some(shown) = shown else { continue };
            gaps.0.entry(shown).or_default().extend(missing);
        }
        Ok(gaps)
    }

    /// The first event of the timeline after a moment.
    fn first_after(&self, stamp: Stamp) -> Result<Option<EventNo>, StorageError> {
        let from = TimelinePosition { side: LIVE, stamp };
        let next = self.timeline_forward(Some(from), None, 1)?;
        Ok(next.first().map(|(_, no)| *no))
    }

    /// Those of these events that are not part of the graph here.
    pub(crate) fn still_missing(
        &self,
        ids: &[OwnedEventId],
    ) -> Result<Vec<OwnedEventId>, StorageError> {
        let mut missing = Vec::with_capacity(ids.len());
        for id in ids {
            let judged = match self.event_no(id)? {
                Some(no) => self.around(no)?.is_some(),
                None => false,
            };
            if !judged {
                missing.push(id.clone());
            }
        }
        Ok(missing)
    }

    /// The gaps that are filled on behalf of a user: none for those for whom nothing is fetched.
    pub(crate) fn gaps_to_fill(
        &self,
        policy: &Policy,
        user: &UserId,
    ) -> Result<Gaps, StorageError> {
        let member = self.local_member(user)?;
        let joined = member.is_some_and(|row| row.value.membership == StoredMembership::Join);
        let account = if joined { subject(&self.reader, user)? } else { None };
        let trusted = account
            .and_then(|account| policy.class(&account.class).map(|class| !class.is_low_trust()));
        if trusted == Some(true) { self.gaps() } else { Ok(Gaps::default()) }
    }
}

impl Rooms {
    /// Other servers in a room, those with the most members first: they are likely to have its history.
    pub async fn servers_by_size(
        &self,
        room_id: &RoomId,
        limit: usize,
    ) -> Result<Vec<OwnedServerName>, StorageError> {
        let us = self.inner.server_name.clone();
        let servers = self.with_view(room_id, move |view| {
            let rows = SERVER_BY_ROOM.scan(&view.reader, (view.room.no,), SERVERS_COMPARED_MAX)?;
            let mut servers: Vec<(u64, OwnedServerName)> = rows
                .into_iter()
                .map(|((_, server), members)| (members, server))
                .filter(|(_, server)| *server != us)
                .collect();
            servers.sort_by_key(|(members, _)| std::cmp::Reverse(*members));
            Ok::<_, StorageError>(servers.into_iter().take(limit).map(|it| it.1).collect())
        });
        Ok(servers.await?.unwrap_or_default())
    }

    /// Asks other servers for what lies before a gap.
    pub(crate) async fn fill_gap(&self, room_id: &RoomId, missing: Vec<OwnedEventId>) -> Filled {
        match self.elsewhere().backfill(room_id, missing).await {
            Ok(true) => Filled::Some,
            Ok(false) | Err(ElsewhereError::Alone) => Filled::Nothing,
            Err(error) => {
                tracing::debug!(%error, "history could not be fetched");
                Filled::NotNow
            }
        }
    }
}
