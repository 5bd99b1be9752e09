//! Where the newest row of each word begins, in memory, so that words need not be looked for.

use std::collections::HashMap;

use parking_lot::Mutex;
use vestibule_types::{RoomNo, limits::SEARCH_TAILS_MAX};

use crate::postings::Place;

/// Words and where their newest rows begin.
pub(crate) type Begins = Vec<(String, Place)>;

/// The newest rows of words, of the rooms that were put into the index last. A row may be gone; no
/// row of its word begins later.
#[derive(Debug, Default)]
pub(crate) struct Tails(Mutex<Inside>);

#[derive(Debug, Default)]
struct Inside {
    rooms: HashMap<RoomNo, Tail>,
    words: usize,
    turn: u64,
}

#[derive(Debug, Default)]
struct Tail {
    /// How far the room was in the index: the rows are those of that moment.
    next: u64,
    begins: HashMap<String, Place>,
    turn: u64,
}

impl Tails {
    /// Where the newest rows of these words begin, for a room that is in the index up to `next`.
    pub(crate) fn of<'w>(
        &self,
        (room, next): (RoomNo, u64),
        words: impl Iterator<Item = &'w String>,
    ) -> Vec<Option<Place>> {
        let inside = self.0.lock();
        let tail = inside.rooms.get(&room).filter(|tail| tail.next == next);
        words.map(|word| tail?.begins.get(word).copied()).collect()
    }

    /// Notes what a batch that was committed brought, which took the room from one event to another.
    /// A batch that is noted out of turn is the beginning of what is known.
    pub(crate) fn note(&self, room: RoomNo, (from, to): (u64, u64), begins: Begins) {
        let inside = &mut *self.0.lock();
        inside.turn += 1;
        let tail = inside.rooms.entry(room).or_default();
        if tail.next != from {
            inside.words = inside.words.saturating_sub(tail.begins.len());
            tail.begins.clear();
        }
        let before = tail.begins.len();
        tail.begins.extend(begins);
        inside.words = inside.words.saturating_add(tail.begins.len().saturating_sub(before));
        (tail.next, tail.turn) = (to, inside.turn);
        if inside.words > SEARCH_TAILS_MAX {
            inside.forget_half();
        }
    }
}

impl Inside {
    /// Forgets the rooms that were noted the longest ago.
    fn forget_half(&mut self) {
        let mut rooms: Vec<(u64, RoomNo)> =
            self.rooms.iter().map(|(room, tail)| (tail.turn, *room)).collect();
        rooms.sort_unstable();
        for (_, room) in rooms {
            if self.words <= SEARCH_TAILS_MAX / 2 {
                return;
            }
            let gone = self.rooms.remove(&room).map_or(0, |tail| tail.begins.len());
            self.words = self.words.saturating_sub(gone);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: RoomNo = RoomNo(1);

    fn at(no: u32) -> Place {
        Place { second: 1, no }
    }

    fn begin(tails: &Tails, place: (RoomNo, u64), word: &str) -> Option<Place> {
        tails.of(place, [word.to_owned()].iter())[0]
    }

    #[test]
    fn what_is_known_holds_for_the_moment_it_was_noted_for() {
        let tails = Tails::default();
        tails.note(ROOM, (0, 5), vec![("tea".to_owned(), at(1))]);
        assert_eq!(begin(&tails, (ROOM, 5), "tea"), Some(at(1)));
        assert_eq!(begin(&tails, (ROOM, 4), "tea"), None);
        tails.note(ROOM, (5, 9), vec![("pot".to_owned(), at(6))]);
        assert_eq!(begin(&tails, (ROOM, 9), "tea"), Some(at(1)));
        tails.note(ROOM, (12, 14), vec![("cup".to_owned(), at(13))]);
        assert_eq!(begin(&tails, (ROOM, 14), "cup"), Some(at(13)));
        assert_eq!(begin(&tails, (ROOM, 14), "tea"), None, "something was missed in between");
    }

    #[test]
    fn rooms_noted_long_ago_make_room() {
        let tails = Tails::default();
        let words = |count: usize| (0..count).map(|no| (no.to_string(), at(1))).collect();
        tails.note(ROOM, (0, 1), words(SEARCH_TAILS_MAX / 2));
        tails.note(RoomNo(2), (0, 1), words(SEARCH_TAILS_MAX / 2));
        assert_eq!(begin(&tails, (ROOM, 1), "0"), Some(at(1)));
        tails.note(RoomNo(3), (0, 1), words(1));
        assert_eq!(begin(&tails, (ROOM, 1), "0"), None);
        assert_eq!(begin(&tails, (RoomNo(3), 1), "0"), Some(at(1)));
    }
}
