//! Who is typing, in memory: it is gone with the process, as typing is.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use parking_lot::Mutex;
use ruma::{OwnedUserId, UserId};
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

#[derive(Debug)]
struct State {
    serial: u64,
    rooms: HashMap<RoomNo, Here>,
}

#[derive(Debug, Default)]
struct Here {
    serial: u64,
    /// Until when, on the monotonic clock.
    users: BTreeMap<OwnedUserId, Duration>,
}

/// Who is typing in a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypingIn {
    /// The room.
    pub room: RoomNo,
    /// The users.
    pub users: Vec<OwnedUserId>,
}

impl Typing {
    /// Nobody is typing. Numbers begin at `serial`, which must be later than those of any process
    /// before this one.
    #[must_use]
    pub fn new(serial: u64) -> Self {
        let state = State { serial, rooms: HashMap::new() };
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
        let rooms = state
            .rooms
            .iter()
            .filter(|(_, here)| here.serial > serial && (serial > 0 || !here.users.is_empty()))
            .map(|(room, here)| TypingIn {
                room: *room,
                users: here.users.keys().cloned().collect(),
            })
            .collect();
        (state.serial, rooms)
    }

    /// Whether somebody is typing in a room.
    #[must_use]
    pub fn is_typing(&self, room: RoomNo, user: &UserId) -> bool {
        self.state.lock().rooms.get(&room).is_some_and(|here| here.users.contains_key(user))
    }

    /// Ends the notice of somebody who went out of a room.
    pub fn end(&self, room: RoomNo, user: &UserId) {
        self.set(room, user, None);
    }

    /// When the next notice runs out.
    #[must_use]
    pub fn next_end(&self) -> Option<Duration> {
        let state = self.state.lock();
        state.rooms.values().flat_map(|here| here.users.values()).min().copied()
    }

    /// Forgets those whose notice ran out.
    pub fn expire(&self, now: Duration) {
        self.change(|state| {
            let mut serial = state.serial;
            for here in state.rooms.values_mut() {
                let before = here.users.len();
                here.users.retain(|_, until| *until > now);
                if here.users.len() != before {
                    serial += 1;
                    here.serial = serial;
                }
            }
            state.serial = serial;
        });
    }

    /// Notes that somebody types until a moment, or no longer.
    pub(crate) fn set(&self, room: RoomNo, user: &UserId, until: Option<Duration>) {
        self.change(|state| {
            if state.rooms.len() >= TYPING_ROOMS_MAX {
                state.rooms.retain(|_, here| !here.users.is_empty());
            }
            let next = state.serial + 1;
            let here = state.rooms.entry(room).or_default();
            let changed = match until {
                Some(_)
                    if here.users.len() >= TYPING_USERS_MAX && !here.users.contains_key(user) =>
                {
                    false
                }
                Some(until) => here.users.insert(user.to_owned(), until).is_none(),
                None => here.users.remove(user).is_some(),
            };
            if changed {
                here.serial = next;
                state.serial = next;
            }
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
    use ruma::user_id;

    use super::*;

    const ROOM: RoomNo = RoomNo(3);

    fn users(typing: &Typing, since: u64) -> Option<Vec<OwnedUserId>> {
        typing.since(since).1.pop().map(|here| here.users)
    }

    #[test]
    fn a_notice_is_told_once_and_its_end_too() {
        let typing = Typing::new(10);
        let alice = user_id!("@alice:a");
        typing.set(ROOM, alice, Some(Duration::from_secs(4)));
        assert_eq!(users(&typing, 10), Some(vec![alice.to_owned()]));
        typing.set(ROOM, alice, Some(Duration::from_secs(8)));
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
            typing.set(ROOM, user, Some(Duration::from_secs(1)));
        }
        assert!(!typing.is_typing(ROOM, &users[TYPING_USERS_MAX]), "one too many");
        typing.set(ROOM, &users[0], Some(Duration::from_secs(9)));
        typing.expire(Duration::from_secs(1));
        assert!(typing.is_typing(ROOM, &users[0]));
    }

    #[test]
    fn followers_hear_of_changes_and_of_nothing_else() {
        let typing = Typing::new(10);
        let mut changes = typing.watch();
        changes.mark_unchanged();
        typing.set(ROOM, user_id!("@alice:a"), None);
        assert!(!changes.has_changed());
        typing.set(ROOM, user_id!("@alice:a"), Some(Duration::from_secs(1)));
        assert!(changes.has_changed());
    }
}
