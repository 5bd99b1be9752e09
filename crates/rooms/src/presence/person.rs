//! What is known of one user.

use std::{collections::BTreeMap, time::Duration};

use ruma::UserId;
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
    /// When they last did something.
    active: Duration,
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
        if self.set == Some(Availability::Offline) && state != Availability::Offline {
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
    pub(super) fn set(
        &mut self,
        device: &str,
        (state, status): (Availability, Option<String>),
        now: Duration,
    ) {
        self.active = now;
        self.status = status;
        self.set = Some(state).filter(|state| *state != Availability::Online);
        let device = self.device(device, now);
        device.until = now.saturating_add(PRESENCE_LINGER);
        if state == Availability::Online {
            device.state = state;
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

impl Device {
    fn is_there(&self, now: Duration) -> bool {
        self.syncs > 0 || self.until > now
    }
}

impl Person {
    /// What others are told, and when that ends by itself.
    pub(super) fn at(&mut self, now: Duration) -> (Told, Option<Duration>) {
        if let Some(here) = &self.here {
            self.active = Some(here.active);
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
