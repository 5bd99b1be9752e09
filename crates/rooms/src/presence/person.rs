//! What is known of one user.

use std::{collections::BTreeMap, time::Duration};

use ruma::UserId;
use vestibule_storage::tables::presence::{StoredAvailability, StoredPresence};
use vestibule_types::limits::{
    PRESENCE_ACTIVE_FOR, PRESENCE_DEVICES_MAX, PRESENCE_IDLE_AFTER, PRESENCE_LINGER,
};

use super::{Availability, UserPresence};

/// A user who was seen.
#[derive(Debug, Default)]
pub(super) struct Person {
    /// Of this server: what is known of their devices.
    pub(super) here: Option<Here>,
    /// Of another server: what it said.
    pub(super) said: Told,
    /// Of another server: how long that holds.
    pub(super) until: Option<Duration>,
    /// When they last did something, if that is known.
    pub(super) active: Option<Duration>,
    /// What others were told last.
    pub(super) told: Told,
    /// At which number; 0 when nobody was told anything.
    pub(super) serial: u64,
    /// When to look again.
    pub(super) due: Option<Duration>,
}

/// What others are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) state: Availability,
    pub(super) status: Option<String>,
    pub(super) currently_active: bool,
}

impl Default for Told {
    fn default() -> Self {
        Self { state: Availability::Offline, status: None, currently_active: false }
    }
}

/// A user of this server.
#[derive(Debug, Default)]
pub(super) struct Here {
    devices: BTreeMap<String, Device>,
    /// What they set, where that holds against what their devices do.
    set: Option<Availability>,
    status: Option<String>,
    /// The write in which they said that.
    said_at: u64,
    /// When they last did something.
    active: Duration,
    /// The activity and the setting that are written down.
    kept: (Duration, Option<Availability>),
    /// Whether they are among those to be written down.
    pub(super) listed: bool,
}

/// What a user of this server says of themselves.
#[derive(Clone, Debug)]
pub(super) struct Said {
    pub(super) state: Availability,
    pub(super) status: Option<String>,
    /// The write that keeps it: of two things said at once the later one holds, here as there.
    pub(super) written_at: u64,
}

#[derive(Debug)]
struct Device {
    state: Availability,
    /// Syncs under way.
    syncs: u32,
    /// There until then, when none is.
    until: Duration,
}

impl Here {
    /// A sync of a device begins, which says whether the user is there.
    pub(super) fn attend(&mut self, device: &str, state: Availability, now: Duration) {
        if !self.is_there(now) {
            self.active = now;
        }
        // What a client says later of its user holds: that they are there, or that they are not quite.
        let lifted = match self.set {
            Some(Availability::Offline) => state != Availability::Offline,
            Some(Availability::Unavailable) => state == Availability::Online,
            _ => false,
        };
        if lifted {
            self.set = None;
        }
        let device = self.device(device, now);
        device.state = state;
        device.syncs = device.syncs.saturating_add(1);
    }

    /// A sync of a device ends.
    pub(super) fn leave(&mut self, device: &str, now: Duration) {
        if let Some(device) = self.devices.get_mut(device) {
            device.syncs = device.syncs.saturating_sub(1);
            device.until = now.saturating_add(PRESENCE_LINGER);
        }
    }

    /// The user says what they are.
    pub(super) fn set(&mut self, device: &str, said: Said, now: Duration) {
        self.active = now;
        let device = self.device(device, now);
        device.until = now.saturating_add(PRESENCE_LINGER);
        if said.state == Availability::Online {
            device.state = said.state;
        }
        if said.written_at >= self.said_at {
            self.said_at = said.written_at;
            self.status = said.status;
            self.set = against_devices(said.state);
            self.kept.1 = self.set;
        }
    }

    /// The user did something.
    pub(super) fn acted(&mut self, now: Duration) {
        self.active = now;
        if self.set == Some(Availability::Unavailable) {
            self.set = None;
        }
        for device in self.devices.values_mut().filter(|it| it.state == Availability::Unavailable) {
            device.state = Availability::Online;
        }
    }

    fn device(&mut self, name: &str, now: Duration) -> &mut Device {
        self.devices.retain(|_, device| device.is_there(now));
        if self.devices.len() >= PRESENCE_DEVICES_MAX && !self.devices.contains_key(name) {
            self.devices.pop_first();
        }
        self.devices.entry(name.to_owned()).or_insert(Device {
            state: Availability::Online,
            syncs: 0,
            until: now,
        })
    }

    fn is_there(&self, now: Duration) -> bool {
        self.devices.values().any(|device| device.is_there(now))
    }

    /// As it was written down, once before `now`.
    pub(super) fn recalled(row: StoredPresence, now: Duration) -> Self {
        let active = Duration::from_millis(row.active_at).min(now);
        let set = row.set.map(|set| match set {
            StoredAvailability::Offline => Availability::Offline,
            StoredAvailability::Unavailable => Availability::Unavailable,
        });
        Self { set, status: row.status, active, kept: (active, set), ..Self::default() }
    }

    /// Whether there is something newer than what is written down.
    pub(super) fn is_unkept(&self) -> bool {
        self.kept != (self.active, self.set)
    }

    /// When they last did something and what they set, which is written down now.
    pub(super) fn keep(&mut self) -> (Duration, Option<Availability>) {
        self.listed = false;
        self.kept = (self.active, self.set);
        self.kept
    }

    /// What others are told, and when that ends by itself.
    fn at(&self, now: Duration) -> (Told, Option<Duration>) {
        let there = self.devices.values().filter(|device| device.is_there(now));
        let by_devices = there.clone().map(|device| device.state).max();
        let state = by_devices.unwrap_or(Availability::Offline);
        let state = self.set.map_or(state, |set| set.min(state));
        let idle_at = self.active.saturating_add(PRESENCE_IDLE_AFTER);
        let quiet_at = self.active.saturating_add(PRESENCE_ACTIVE_FOR);
        let state = if state == Availability::Online && idle_at <= now {
            Availability::Unavailable
        } else {
            state
        };
        let currently_active = state == Availability::Online && quiet_at > now;
        let told = Told { state, status: self.status.clone(), currently_active };
        let leaves = there.filter(|device| device.syncs == 0).map(|device| device.until);
        let changes = [
            currently_active.then_some(quiet_at),
            (state == Availability::Online).then_some(idle_at),
        ];
        (told, leaves.chain(changes.into_iter().flatten()).min())
    }
}

/// What somebody says, where it holds against what their devices do.
pub(super) fn against_devices(state: Availability) -> Option<Availability> {
    Some(state).filter(|state| *state != Availability::Online)
}

impl Device {
    fn is_there(&self, now: Duration) -> bool {
        self.syncs > 0 || self.until > now
    }
}

impl Person {
    /// What others are told, and when that ends by itself.
    pub(super) fn at(&mut self, now: Duration) -> (Told, Option<Duration>) {
        if let Some(here) = &self.here {
            self.active = Some(here.active).filter(|active| !active.is_zero());
            return here.at(now);
        }
        let holds = self.until.filter(|until| *until > now);
        match holds {
            Some(until) if self.said.state != Availability::Offline => {
                (self.said.clone(), Some(until))
            }
            _ => (Told { status: self.said.status.clone(), ..Told::default() }, None),
        }
    }

    pub(super) fn shown(&self, user: &UserId) -> UserPresence {
        let Told { state, status, currently_active } = self.told.clone();
        UserPresence {
            user_id: user.to_owned(),
            state,
            status,
            active: self.active,
            currently_active,
        }
    }
}
