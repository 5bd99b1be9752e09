//! Who waits for what: users with a sync under way or a short while ago, the rooms they are in, and
//! which rooms changed lately.
//!
//! Nothing here decides what anybody sees: that is read from the store. What is known here may be
//! more than is true (a room somebody has left), never less, so it is good for waking people and for
//! finding the rooms worth looking at.

mod quiet;

pub(crate) use self::quiet::{Quiet, QuietRoom};

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use parking_lot::RwLock;
use ruma::{OwnedDeviceId, OwnedUserId, UserId};
use tokio::sync::watch;
use vestibule_storage::{Positions, SlotNo, tables::room::StoredMembership};
use vestibule_types::{
    RoomNo,
    limits::{CHANGED_ROOMS_MAX, LIVE_USER_AGE_MAX, LIVE_USERS_MIN, PRESENCE_LISTENERS_MAX},
};

use crate::{
    glance::Carried,
    recent::{Deed, RoomLines, UserRooms},
};

/// What is shared by everybody who waits.
#[derive(Debug)]
pub(crate) struct Hub {
    /// Read by everybody who is woken; written by the one who follows the log, and for newcomers.
    state: RwLock<State>,
}

/// A place in the line of commits: a slot and a commit of it.
pub(crate) type Place = (SlotNo, u64);

/// What a user is to a room, as last heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) membership: StoredMembership,
    pub(crate) since: Place,
}

#[derive(Debug)]
struct State {
    /// Up to where the log was followed.
    tail: Positions,
    /// Changes up to here are not in `changed`.
    floor: Positions,
    /// The last change of each room that changed since.
    changed: HashMap<RoomNo, Place>,
    keys: HashMap<OwnedUserId, UserKey>,
    users: HashMap<UserKey, LiveUser>,
    next_key: UserKey,
    /// The users to wake for a room.
    listeners: HashMap<RoomNo, Listeners>,
    /// How many users there may be before the idle ones are let go.
    sweep_at: usize,
}

type UserKey = u32;

/// Who listens to a room, and what they could hear lately.
#[derive(Debug)]
struct Listeners {
    users: BTreeSet<UserKey>,
    lines: RoomLines,
}

#[derive(Debug)]
struct LiveUser {
    user_id: OwnedUserId,
    bell: watch::Sender<()>,
    rooms: HashMap<RoomNo, Member>,
    /// Whether `rooms` holds all of them.
    complete: bool,
    /// In which of them something happened last.
    recent: UserRooms,
    /// What the last syncs of some devices found, as long as nothing of the user's own changed.
    carried: Vec<(OwnedDeviceId, Arc<Carried>)>,
    /// Up to where something of the user's own changed.
    own_news: Positions,
    attendance: Arc<Attendance>,
}

/// Whether somebody is here.
#[derive(Debug, Default)]
struct Attendance {
    waiting: AtomicUsize,
    /// When they last came, in milliseconds.
    last_seen: AtomicU64,
}

impl Attendance {
    fn come(&self, now: Duration) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let now = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        self.last_seen.store(now, Ordering::Relaxed);
    }

    fn is_idle(&self, now: Duration) -> bool {
        let last = Duration::from_millis(self.last_seen.load(Ordering::Relaxed));
        self.waiting.load(Ordering::Relaxed) == 0 && now.saturating_sub(last) > LIVE_USER_AGE_MAX
    }
}

/// What the log said, read with what is needed to follow it.
#[derive(Debug, Default)]
pub(crate) struct News {
    /// Up to where it was read.
    pub(crate) to: Positions,
    /// Rooms that changed, and where last.
    pub(crate) rooms: HashMap<RoomNo, Place>,
    /// What happened in them, in order.
    pub(crate) deeds: Vec<(RoomNo, Place, Deed)>,
    /// What users now are to rooms.
    pub(crate) members: Vec<(OwnedUserId, RoomNo, Member)>,
    /// Rooms with somebody in them whose devices changed.
    pub(crate) company: HashSet<RoomNo>,
    /// Users who have something new of their own.
    pub(crate) users: HashSet<OwnedUserId>,
}

/// Somebody's seat: as long as it is held, their bell rings.
pub(crate) struct Seat {
    attendance: Arc<Attendance>,
    bell: watch::Receiver<()>,
}

impl Seat {
    /// Forgets all ringing so far: what is read after this shows what it was about.
    pub(crate) fn listen(&mut self) {
        self.bell.mark_unchanged();
    }

