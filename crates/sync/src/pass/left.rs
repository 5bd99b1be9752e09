//! A room the user left, or was removed from.

use std::collections::BTreeSet;

use vestibule_rooms::OpenRoom;
use vestibule_storage::{
    Stamp, Stamped, StorageError,
    tables::room::{StateAt, StoredMember},
};
use vestibule_types::EventNo;

use super::{Pass, Sight, TimelineEvents, account_data::OwnChanges, timeline::Stretch};
use crate::response::{Events, LeftRoom, State};

impl Pass<'_> {
    /// The room up to the departure, and what became of the user since. Nothing when the client knows of it,
    /// or does not want to. Of a room that the user forgot a client that had it is told that it is over.
    pub(super) fn left(
        &self,
        room: &OpenRoom,
        member: &Stamped<StoredMember>,
        own: &OwnChanges,
    ) -> Result<Option<LeftRoom>, StorageError> {
        let news = self.since_of(room).is_some_and(|since| member.stamp.commit > since);
        let whole = self.since.is_none() || self.query.full_state;
        let archived = whole && self.query.filter.include_leave && !member.value.forgotten;
        if !(news || archived) {
            return Ok(None);
        }

        let mut sight = Sight::new(self, room)?;
        let limit = self.query.filter.timeline.timeline_limit();
        let (after, use_state_after) = (self.since_of(room), self.query.use_state_after);
        let Some(departure) = sight.departure(member, after)? else {
            // Who was not in sees that they were turned away, and nothing of the room.
            let timeline = sight.turned_away(member, limit)?;
            let events = Events::default();
            return Ok(Some(LeftRoom {
                state: if use_state_after { State::After(events) } else { State::Before(events) },
                timeline: sight.timeline_section(&timeline)?,
                account_data: Events {
                    events: self.room_account_data(&room.room_id, own, after.is_none())?,
                },
            }));
        };
        let since = sight.known_since(member, after)?;
        let end = Some(departure.state).filter(|_| !use_state_after);
        let timeline = sight.up_to((&departure, end), (member, since), limit)?;
        let span = sight.span(since, departure.state)?;
        let state = sight.state_section(span, &timeline, &BTreeSet::new())?;
        let account_data = self.room_account_data(&room.room_id, own, since.is_none())?;
        Ok(Some(LeftRoom {
            state,
            timeline: sight.timeline_section(&timeline)?,
            account_data: Events { events: account_data },
        }))
    }
}

/// When and how somebody ceased to be in a room.
pub(crate) struct Departure {
    /// The event by which they did.
    pub(crate) event: EventNo,
    at: Stamp,
    /// The state from then on.
    pub(crate) state: StateAt,
}

impl Sight<'_> {
    /// When the user left, if a client that knows of everything up to `since` does not know that. `None`
    /// for who was never in, and who forgot the room.
    pub(crate) fn departure(
        &self,
        member: &Stamped<StoredMember>,
        since: Option<u64>,
    ) -> Result<Option<Departure>, StorageError> {
        if member.value.forgotten {
            return Ok(None);
        }
        let left = self.view.departure(self.pass.user(), member)?;
        let untold = |left: &Stamped<_>| since.is_none_or(|since| left.stamp.commit > since);
        let Some(left) = left.filter(untold) else { return Ok(None) };
        let around = self.view.around(left.value.0)?;
        Ok(Some(Departure {
            event: left.value.0,
            at: around.map_or(left.stamp, |around| around.stamp),
            state: around.map_or(self.view.room.head.state, |around| around.value.after),
        }))
    }

    /// The timeline up to a departure, and the last thing that became of the user since. `end` is the state
    /// for a client that holds the timeline against what it has.
    pub(crate) fn up_to(
        &mut self,
        (departure, end): (&Departure, Option<StateAt>),
        (member, since): (&Stamped<StoredMember>, Option<u64>),
        limit: usize,
    ) -> Result<TimelineEvents, StorageError> {
        let own = Some(departure.event);
        let until = Some(departure.at);
        if member.value.event == departure.event {
            return self.events_of(Stretch { after: since, until, own, end, limit });
        }
        let now = self.turned_away(member, limit)?;
        let limit = limit.saturating_sub(now.list.len());
        let mut timeline = self.events_of(Stretch { after: since, until, own, end, limit })?;
        timeline.list.extend(now.list);
        Ok(timeline)
    }

    /// The event by which the user is not in the room, alone.
    pub(crate) fn turned_away(
        &mut self,
        member: &Stamped<StoredMember>,
        limit: usize,
    ) -> Result<TimelineEvents, StorageError> {
        let own = member.value.event;
        let at = self.view.around(own)?.map_or(member.stamp, |around| around.stamp);
        let before = at.commit.checked_sub(1);
        let limit = limit.min(1);
        let stretch = Stretch { after: before, until: Some(at), own: Some(own), end: None, limit };
        let mut timeline = self.events_of(stretch)?;
        timeline.list.retain(|(_, event)| event.no == own);
        (timeline.limited, timeline.begins) = (false, None);
        Ok(timeline)
    }
}
