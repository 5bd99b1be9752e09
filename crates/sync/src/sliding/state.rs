//! The state of a room that is wanted: all of it, or what changed and what is wanted only now.

use std::collections::{BTreeMap, BTreeSet};

use ruma::{OwnedUserId, UserId};
use serde_json::{json, value::to_raw_value};
use vestibule_rooms::{StateChange, StateKey};
use vestibule_storage::{StorageError, tables::room::StateAt};
use vestibule_types::EventNo;

use super::{
    connection::SentRoom,
    slide::Slide,
    wants::{RoomWants, Selector, Wants},
};
use crate::{
    RawEvent,
    pass::{Sight, TimelineEvents},
};

const MEMBER: &str = "m.room.member";

/// What the state of a room is shown from.
pub(crate) struct Base<'a> {
    /// The state at the end.
    pub(crate) at: StateAt,
    /// What changed since the client was told, if it was.
    pub(crate) diff: &'a [StateChange],
    pub(crate) sent: Option<&'a SentRoom>,
    pub(crate) events: &'a TimelineEvents,
}

type Found = BTreeMap<StateKey, Option<EventNo>>;

impl Slide<'_> {
    /// The state a client is to be told.
    pub(crate) fn required_state(
        &self,
        sight: &mut Sight<'_>,
        wants: &RoomWants,
        base: &Base<'_>,
    ) -> Result<Vec<RawEvent>, StorageError> {
        let (wants, me) = (&*wants.state, self.pass.user());
        let mut found = Found::new();
        match base.sent {
            None => found.extend(all_wanted(sight, base.at, (wants, me))?),
            Some(sent) => {
                let members = wants.is_lazy() && !base.events.limited;
                let changed = base.diff.iter().filter(|change| {
                    let (kind, key) = (&change.key.0, &change.key.1);
                    wants.takes(kind, key, me) || (members && kind == MEMBER)
                });
                found.extend(changed.map(|change| (change.key.clone(), change.new)));
                if sent.state.id != wants.id {
                    let mut more = all_wanted(sight, base.at, (wants, me))?;
                    more.retain(|(kind, key), _| !sent.state.takes(kind, key, me));
                    found.extend(more);
                }
            }
        }
        if wants.is_lazy() {
            self.add_members(sight, base, &mut found)?;
        }
        let mut shown = Vec::with_capacity(found.len());
        for ((kind, key), no) in found {
            match no {
                Some(no) => {
                    let Some(event) = sight.view.event(no)? else { continue };
                    shown.push(sight.show(&event)?);
                }
                // What is gone has no content.
                None => shown.extend(to_raw_value(&json!({ "type": kind, "state_key": key })).ok()),
            }
        }
        Ok(shown)
    }

    /// Adds the members the timeline is about and whom the client has not.
    fn add_members(
        &self,
        sight: &Sight<'_>,
        base: &Base<'_>,
        found: &mut Found,
    ) -> Result<(), StorageError> {
        let room = sight.view.room;
        let mut users: BTreeSet<OwnedUserId> = BTreeSet::new();
        for (_, event) in &base.events.list {
            users.insert(event.pdu.sender().to_owned());
            let about = event.pdu.state_key().filter(|_| event.pdu.kind() == MEMBER);
            users.extend(about.and_then(|key| UserId::parse(key).ok()));
        }
        // Who begins with the room has nobody of it.
        if base.sent.is_none() && self.ask.pos.is_some() {
            self.shown.begin(room.no);
        }
        let since = self.pass.since_of(room).filter(|_| base.sent.is_some());
        let answer = self.pass.now_of(room);
        for user in users {
            let Some(event) = sight.view.state_event_at(base.at, MEMBER, user.as_str())? else {
                continue;
            };
            if !self.shown.has((room.no, &user), event.no, (since, answer)) {
                found.insert((MEMBER.to_owned(), user.to_string()), Some(event.no));
            }
        }
        Ok(())
    }
}

/// All that is wanted for itself at a moment.
fn all_wanted(
    sight: &Sight<'_>,
    at: StateAt,
    (wants, me): (&Wants, &UserId),
) -> Result<Found, StorageError> {
    let mut found = Found::new();
    for selector in wants.selectors(me) {
        match selector {
            Selector::One(kind, key) => {
                let event = sight.view.state_event_at(at, kind, key)?;
                found.extend(event.map(|it| ((kind.to_owned(), key.to_owned()), Some(it.no))));
            }
            Selector::OfType(kind) => {
                let all = sight.view.full_state(at, Some(kind))?;
                found.extend(all.into_iter().map(|(key, no)| (key, Some(no))));
            }
            Selector::All => {
                let all = sight.view.full_state(at, None)?;
                let wanted = all.into_iter().filter(|((kind, key), _)| wants.takes(kind, key, me));
                found.extend(wanted.map(|(key, no)| (key, Some(no))));
            }
        }
    }
    Ok(found)
}
