//! Who is typing, in memory: it is gone with the process, as typing is.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ops::Bound,
    time::Duration,
};

use parking_lot::Mutex;
use ruma::{OwnedRoomId, OwnedUserId, RoomId, UserId};
use vestibule_types::{
    RoomNo,
    limits::{TYPING_ROOMS_MAX, TYPING_USERS_MAX},
    watch,
};

/// Who is typing where. Every change has a number, and the numbers only grow.
#[derive(Debug)]
pub struct Typing {
    state: Mutex<State>,
    changed: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    serial: u64,
    rooms: HashMap<RoomNo, Here>,
    /// The rooms by their last change.
    by_serial: BTreeMap<u64, RoomNo>,
    /// Whose notice runs out when, on the monotonic clock.
    ends: BTreeSet<(Duration, RoomNo, OwnedUserId)>,
}

#[derive(Debug)]
struct Here {
    room_id: OwnedRoomId,
    serial: u64,
    /// Until when.
    users: BTreeMap<OwnedUserId, Duration>,
}

/// Who is typing in a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypingIn {
    /// The room.
    pub room: RoomNo,
    /// Its identifier.
    pub room_id: OwnedRoomId,
    /// The users.
    pub users: Vec<OwnedUserId>,
}

impl Here {
    fn shown(&self, room: RoomNo) -> TypingIn {
        let users = self.users.keys().cloned().collect();
        TypingIn { room, room_id: self.room_id.clone(), users }
    }
}

impl State {
    /// Gives the last change of a room the next number.
    fn changed(&mut self, room: RoomNo) {
        let Some(here) = self.rooms.get_mut(&room) else { return };
        self.serial += 1;
        self.by_serial.remove(&here.serial);
        self.by_serial.insert(self.serial, room);
        here.serial = self.serial;
    }

    /// Forgets the rooms in which nobody is typing any more.
    fn forget_silent(&mut self) {
        let State { rooms, by_serial, .. } = self;
        rooms.retain(|_, here| {
            let typing = !here.users.is_empty();
            if !typing {
                by_serial.remove(&here.serial);
            }
            typing
        });
    }

    /// Somebody types until a moment.
    fn begin(&mut self, (room, room_id): (RoomNo, &RoomId), user: &UserId, until: Duration) {
        if self.rooms.len() >= TYPING_ROOMS_MAX && !self.rooms.contains_key(&room) {
            self.forget_silent();
        }
        let here = self.rooms.entry(room).or_insert_with(|| Here {
            room_id: room_id.to_owned(),
            serial: 0,
            users: BTreeMap::new(),
        });
        if here.users.len() >= TYPING_USERS_MAX && !here.users.contains_key(user) {
            return;
        }
        let before = here.users.insert(user.to_owned(), until);
        if let Some(before) = before {
            self.ends.remove(&(before, room, user.to_owned()));
        }
        self.ends.insert((until, room, user.to_owned()));
        if before.is_none() {
            self.changed(room);
        }
    }

    /// Somebody types no longer.
    fn end(&mut self, room: RoomNo, user: &UserId) {
        let Some(here) = self.rooms.get_mut(&room) else { return };
        if let Some(until) = here.users.remove(user) {
            self.ends.remove(&(until, room, user.to_owned()));
            self.changed(room);
        }
    }
}

impl Typing {
    /// Nobody is typing. Numbers begin at `serial`, which must be later than those of any process
    /// before this one.
    #[must_use]
    pub fn new(serial: u64) -> Self {
        let state = State { serial, ..State::default() };
        Self { state: Mutex::new(state), changed: watch::Sender::new(serial) }
    }

    /// Follows the number of the last change.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// The rooms in which it changed after a number who is typing, and the number of the last
    /// change. From the number 0 on: the rooms in which somebody is typing.
    #[must_use]
    pub fn since(&self, serial: u64) -> (u64, Vec<TypingIn>) {
        let state = self.state.lock();
        let shown = |room: &RoomNo| state.rooms.get(room).map(|here| here.shown(*room));
        let rooms = if serial == 0 {
            let typing = state.rooms.iter().filter(|(_, here)| !here.users.is_empty());
            typing.map(|(room, here)| here.shown(*room)).collect()
        } else {
            let later = (Bound::Excluded(serial), Bound::Unbounded);
            state.by_serial.range(later).filter_map(|(_, room)| shown(room)).collect()
        };
        (state.serial, rooms)
    }

    /// Whether somebody is typing in a room.
    #[must_use]
    pub fn is_typing(&self, room: RoomNo, user: &UserId) -> bool {
        self.state.lock().rooms.get(&room).is_some_and(|here| here.users.contains_key(user))
    }

    /// Ends the notice of somebody who went out of a room.
    pub fn end(&self, room: RoomNo, user: &UserId) {
        self.change(|state| state.end(room, user));
    }

