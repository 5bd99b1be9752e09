//! Who is there, in memory: after a restart everybody is offline until they come or do something.
//!
//! What users of this server said of themselves and when they were last active is written down
//! ([`keep`]) and read again when they are asked after or come. What other servers said of theirs is
//! not: they say it again.
//!
//! Times are counted from the Unix epoch by the monotonic clock: as the wall clock was when the
//! process began, so that what was before it has its place too.
//!
//! Every change has a number, and the numbers only grow; whoever follows presence asks for what
//! changed after a number. That somebody goes on being active is no change.

mod ask;
mod keep;
mod person;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use parking_lot::Mutex;
use ruma::{OwnedUserId, UserId};
use serde::{Deserialize, Serialize};
use vestibule_types::{
    limits::{PRESENCE_ELSEWHERE_MAX, PRESENCE_USERS_MAX},
    watch,
};

pub use self::ask::{Attendance, PresenceError, SetPresence};
use self::person::{Here, Person};

/// What the operator decided about presence.
#[derive(Clone, Copy, Debug, Default)]
pub struct PresenceConfig {
    /// Whether it is kept at all.
    pub enabled: bool,
    /// Whether other servers are told of ours.
    pub send: bool,
    /// Whether they are listened to about theirs.
    pub receive: bool,
}

/// Whether somebody is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Availability {
    /// Not there, or not showing it.
    Offline,
    /// There, and idle.
    Unavailable,
    /// There.
    #[default]
    Online,
}

/// The presence of somebody, as others see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserPresence {
    /// Whose.
    pub user_id: OwnedUserId,
    /// Whether they are there.
    pub state: Availability,
    /// What they say of themselves.
    pub status: Option<String>,
    /// When they last did something ([`Presence::moment`]); `None` when that is not known.
    pub active: Option<Duration>,
    /// Whether that was just now, and goes on.
    pub currently_active: bool,
}

impl UserPresence {
    /// How long ago they last did something, in milliseconds.
    #[must_use]
    pub fn active_ago_ms(&self, now: Duration) -> Option<u64> {
        let ago = now.saturating_sub(self.active?);
        Some(u64::try_from(ago.as_millis()).unwrap_or(u64::MAX))
    }
}

/// What another server says of one of its users.
#[derive(Clone, Debug)]
pub struct PresenceElsewhere {
    /// Whether they are there.
    pub state: Availability,
    /// What they say of themselves.
    pub status: Option<String>,
    /// How long ago they last did something.
    pub active_ago: Duration,
    /// Whether that goes on.
    pub currently_active: bool,
}

/// The presence of everybody who was seen lately.
#[derive(Debug)]
pub struct Presence {
    config: PresenceConfig,
    /// When the monotonic clock began, since the Unix epoch.
    began: Duration,
    state: Mutex<State>,
    changed: watch::Sender<u64>,
}

#[derive(Debug)]
struct State {
    serial: u64,
    people: HashMap<OwnedUserId, Person>,
    /// Who changed last at which number.
    by_serial: BTreeMap<u64, OwnedUserId>,
    /// When somebody is to be looked at again.
    due: BTreeSet<(Duration, OwnedUserId)>,
    /// Of whom there is something to write down; no more of them than are remembered.
    unkept: Vec<OwnedUserId>,
}

impl Presence {
    /// Nobody is there. Numbers begin at `serial`, which must be later than those of any process
    /// before this one; the monotonic clock began at `began` after the Unix epoch.
    #[must_use]
    pub fn new(serial: u64, began: Duration, config: PresenceConfig) -> Self {
        let state = State {
            serial,
            people: HashMap::new(),
            by_serial: BTreeMap::new(),
            due: BTreeSet::new(),
            unkept: Vec::new(),
        };
        Self { config, began, state: Mutex::new(state), changed: watch::Sender::new(serial) }
    }

    /// What the operator decided.
    #[must_use]
    pub fn config(&self) -> PresenceConfig {
        self.config
    }

    /// The moment the monotonic clock shows, as presence counts time.
    #[must_use]
    pub fn moment(&self, monotonic: Duration) -> Duration {
        self.began.saturating_add(monotonic)
    }

