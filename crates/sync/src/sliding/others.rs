//! Rooms the user is not in: invitations, knocks, and rooms they left or were removed from.

use std::sync::Arc;

use vestibule_events::{Unsigned, client_event};
use vestibule_rooms::{OpenRoom, OutsideRoom, StoredMembership};
use vestibule_storage::{Stamped, StorageError, tables::room::StoredMember};

use super::{connection::SentRoom, response::Room, room::Begin, slide::Slide, state::Base};
use crate::{
    RawEvent,
    pass::{Sight, damaged},
    shared::SharedTimeline,
};

impl Slide<'_> {
    /// An invitation or a knock. `None` when the client has it, or does not want it.
    pub(crate) fn stripped(
        &self,
        room: &OpenRoom,
        member: &Stamped<StoredMember>,
        begin: Begin<'_>,
    ) -> Result<Option<(Room, SentRoom)>, StorageError> {
        if has(begin, member.stamp.commit) {
            return Ok(None);
        }
        let invited = member.value.membership == StoredMembership::Invite;
        let events = if invited {
            match self.pass.invited(room)? {
                Some(invited) => invited.invite_state.events,
                None => return Ok(None),
            }
        } else {
            self.pass.knocked(room)?.knock_state.events
        };
        Ok(Some(outside_in((member.value.membership, member.stamp.commit), events, begin)))
    }

    /// A room up to the departure of the user. `None` when the client knows of it.
    pub(crate) fn left(
        &self,
        room: &OpenRoom,
        member: &Stamped<StoredMember>,
        begin: Begin<'_>,
    ) -> Result<Option<(Room, SentRoom)>, StorageError> {
        // Of a room that the user forgot only a client that has it is told, that it is over.
        let gone = member.value.forgotten && begin.sent.is_none();
        if gone || has(begin, member.stamp.commit) {
            return Ok(None);
        }
        let mut sight = Sight::new(self.pass, room)?;
        let limit = begin.wants.timeline.max(1);
        let departure = sight.departure(member, begin.since)?;
        let since = match &departure {
            Some(_) => sight.known_since(member, begin.known())?,
            None => None,
        };
        let events = match &departure {
            Some(departure) => sight.up_to((departure, None), (member, since), limit)?,
            // Who was not in sees that they were turned away, and nothing of the room.
            None => sight.turned_away(member, limit)?,
        };
        let section = sight.timeline_section(&events)?;
        let told = SharedTimeline { events, section, ready: None };
        let mut shown = self.timeline_of(room, &told);
        if let Some(departure) = departure {
            let at = departure.state;
            let span = sight.span(since, at)?;
            let diff = match span.since {
                Some((_, base)) => sight.view.state_diff(base, at)?,
                None => Vec::new(),
            };
            let sent = begin.sent.filter(|_| since.is_some());
            let base = Base { at, diff: &diff, sent, events: &told.events };
            shown.required_state = self.required_state(&mut sight, begin.wants, &base)?;
            if let Some(old) = sight.view.event(departure.event)? {
                let old = sight.show(&old)?;
                shown.required_state.retain(|event| event.get() != old.get());
            }
        }
        // By this event clients know that they are not in the room any more.
        let Some(own) = sight.view.event(member.value.event)? else { return Ok(None) };
        let own = sight.show(&own)?;
        shown.required_state.retain(|event| event.get() != own.get());
        shown.required_state.push(own);
        shown.initial = since.is_none().then_some(true);
        shown.bump_stamp = Some(member.stamp.commit);
        shown.membership = Some(name_of(member.value.membership));
        Ok(Some((shown, begin.sent_now(u32::MAX))))
    }

    /// A room this server is not in.
    pub(crate) fn outside(
        &self,
        room: &OutsideRoom,
        begin: Begin<'_>,
    ) -> Result<Option<(Room, SentRoom)>, StorageError> {
        if has(begin, room.since.commit) {
            return Ok(None);
        }
        let moment = (room.membership, room.since.commit);
        match room.membership {
            StoredMembership::Invite if !self.pass.takes_invite(room)? => Ok(None),
            StoredMembership::Invite | StoredMembership::Knock => {
                Ok(Some(outside_in(moment, room.stripped.clone(), begin)))
            }
            StoredMembership::Leave | StoredMembership::Ban if begin.sent.is_some() => {
                let event = client_event(&room.event, false, &Unsigned::default());
                let event = event.map_err(|error| damaged(&error))?;
                let shown = Room {
                    initial: Some(true),
                    timeline: vec![event.clone()],
                    required_state: vec![event],
                    bump_stamp: Some(room.since.commit),
                    membership: Some(name_of(room.membership)),
                    ..Room::default()
                };
                Ok(Some((shown, begin.sent_now(u32::MAX))))
            }
            _ => Ok(None),
        }
    }
}

/// Whether the client has been told of a moment.
fn has(begin: Begin<'_>, moment: u64) -> bool {
    begin.sent.is_some() && begin.since.is_some_and(|since| moment <= since)
}

/// A room of which only stripped state may be known.
fn outside_in(
    (membership, since): (StoredMembership, u64),
    events: Vec<RawEvent>,
    begin: Begin<'_>,
) -> (Room, SentRoom) {
    let shown = Room {
        initial: Some(true),
        is_dm: begin.is_dm.then_some(true),
        invite_state: Some(events),
        bump_stamp: Some(since),
        membership: Some(name_of(membership)),
        ..Room::default()
    };
    let sent = SentRoom { stripped: true, state: Arc::default(), ..begin.sent_now(u32::MAX) };
    (shown, sent)
}

fn name_of(membership: StoredMembership) -> &'static str {
    match membership {
        StoredMembership::Join => "join",
        StoredMembership::Invite => "invite",
        StoredMembership::Knock => "knock",
        StoredMembership::Leave => "leave",
        StoredMembership::Ban => "ban",
    }
}
