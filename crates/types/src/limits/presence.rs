//! Bounds of presence.

use std::time::Duration;

/// Users whose presence is kept in memory; beyond, those who are offline longest are forgotten.
pub const PRESENCE_USERS_MAX: usize = 50_000;

/// How long somebody is online without doing anything (client-server API, "Idle timeout").
pub const PRESENCE_IDLE_AFTER: Duration = Duration::from_mins(5);

/// How long somebody counts as active after they did something.
pub const PRESENCE_ACTIVE_FOR: Duration = Duration::from_mins(1);

/// How long somebody is there after their last sync ended.
pub const PRESENCE_LINGER: Duration = Duration::from_secs(30);

/// How long a user of another server is as it said, unless it says so again.
pub const PRESENCE_ELSEWHERE_MAX: Duration = Duration::from_mins(30);

/// How often other servers are told of users who are still there.
pub const PRESENCE_REPEAT: Duration = Duration::from_mins(25);

/// The longest status message, in bytes.
pub const PRESENCE_STATUS_BYTES_MAX: usize = 1_024;

/// Devices of one user whose presence is kept apart.
pub const PRESENCE_DEVICES_MAX: usize = 32;

/// Changes of presence one sync looks at; the next one goes on from there.
pub const PRESENCE_TOLD_MAX: usize = 100;

/// Changes of presence that are looked at together, to wake who waits or to tell other servers.
pub const PRESENCE_AT_ONCE: usize = 500;

/// How often those who wait are woken for changes of presence.
pub const PRESENCE_WAKE_EVERY: Duration = Duration::from_secs(1);

/// Rooms of somebody in which those who wait are woken when their presence changes, and whose servers
/// are told.
pub const PRESENCE_ROOMS_MAX: usize = 100;

/// Where more than these wait in a room, nobody there is woken for presence: they hear of it with
/// whatever comes next.
pub const PRESENCE_LISTENERS_MAX: usize = 64;

/// Users named in one message about presence.
pub const PRESENCE_PER_EDU_MAX: usize = 100;

/// Users of whose presence another server is told at once: those in a room it came into.
pub const PRESENCE_WAITING_MAX: usize = 1_000;

/// How often it is written down when users were last active: a crash forgets as much of it.
pub const PRESENCE_KEPT_EVERY: Duration = Duration::from_mins(10);

/// Users whose last activity is written in one batch.
pub const PRESENCE_KEPT_PER_BATCH: usize = 500;
