//! A room the user left, or was removed from.

use std::collections::BTreeSet;

use vestibule_rooms::OpenRoom;
use vestibule_storage::{
    Stamped, StorageError,
    tables::room::{StoredMember, StoredMembership},
};

use super::{Pass, Sight, account_data::OwnChanges, timeline::Stretch};
use crate::response::{Events, LeftRoom, State};

impl Pass<'_> {
    /// The room up to the departure. Nothing when the client knows of it, or does not want to.
    pub(super) fn left(
        &self,
        room: &OpenRoom,
        member: &Stamped<StoredMember>,
        own: &OwnChanges,
    ) -> Result<Option<LeftRoom>, StorageError> {
        if member.value.forgotten {
            return Ok(None);
        }
        let news = self.since_of(room).is_some_and(|since| member.stamp.commit > since);
        let whole = self.since.is_none() || self.query.full_state;
        if !(news || (whole && self.query.filter.include_leave)) {
            return Ok(None);
        }

        let mut sight = Sight::new(self, room)?;
        let was_in = member.value.previous == Some(StoredMembership::Join);
        let since = if was_in {
            sight.known_since(member, self.since_of(room))?
        } else {
            self.since_of(room)
        };
        // Who was never in sees that they were turned away, and nothing of the room.
        let around = sight.view.around(member.value.event)?;
        let departure = around.map_or(member.stamp, |around| around.stamp);
        let end = around.map_or(room.head.state, |around| around.value.after);
        let mut timeline = sight.events_of(Stretch {
            after: since,
            until: Some(departure),
            own: Some(member.value.event),
            end: Some(end).filter(|_| was_in && !self.query.use_state_after),
            limit: self.query.filter.timeline.timeline_limit(),
        })?;
        let state = if was_in {
            let span = sight.span(since, end)?;
            sight.state_section(span, &timeline, &BTreeSet::new())?
        } else {
            timeline.list.retain(|(_, event)| event.no == member.value.event);
            timeline.limited = false;
            timeline.begins = None;
            if self.query.use_state_after {
                State::After(Events::default())
            } else {
                State::default()
            }
        };
        let account_data = self.room_account_data(&room.room_id, own, since.is_none())?;
        Ok(Some(LeftRoom {
            state,
            timeline: sight.timeline_section(&timeline)?,
            account_data: Events { events: account_data },
        }))
    }
}