    /// Follows the number of the last change.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// The number of the last change.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.state.lock().serial
    }

    /// Up to `limit` users whose presence changed after a number, in the order of their last change,
    /// and the number up to which that is everybody. From the number 0 on: those who are there.
    #[must_use]
    pub fn since(&self, serial: u64, limit: usize) -> (u64, Vec<UserPresence>) {
        let state = self.state.lock();
        let changed = state.by_serial.range(serial.saturating_add(1)..);
        let people = changed.filter_map(|(at, user)| Some((*at, user, state.people.get(user)?)));
        let shown =
            people.filter(|(_, _, it)| serial > 0 || it.told.state != Availability::Offline);
        let (mut last, mut found) = (serial, Vec::new());
        for (at, user, person) in shown {
            if found.len() >= limit {
                return (last, found);
            }
            last = at;
            found.push(person.shown(user));
        }
        (state.serial, found)
    }

    /// The presence of somebody, if they were seen.
    #[must_use]
    pub fn of(&self, user: &UserId) -> Option<UserPresence> {
        Some(self.state.lock().people.get(user)?.shown(user))
    }

    /// When the next user is to be looked at again.
    #[must_use]
    pub fn next_end(&self) -> Option<Duration> {
        self.state.lock().due.first().map(|(at, _)| *at)
    }

    /// Looks at those again whose time has come: they went idle, or away.
    pub fn expire(&self, now: Duration) {
        self.change(|state| {
            while let Some((at, user)) = state.due.first().cloned()
                && at <= now
            {
                state.due.remove(&(at, user.clone()));
                if let Some(person) = state.people.get_mut(&user) {
                    person.due = None;
                }
                state.look_at(&user, now);
            }
        });
    }

    /// Takes what another server says of its user.
    pub fn elsewhere(&self, user: &UserId, said: PresenceElsewhere, now: Duration) {
        self.change(|state| {
            let person = state.person(user);
            person.here = None;
            person.until = Some(now.saturating_add(PRESENCE_ELSEWHERE_MAX));
            person.active = Some(now.saturating_sub(said.active_ago));
            person.said = person::Told {
                state: said.state,
                status: said.status,
                currently_active: said.currently_active && said.state == Availability::Online,
            };
            state.look_at(user, now);
        });
    }

    /// Changes a user of this server.
    fn here(&self, user: &UserId, now: Duration, change: impl FnOnce(&mut Here)) {
        self.change(|state| {
            change(state.person(user).here.get_or_insert_default());
            state.look_at(user, now);
        });
    }

    /// Changes a user of this server, if they are known.
    fn known(&self, user: &UserId, now: Duration, change: impl FnOnce(&mut Here)) {
        self.change(|state| {
            let person = state.people.get_mut(user);
            let Some(here) = person.and_then(|person| person.here.as_mut()) else { return };
            change(here);
            state.look_at(user, now);
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

impl State {
    fn person(&mut self, user: &UserId) -> &mut Person {
        if self.people.len() >= PRESENCE_USERS_MAX && !self.people.contains_key(user) {
            self.forget_some();
        }
        self.people.entry(user.to_owned()).or_default()
    }

    /// Notes what somebody is now, and when to look at them again.
    fn look_at(&mut self, user: &UserId, now: Duration) {
        let Some(person) = self.people.get_mut(user) else { return };
        let listed = self.unkept.len() >= PRESENCE_USERS_MAX;
        if let Some(here) =
            person.here.as_mut().filter(|it| it.is_unkept() && !it.listed && !listed)
        {
            here.listed = true;
            self.unkept.push(user.to_owned());
        }
        let (told, due) = person.at(now);
        if person.due != due {
            if let Some(before) = person.due {
                self.due.remove(&(before, user.to_owned()));
            }
            self.due.extend(due.map(|due| (due, user.to_owned())));
            person.due = due;
        }
        if told != person.told {
            person.told = told;
            self.by_serial.remove(&person.serial);
            self.serial += 1;
            person.serial = self.serial;
            self.by_serial.insert(self.serial, user.to_owned());
        }
    }

    /// Forgets half of those who are not there, the longest gone first; when all are there, half of
    /// all.
    fn forget_some(&mut self) {
        let gone = |user: &&OwnedUserId| {
            self.people.get(*user).is_none_or(|it| it.told.state == Availability::Offline)
        };
        let mut users: Vec<OwnedUserId> = self.by_serial.values().filter(gone).cloned().collect();
        if users.is_empty() {
            users = self.by_serial.values().cloned().collect();
        }
        users.truncate(users.len().div_ceil(2));
        let named: std::collections::HashSet<&OwnedUserId> = users.iter().collect();
        self.by_serial.retain(|_, user| !named.contains(user));
        for user in &users {
            if let Some(due) = self.people.remove(user).and_then(|person| person.due) {
                self.due.remove(&(due, user.clone()));
            }
        }
        // Who was never told of has no number.
        self.people.retain(|_, person| person.serial > 0 || person.due.is_some());
    }
}

#[cfg(test)]
mod tests {
    use ruma::user_id;
    use vestibule_types::limits::{PRESENCE_ACTIVE_FOR, PRESENCE_IDLE_AFTER, PRESENCE_LINGER};

    use super::{person::Said, *};

    const NOW: Duration = Duration::from_hours(1);

    fn presence() -> Presence {
        Presence::new(
            10,
            Duration::ZERO,
            PresenceConfig { enabled: true, send: true, receive: true },
        )
    }

    fn alice() -> &'static UserId {
        user_id!("@alice:a")
    }

    fn said(state: Availability, status: Option<&str>) -> Said {
        Said { state, status: status.map(ToOwned::to_owned), written_at: 0 }
    }

    fn state(presence: &Presence) -> Availability {
        presence.of(alice()).expect("seen").state
    }

    #[test]
    fn who_syncs_is_online_then_idle_and_after_the_last_sync_gone() {
        let presence = presence();
        presence.here(alice(), NOW, |here| here.attend("D", Availability::Online, NOW));
        assert_eq!(state(&presence), Availability::Online);
        assert!(presence.of(alice()).expect("seen").currently_active);

        let quiet = NOW + PRESENCE_ACTIVE_FOR;
        assert_eq!(presence.next_end(), Some(quiet));
        presence.expire(quiet);
        assert!(!presence.of(alice()).expect("seen").currently_active);
        let idle = NOW + PRESENCE_IDLE_AFTER;
        presence.expire(idle);
        assert_eq!(state(&presence), Availability::Unavailable);
        presence.known(alice(), idle, |here| here.acted(idle));
        assert_eq!(state(&presence), Availability::Online);

        presence.here(alice(), idle, |here| here.leave("D", idle));
        assert_eq!(state(&presence), Availability::Online);
        presence.expire(idle + PRESENCE_LINGER);
        assert_eq!(state(&presence), Availability::Offline);
        assert_eq!(presence.next_end(), None);
    }

    #[test]
    fn being_active_on_and_on_is_no_change() {
        let presence = presence();
        presence.here(alice(), NOW, |here| here.attend("D", Availability::Online, NOW));
        let (serial, told) = presence.since(10, 9);
        assert_eq!(told.len(), 1);
        for second in 1..100 {
            let now = NOW + Duration::from_secs(second);
            presence.known(alice(), now, |here| here.acted(now));
            presence.expire(now);
        }
        assert_eq!(presence.since(serial, 9), (serial, Vec::new()));
    }

    #[test]
    fn what_is_set_holds_until_something_is_done() {
        let presence = presence();
        presence.here(alice(), NOW, |here| here.attend("D", Availability::Online, NOW));
        let set = |state, status: &str| {
            presence.here(alice(), NOW, |here| here.set("D", said(state, Some(status)), NOW));
        };
        set(Availability::Unavailable, "tea");
        assert_eq!(state(&presence), Availability::Unavailable);
        presence.here(alice(), NOW, |here| here.attend("D", Availability::Unavailable, NOW));
        assert_eq!(state(&presence), Availability::Unavailable, "such a sync does nothing");
        presence.here(alice(), NOW, |here| here.attend("D", Availability::Online, NOW));
        assert_eq!(state(&presence), Availability::Online, "this one says otherwise");
        set(Availability::Unavailable, "tea");
        presence.known(alice(), NOW, |here| here.acted(NOW));
        assert_eq!(state(&presence), Availability::Online);
        set(Availability::Offline, "gone");
        assert_eq!(state(&presence), Availability::Offline);
        assert_eq!(presence.of(alice()).expect("seen").status.as_deref(), Some("gone"));
    }

    #[test]
    fn the_most_present_device_counts() {
        let presence = presence();
        presence.here(alice(), NOW, |here| here.attend("A", Availability::Unavailable, NOW));
        assert_eq!(state(&presence), Availability::Unavailable);
        presence.here(alice(), NOW, |here| here.attend("B", Availability::Online, NOW));
        assert_eq!(state(&presence), Availability::Online);
        presence.here(alice(), NOW, |here| here.leave("B", NOW));
        presence.expire(NOW + PRESENCE_LINGER);
        assert_eq!(state(&presence), Availability::Unavailable);
    }

    #[test]
    fn newcomers_hear_of_those_who_are_there_and_of_no_more_than_they_can_take() {
        let presence = presence();
        for user in [user_id!("@a:a"), user_id!("@b:a"), user_id!("@c:a")] {
            presence.here(user, NOW, |here| here.attend("D", Availability::Online, NOW));
        }
        let gone = said(Availability::Offline, None);
        presence.here(user_id!("@b:a"), NOW, |here| here.set("D", gone, NOW));
        assert_eq!(presence.since(0, 9).1.len(), 2);
        let (last, some) = presence.since(0, 1);
        assert_eq!(some.len(), 1);
        let (_, rest) = presence.since(last, 9);
        assert_eq!(rest.len(), 2, "who went is news to who was told of somebody");
    }

    #[test]
    fn a_user_of_another_server_is_gone_when_it_is_silent() {
        let presence = presence();
        let said = PresenceElsewhere {
            state: Availability::Online,
            status: None,
            active_ago: Duration::from_secs(3),
            currently_active: true,
        };
        presence.elsewhere(alice(), said, NOW);
        let shown = presence.of(alice()).expect("seen");
        assert_eq!(shown.active_ago_ms(NOW), Some(3_000));
        assert!(shown.currently_active);
        presence.expire(NOW + PRESENCE_ELSEWHERE_MAX);
        assert_eq!(state(&presence), Availability::Offline);
    }
}