    /// Completes when something may be new.
    pub(crate) async fn rung(&mut self) {
        if self.bell.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.attendance.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Hub {
    /// A hub that follows the log from here on.
    pub(crate) fn new(at: Positions) -> Self {
        Self {
            state: RwLock::new(State {
                tail: at.clone(),
                floor: at,
                changed: HashMap::new(),
                keys: HashMap::new(),
                users: HashMap::new(),
                next_key: 0,
                listeners: HashMap::new(),
                sweep_at: LIVE_USERS_MIN,
            }),
        }
    }

    /// Up to where the log was followed.
    pub(crate) fn tail(&self) -> Positions {
        self.state.read().tail.clone()
    }

    /// Takes a seat. From now on the user is woken for what is theirs alone; for rooms once
    /// [`Hub::complete`] was told of them.
    pub(crate) fn enter(&self, user_id: &UserId, now: Duration) -> Seat {
        if let Some(user) = self.state.read().user(user_id) {
            return user.seat(now);
        }
        let mut state = self.state.write();
        if state.users.len() >= state.sweep_at {
            state.sweep(now);
        }
        state.add(user_id).seat(now)
    }

    /// Whether all rooms of a user are known.
    pub(crate) fn is_complete(&self, user_id: &UserId) -> bool {
        self.state.read().user(user_id).is_some_and(|user| user.complete)
    }

    /// Adds all rooms of a user, as a snapshot at `at` showed them. Whoever waits for the user is
    /// woken when the log was followed beyond that moment, because they may have been passed over.
    pub(crate) fn complete(
        &self,
        user_id: &UserId,
        at: &Positions,
        rooms: impl IntoIterator<Item = (RoomNo, Member)>,
    ) {
        let mut state = self.state.write();
        let Some(key) = state.keys.get(user_id).copied() else { return };
        for (room, member) in rooms {
            state.set(key, room, member);
        }
        let tail = state.tail.clone();
        let passed_over = state.tail.iter().any(|(slot, commit)| commit > at.get(slot));
        if let Some(user) = state.users.get_mut(&key) {
            user.complete = true;
            user.recent.forget_up_to(at);
            user.recent.forget_up_to(&tail);
            if passed_over {
                user.bell.send_replace(());
            }
        }
    }

    /// The rooms of a user that changed after `since`, as far as the log was followed. `None` when
    /// that is not known here.
    pub(crate) fn changed_rooms(&self, user_id: &UserId, since: &Positions) -> Option<Vec<RoomNo>> {
        let state = self.state.read();
        let user = state.user(user_id).filter(|user| user.complete)?;
        if state.floor.iter().any(|(slot, commit)| since.get(slot) < commit) {
            return None;
        }
        let later = |(slot, commit): Place| commit > since.get(slot);
        // Whichever is smaller is walked.
        if state.changed.len() < user.rooms.len() {
            let changed = state.changed.iter().filter(|(_, place)| later(**place));
            return Some(
                changed
                    .map(|(room, _)| *room)
                    .filter(|room| user.rooms.contains_key(room))
                    .collect(),
            );
        }
        let changed = |room: &RoomNo| state.changed.get(room).is_some_and(|place| later(*place));
        let rooms = user.rooms.keys().copied().filter(changed);
        Some(rooms.collect())
    }

    /// How many listen to a room.
    pub(crate) fn listeners(&self, room: RoomNo) -> usize {
        self.state.read().listeners.get(&room).map_or(0, |there| there.users.len())
    }

    /// The users of whom something is known in a room.
    pub(crate) fn known_in(&self, room: RoomNo) -> Vec<OwnedUserId> {
        let state = self.state.read();
        let there = state.users.values().filter(|user| user.rooms.contains_key(&room));
        there.map(|user| user.user_id.clone()).collect()
    }

    /// Whether a user is known here.
    pub(crate) fn knows(&self, user_id: &UserId) -> bool {
        self.state.read().keys.contains_key(user_id)
    }

    /// Follows the log, and wakes whom it concerns. The bells ring when others can read again, since
    /// that is the first thing whoever is woken does.
    pub(crate) fn follow(&self, news: News) {
        let bells = self.state.write().follow(news);
        for bell in &bells {
            bell.send_replace(());
        }
    }

    /// Wakes everybody who is in one of these rooms, where there are not too many of them.
    pub(crate) fn ring_small_rooms(&self, rooms: impl Iterator<Item = RoomNo>) {
        let state = self.state.read();
        let small = |room: &RoomNo| {
            let there = state.listeners.get(room).map_or(0, |there| there.users.len());
            there <= PRESENCE_LISTENERS_MAX
        };
        for room in rooms.filter(small) {
            state.ring_room(room);
        }
    }

    /// Wakes everybody who is in one of these rooms.
    pub(crate) fn ring_rooms(&self, rooms: impl Iterator<Item = RoomNo>) {
        let state = self.state.read();
        for room in rooms {
            state.ring_room(room);
        }
    }
}

impl LiveUser {
    fn seat(&self, now: Duration) -> Seat {
        self.attendance.come(now);
        Seat { attendance: Arc::clone(&self.attendance), bell: self.bell.subscribe() }
    }
}

impl State {
    fn user(&self, user_id: &UserId) -> Option<&LiveUser> {
        self.users.get(self.keys.get(user_id)?)
    }

    /// The user, known from now on.
    fn add(&mut self, user_id: &UserId) -> &LiveUser {
        let key = match self.keys.get(user_id) {
            Some(key) => *key,
            None => self.new_key(user_id),
        };
        self.users.entry(key).or_insert_with(|| LiveUser {
            user_id: user_id.to_owned(),
            bell: watch::channel(()).0,
            rooms: HashMap::new(),
            complete: false,
            recent: UserRooms::new(self.tail.clone()),
            carried: Vec::new(),
            own_news: self.tail.clone(),
            attendance: Arc::default(),
        })
    }

    fn new_key(&mut self, user_id: &UserId) -> UserKey {
        while self.users.contains_key(&self.next_key) {
            self.next_key = self.next_key.wrapping_add(1);
        }
        let key = self.next_key;
        self.next_key = key.wrapping_add(1);
        self.keys.insert(user_id.to_owned(), key);
        key
    }

    /// Notes what a user is to a room, unless something newer is known.
    fn set(&mut self, key: UserKey, room: RoomNo, member: Member) {
        let Some(user) = self.users.get_mut(&key) else { return };
        match user.rooms.get(&room) {
            Some(known) if known.since.1 > member.since.1 => return,
            _ => user.rooms.insert(room, member),
        };
        if member.membership == StoredMembership::Join {
            let there = self.listeners.entry(room).or_insert_with(|| Listeners {
                users: BTreeSet::new(),
                lines: RoomLines::new(self.tail.clone()),
            });
            there.users.insert(key);
        } else {
            self.unlisten(key, room);
        }
    }

    fn unlisten(&mut self, key: UserKey, room: RoomNo) {
        if let Some(there) = self.listeners.get_mut(&room) {
            there.users.remove(&key);
            if there.users.is_empty() {
                self.listeners.remove(&room);
            }
        }
    }

    /// Follows the log. Returns the bells of those it concerns.
    fn follow(&mut self, news: News) -> Vec<watch::Sender<()>> {
        let mut woken = Vec::new();
        for (user_id, room, member) in &news.members {
            if let Some(key) = self.keys.get(user_id).copied() {
                self.set(key, *room, *member);
                self.heard(key, *room, member.since);
                woken.push(key);
            }
        }
        for user_id in &news.users {
            if let Some(key) = self.keys.get(user_id).copied() {
                self.own_news(key, &news.to);
                woken.push(key);
            }
        }
        for (room, place, deed) in news.deeds {
            if let Some(there) = self.listeners.get_mut(&room) {
                there.lines.push(place, deed);
            }
        }
        for (room, place) in &news.rooms {
            for key in self.keys_in(*room) {
                self.heard(key, *room, *place);
                woken.push(key);
            }
        }
        for room in &news.company {
            for key in self.keys_in(*room) {
                self.own_news(key, &news.to);
                woken.push(key);
            }
        }
        self.changed.extend(news.rooms);
        self.tail = news.to;
        if self.changed.len() > CHANGED_ROOMS_MAX {
            self.changed.clear();
            self.floor = self.tail.clone();
        }
        woken.sort_unstable();
        woken.dedup();
        let woken = woken.into_iter().filter_map(|key| self.users.get(&key));
        woken.map(|user| user.bell.clone()).collect()
    }

    fn ring(&self, key: UserKey) {
        if let Some(user) = self.users.get(&key) {
            user.bell.send_replace(());
        }
    }

    /// Whoever listens to a room.
    fn keys_in(&self, room: RoomNo) -> Vec<UserKey> {
        let there = self.listeners.get(&room);
        there.map(|there| there.users.iter().copied().collect()).unwrap_or_default()
    }

    fn ring_room(&self, room: RoomNo) {
        for key in self.listeners.get(&room).into_iter().flat_map(|there| &there.users) {
            self.ring(*key);
        }
    }

    /// Something happened in a room of a user.
    fn heard(&mut self, key: UserKey, room: RoomNo, place: Place) {
        if let Some(user) = self.users.get_mut(&key) {
            user.recent.push(room, place);
        }
    }

    /// Something of a user's own changed before a position.
    fn own_news(&mut self, key: UserKey, to: &Positions) {
        if let Some(user) = self.users.get_mut(&key) {
            user.carried.clear();
            user.own_news = to.clone();
        }
    }

    /// Lets go of users who have not been here for a while.
    fn sweep(&mut self, now: Duration) {
        let gone: Vec<UserKey> = self
            .users
            .iter()
            .filter(|(_, user)| user.attendance.is_idle(now))
            .map(|(key, _)| *key)
            .collect();
        for key in gone {
            let Some(user) = self.users.remove(&key) else { continue };
            self.keys.remove(&user.user_id);
            for room in user.rooms.keys() {
                self.unlisten(key, *room);
            }
        }
        self.sweep_at = (self.users.len() * 2).max(LIVE_USERS_MIN);
    }
}

#[cfg(test)]
mod tests {
    use ruma::user_id;

    use super::*;

    const ROOM: RoomNo = RoomNo(1);

    fn joined(commit: u64) -> Member {
        Member { membership: StoredMembership::Join, since: (SlotNo(0), commit) }
    }

    fn hub() -> Arc<Hub> {
        Arc::new(Hub::new(vec![0].into()))
    }

    fn news(commit: u64) -> News {
        let rooms = [(ROOM, (SlotNo(0), commit))].into();
        News { to: vec![commit].into(), rooms, ..News::default() }
    }

    fn rung(seat: &Seat) -> bool {
        seat.bell.has_changed().expect("the hub lives")
    }

    #[test]
    fn whoever_is_in_a_room_is_woken_and_nobody_else() {
        let hub = hub();
        let alice = hub.enter(user_id!("@alice:a"), Duration::ZERO);
        let bob = hub.enter(user_id!("@bob:a"), Duration::ZERO);
        hub.complete(user_id!("@alice:a"), &vec![0].into(), [(ROOM, joined(0))]);
        hub.complete(user_id!("@bob:a"), &vec![0].into(), []);
        hub.follow(news(1));
        assert!(rung(&alice));
        assert!(!rung(&bob));
    }

    #[test]
    fn news_between_the_snapshot_and_the_seat_wake_too() {
        let hub = hub();
        let seat = hub.enter(user_id!("@alice:a"), Duration::ZERO);
        hub.follow(news(1));
        assert!(!rung(&seat));
        hub.complete(user_id!("@alice:a"), &vec![0].into(), [(ROOM, joined(0))]);
        assert!(rung(&seat));
    }

    #[test]
    fn an_older_snapshot_does_not_undo_what_the_log_said() {
        let hub = hub();
        let seat = hub.enter(user_id!("@alice:a"), Duration::ZERO);
        let left = Member { membership: StoredMembership::Leave, since: (SlotNo(0), 5) };
        let members = vec![(user_id!("@alice:a").to_owned(), ROOM, left)];
        hub.follow(News { members, ..news(5) });
        hub.complete(user_id!("@alice:a"), &vec![5].into(), [(ROOM, joined(3))]);
        let mut seat = seat;
        seat.listen();
        hub.follow(news(6));
        assert!(!rung(&seat));
    }

    #[test]
    fn rooms_that_changed_are_known_since_the_hub_began_and_not_before() {
        let hub = Arc::new(Hub::new(vec![4].into()));
        let _seat = hub.enter(user_id!("@alice:a"), Duration::ZERO);
        hub.complete(user_id!("@alice:a"), &vec![4].into(), [(ROOM, joined(1))]);
        hub.follow(news(6));
        let changed = |since: u64| hub.changed_rooms(user_id!("@alice:a"), &vec![since].into());
        assert_eq!(changed(3), None);
        assert_eq!(changed(4), Some(vec![ROOM]));
        assert_eq!(changed(6), Some(vec![]));
    }

    #[test]
    fn the_idle_are_let_go_and_the_waiting_are_not() {
        let hub = hub();
        let _waiting = hub.enter(user_id!("@alice:a"), Duration::ZERO);
        drop(hub.enter(user_id!("@bob:a"), Duration::ZERO));
        hub.state.write().sweep(LIVE_USER_AGE_MAX * 2);
        assert!(hub.knows(user_id!("@alice:a")));
        assert!(!hub.knows(user_id!("@bob:a")));
    }
}