    /// When the next notice runs out.
    #[must_use]
    pub fn next_end(&self) -> Option<Duration> {
        self.state.lock().ends.first().map(|(until, ..)| *until)
    }

    /// Forgets those whose notice ran out.
    pub fn expire(&self, now: Duration) {
        self.change(|state| {
            let mut changed = BTreeSet::new();
            while let Some((until, room, user)) = state.ends.pop_first() {
                if until > now {
                    state.ends.insert((until, room, user));
                    break;
                }
                if let Some(here) = state.rooms.get_mut(&room) {
                    here.users.remove(&user);
                    changed.insert(room);
                }
            }
            for room in changed {
                state.changed(room);
            }
        });
    }

    /// Notes that somebody types until a moment, or no longer.
    pub(crate) fn set(&self, room: (RoomNo, &RoomId), user: &UserId, until: Option<Duration>) {
        self.change(|state| match until {
            Some(until) => state.begin(room, user, until),
            None => state.end(room.0, user),
        });
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let serial = {
            let mut state = self.state.lock();
            change(&mut state);
            state.serial
        };
        self.changed.send_if_modified(|last| {
            let later = serial > *last;
            *last = serial.max(*last);
            later
        });
    }
}

#[cfg(test)]
mod tests {
    use ruma::{room_id, user_id};

    use super::*;

    const ROOM: RoomNo = RoomNo(3);

    fn begin(typing: &Typing, user: &UserId, seconds: u64) {
        typing.set((ROOM, room_id!("!room:a")), user, Some(Duration::from_secs(seconds)));
    }

    fn users(typing: &Typing, since: u64) -> Option<Vec<OwnedUserId>> {
        typing.since(since).1.pop().map(|here| here.users)
    }

    #[test]
    fn a_notice_is_told_once_and_its_end_too() {
        let typing = Typing::new(10);
        let alice = user_id!("@alice:a");
        begin(&typing, alice, 4);
        assert_eq!(users(&typing, 10), Some(vec![alice.to_owned()]));
        begin(&typing, alice, 8);
        let (serial, _) = typing.since(10);
        assert_eq!(users(&typing, serial), None, "still typing is nothing new");

        assert_eq!(typing.next_end(), Some(Duration::from_secs(8)));
        typing.expire(Duration::from_secs(8));
        assert_eq!(users(&typing, serial), Some(vec![]));
        assert_eq!(users(&typing, 0), None, "a newcomer is not told of those who stopped");
    }

    #[test]
    fn who_types_already_goes_on_where_no_more_can_begin() {
        let typing = Typing::new(10);
        let users: Vec<OwnedUserId> = (0..=TYPING_USERS_MAX)
            .map(|number| UserId::parse(format!("@u{number}:a")).unwrap())
            .collect();
        for user in &users {
            begin(&typing, user, 1);
        }
        assert!(!typing.is_typing(ROOM, &users[TYPING_USERS_MAX]), "one too many");
        begin(&typing, &users[0], 9);
        typing.expire(Duration::from_secs(1));
        assert!(typing.is_typing(ROOM, &users[0]));
    }

    #[test]
    fn followers_hear_of_changes_and_of_nothing_else() {
        let typing = Typing::new(10);
        let mut changes = typing.watch();
        changes.mark_unchanged();
        typing.end(ROOM, user_id!("@alice:a"));
        assert!(!changes.has_changed());
        begin(&typing, user_id!("@alice:a"), 1);
        assert!(changes.has_changed());
    }

    #[test]
    fn rooms_are_told_in_the_order_of_their_last_change_and_silent_ones_are_forgotten_first() {
        let typing = Typing::new(10);
        let alice = user_id!("@alice:a");
        let rooms: Vec<RoomNo> = (0..=TYPING_ROOMS_MAX as u64).map(RoomNo).collect();
        let (last, others) = rooms.split_last().unwrap();
        for room in others {
            let until = Duration::from_secs(room.0 + 1);
            typing.set((*room, room_id!("!room:a")), alice, Some(until));
        }
        typing.expire(Duration::from_secs(1));
        assert_eq!(typing.next_end(), Some(Duration::from_secs(2)));
        let (serial, changed) = typing.since(10);
        assert_eq!(changed.len(), others.len());
        assert_eq!(changed.last().map(|here| (here.room, here.users.len())), Some((RoomNo(0), 0)));
        typing.set((*last, room_id!("!room:a")), alice, Some(Duration::from_secs(1)));
        let told: Vec<RoomNo> = typing.since(serial).1.iter().map(|here| here.room).collect();
        assert_eq!(told, [*last]);
        let (rooms, by_serial) = {
            let state = typing.state.lock();
            (state.rooms.len(), state.by_serial.len())
        };
        assert_eq!((rooms, by_serial), (others.len(), others.len()), "the silent one made room");
    }
}
