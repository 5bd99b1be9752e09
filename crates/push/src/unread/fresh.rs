//! Events that are new to everybody who is in a room, read once and held against the rules of each.

use std::sync::Arc;

use ruma::{OwnedUserId, UserId};
use vestibule_rooms::{LoggedEvent, RoomView};
use vestibule_storage::{Read, Stamp, StorageError};
use vestibule_types::RoomNo;

use super::{Called, Tally, TallyOf, Unread, count::damaged, thread_of};
use crate::rules::{Occasion, Own, RoomFacts, Whose};

/// New messages of a room in the order they came, read once.
#[derive(Debug)]
pub struct Fresh {
    events: Vec<FreshEvent>,
}

#[derive(Debug)]
struct FreshEvent {
    place: Stamp,
    sender: OwnedUserId,
    thread: String,
    occasion: Occasion,
}

/// How a user stands to a room who was in it all the time.
#[derive(Clone, Copy, Debug)]
pub struct Standing<'a> {
    /// The user.
    pub user: &'a UserId,
    /// What they said about being told; it still holds.
    pub own: &'a Own,
    /// The commit since which they have been in the room as they are.
    pub member: u64,
    /// The last commit in which anything happened in the room before what is new.
    pub before: u64,
    /// The last commit in which anything happened in it.
    pub last: u64,
    /// The last commit of the room's slot that was looked at.
    pub at: u64,
}

impl Fresh {
    /// Reads messages, which are not state, at their places. `None` when they change what was counted
    /// before them, because something is redacted.
    pub fn new<'e, R: Read>(
        view: &RoomView<'_, R>,
        events: impl Iterator<Item = (Stamp, &'e LoggedEvent)>,
    ) -> Result<Option<Self>, StorageError> {
        let facts = Arc::new(RoomFacts::of(view)?);
        let mut fresh = Vec::new();
        for (place, event) in events {
            let pdu = &event.pdu;
            let redaction = pdu.kind() == "m.room.redaction" || pdu.is_state();
            if redaction || view.redaction_of(pdu.event_id())?.is_some() {
                return Ok(None);
            }
            let occasion = Occasion::new(pdu, Arc::clone(&facts)).map_err(|it| damaged(&it))?;
            let thread = thread_of(view, event)?;
            fresh.push(FreshEvent { place, sender: pdu.sender().to_owned(), thread, occasion });
        }
        Ok(Some(Self { events: fresh }))
    }

    /// How many these are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }
}

impl Unread {
    /// What a user has not read in a room after what is new there: messages, and what others did that
    /// counts for nobody but them. It is worked out from what was counted before and without reading
    /// anything. `None` when that is not known, or does not hold any more.
    #[must_use]
    pub fn carry_on(
        &self,
        room: RoomNo,
        standing: Standing<'_>,
        fresh: Option<&Fresh>,
    ) -> Option<Arc<Tally>> {
        let Standing { user, own, member, before, last, at } = standing;
        let known = self.0.tallies.get(&TallyOf { user, room })?;
        if known.said != own.said || known.member.commit != member {
            return None;
        }
        if (last..=at).contains(&known.at) {
            return Some(known);
        }
        if !(before..=at).contains(&known.at) {
            return None;
        }
        let events = fresh.map(|fresh| fresh.events.as_slice()).unwrap_or_default();
        if own.asks_for_name && known.called.is_none() && !events.is_empty() {
            return None;
        }
        let mut tally = Tally::clone(&known);
        for event in events.iter().filter(|event| event.place.commit > known.at) {
            if event.sender == *user {
                return None;
            }
            if own.ignored.contains(&event.sender) {
                continue;
            }
            let display_name = known.called.as_ref().and_then(Called::name);
            let actions = event.occasion.actions(&own.rules.0, Whose { user, display_name });
            tally.add(&event.thread, actions);
        }
        tally.at = at;
        let tally = Arc::new(tally);
        self.0.tallies.insert((user.to_owned(), room), Arc::clone(&tally));
        Some(tally)
    }
}
