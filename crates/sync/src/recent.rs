//! What happened lately, in memory: to each room somebody listens to, and in the rooms of each user who
//! listens.
//!
//! Both lists are short. What fell off is marked by a floor, and whoever asks for more than there is has to
//! read the store.

use std::collections::VecDeque;

use smallvec::SmallVec;
use vestibule_storage::{Positions, SlotNo};
use vestibule_types::{
    EventNo, RoomNo,
    limits::{RECENT_LINES_MAX, RECENT_ROOMS_MAX},
};

use crate::hub::Place;

/// What happened to a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    /// An event entered its timeline that is nobody's membership.
    Event(EventNo),
    /// Somebody read on.
    Receipt,
    /// Anything else.
    Other,
}

/// The last deeds in one room, oldest first.
#[derive(Debug)]
pub(crate) struct RoomLines {
    lines: VecDeque<(Place, Deed)>,
    /// What happened up to here may be missing.
    floor: Positions,
}

/// All that happened in a room: events and receipts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NewLines {
    pub(crate) events: SmallVec<[EventNo; 4]>,
    /// The first and the last commit with a receipt.
    pub(crate) receipts: Option<(u64, u64)>,
    /// The last commit in which anything happened before all of it, or a later one.
    pub(crate) before: u64,
    /// The last commit in which anything happened, or a later one.
    pub(crate) last: u64,
}

impl RoomLines {
    pub(crate) fn new(floor: Positions) -> Self {
        Self { lines: VecDeque::new(), floor }
    }

    pub(crate) fn push(&mut self, place: Place, deed: Deed) {
        if self.lines.len() >= RECENT_LINES_MAX
            && let Some(((slot, commit), _)) = self.lines.pop_front()
        {
            self.floor.set(slot, commit);
        }
        self.lines.push_back((place, deed));
    }

    /// What happened after a position of the room's slot. `None` when it was more than events and
    /// receipts, or is not all known.
    pub(crate) fn since(&self, since: &Positions, slot: SlotNo) -> Option<NewLines> {
        let (since, floor) = (since.get(slot), self.floor.get(slot));
        if floor > since {
            return None;
        }
        let mut new =
            NewLines { events: SmallVec::new(), receipts: None, before: floor, last: floor };
        for ((_, commit), deed) in &self.lines {
            new.last = *commit;
            match deed {
                _ if *commit <= since => new.before = *commit,
                Deed::Event(event) => new.events.push(*event),
                Deed::Receipt => {
                    let first = new.receipts.map_or(*commit, |(first, _)| first);
                    new.receipts = Some((first, *commit));
                }
                Deed::Other => return None,
            }
        }
        Some(new)
    }
}

/// The rooms of one user in which something happened last.
#[derive(Debug)]
pub(crate) struct UserRooms {
    rooms: VecDeque<(RoomNo, Place)>,
    /// What happened up to here may be missing.
    floor: Positions,
}

impl UserRooms {
    pub(crate) fn new(floor: Positions) -> Self {
        Self { rooms: VecDeque::new(), floor }
    }

    /// Raises the floor to a position.
    pub(crate) fn forget_up_to(&mut self, to: &Positions) {
        for (slot, commit) in to.iter() {
            self.floor.set(slot, commit.max(self.floor.get(slot)));
        }
    }

    pub(crate) fn push(&mut self, room: RoomNo, place: Place) {
        self.rooms.retain(|(known, _)| *known != room);
        if self.rooms.len() >= RECENT_ROOMS_MAX
            && let Some((_, (slot, commit))) = self.rooms.pop_front()
        {
            self.floor.set(slot, commit.max(self.floor.get(slot)));
        }
        self.rooms.push_back((room, place));
    }

    /// The rooms in which something happened after a position. `None` when not all are known.
    pub(crate) fn since(&self, since: &Positions) -> Option<impl Iterator<Item = RoomNo> + '_> {
        let known = self.floor.iter().all(|(slot, commit)| commit <= since.get(slot));
        let since = since.clone();
        known.then(|| {
            let later = move |(_, (slot, commit)): &&(RoomNo, Place)| *commit > since.get(*slot);
            self.rooms.iter().filter(later).map(|(room, _)| *room)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLOT: SlotNo = SlotNo(0);

    fn at(commit: u64) -> Positions {
        vec![commit].into()
    }

    fn events(of: &[u64], before: u64) -> NewLines {
        let last = of.last().copied().unwrap_or(before);
        let events = of.iter().copied().map(EventNo).collect();
        NewLines { events, receipts: None, before, last }
    }

    fn since(lines: &RoomLines, commit: u64) -> Option<NewLines> {
        lines.since(&at(commit), SLOT)
    }

    #[test]
    fn events_are_known_with_what_was_before_them() {
        let mut lines = RoomLines::new(at(3));
        for commit in [5, 6, 8] {
            lines.push((SLOT, commit), Deed::Event(EventNo(commit)));
        }
        assert_eq!(since(&lines, 3), Some(events(&[5, 6, 8], 3)));
        assert_eq!(since(&lines, 7), Some(events(&[8], 6)));
        assert_eq!(since(&lines, 2), None, "the room may have had more");
    }

    #[test]
    fn whatever_is_no_event_is_for_the_store_to_say() {
        let mut lines = RoomLines::new(at(0));
        lines.push((SLOT, 1), Deed::Event(EventNo(1)));
        lines.push((SLOT, 2), Deed::Other);
        lines.push((SLOT, 3), Deed::Event(EventNo(3)));
        assert_eq!(since(&lines, 1), None);
        assert_eq!(since(&lines, 2), Some(events(&[3], 2)));
    }

    #[test]
    fn receipts_are_known_by_the_commits_they_came_in() {
        let mut lines = RoomLines::new(at(0));
        lines.push((SLOT, 2), Deed::Event(EventNo(2)));
        for commit in [3, 5, 6] {
            lines.push((SLOT, commit), Deed::Receipt);
        }
        lines.push((SLOT, 8), Deed::Event(EventNo(8)));
        let new = NewLines { receipts: Some((5, 6)), ..events(&[8], 3) };
        assert_eq!(since(&lines, 3), Some(new));
        assert_eq!(since(&lines, 8), Some(events(&[], 8)), "nothing is new");
    }

    #[test]
    fn what_fell_off_is_not_known() {
        let (mut lines, mut rooms) = (RoomLines::new(at(0)), UserRooms::new(at(0)));
        let many = u64::try_from(RECENT_LINES_MAX.max(RECENT_ROOMS_MAX)).expect("a number") + 1;
        for commit in 1..=many {
            lines.push((SLOT, commit), Deed::Event(EventNo(commit)));
            rooms.push(RoomNo(commit), (SLOT, commit));
        }
        assert_eq!(since(&lines, 0), None);
        assert!(rooms.since(&at(0)).is_none());
        assert_eq!(since(&lines, many - 1), Some(events(&[many], many - 1)));
        let last: Vec<RoomNo> = rooms.since(&at(many - 1)).expect("known").collect();
        assert_eq!(last, [RoomNo(many)]);
    }

    #[test]
    fn a_room_is_named_once_with_its_last_change() {
        let mut rooms = UserRooms::new(at(0));
        rooms.push(RoomNo(1), (SLOT, 1));
        rooms.push(RoomNo(2), (SLOT, 2));
        rooms.push(RoomNo(1), (SLOT, 3));
        let since = |commit| rooms.since(&at(commit)).expect("known").collect::<Vec<_>>();
        assert_eq!(since(0), [RoomNo(2), RoomNo(1)]);
        assert_eq!(since(2), [RoomNo(1)]);
    }
}
