//! What is new for somebody, told from memory.
//!
//! Most syncs that wait are woken by a message in a room their user was in all the time, and nothing
//! else happened to them. What the room shows of it is rendered once for everybody ([`Shared`]), what
//! is unread is what was unread and the message held against the user's rules, and the rest is as it was
//! when the device was last told. Whenever anything else may have happened, nothing is said here, and
//! the store is read.
//!
//! [`Shared`]: crate::shared::Shared

use std::sync::Arc;

use ruma::{DeviceId, OwnedUserId, UserId};
use vestibule_push::{Own, Standing};
use vestibule_types::{EventNo, limits::PRESENCE_TOLD_MAX};

use crate::{
    SyncResponse, SyncToken,
    filter::Lazy,
    hub::{Quiet, QuietRoom},
    pass::{Query, presence::shown, state::section, unread::sections},
    response::{JoinedRoom, KeyCounts, RawEvent},
    service::Inner,
    shared::{Key, Ready, SharedTimeline},
};

/// What a sync of a device found that only changes when something of the user's own does.
#[derive(Debug)]
pub(crate) struct Carried {
    /// What the user said about being told.
    pub(crate) own: Arc<Own>,
    /// The one-time keys of the device, by algorithm.
    one_time: Box<[(Box<str>, u64)]>,
    /// The algorithms whose fallback key was not given out.
    unused_fallback: Box<[Box<str>]>,
}

impl Carried {
    pub(crate) fn new(own: Arc<Own>, keys: &KeyCounts) -> Self {
        let one_time = keys.one_time.iter().map(|(kind, count)| (kind.as_str().into(), *count));
        let unused_fallback = keys.unused_fallback.iter().map(|kind| kind.as_str().into());
        Self { own, one_time: one_time.collect(), unused_fallback: unused_fallback.collect() }
    }

    fn keys(&self) -> KeyCounts {
        let one_time = self.one_time.iter().map(|(kind, count)| (kind.to_string(), *count));
        let unused_fallback = self.unused_fallback.iter().map(ToString::to_string).collect();
        KeyCounts { one_time: one_time.collect(), unused_fallback, moved: false }
    }
}

/// What a glance at the memory says.
pub(crate) enum Glanced {
    /// Everything new for the user.
    Told(Box<SyncResponse>),
    /// All of it would be known if this stretch were rendered.
    Lacks(Key),
}

/// Everything new for a user, if that is known without reading anything.
pub(crate) fn glance(inner: &Inner, query: &Query) -> Option<Glanced> {
    let since = query.since.as_ref().filter(|_| !query.full_state)?;
    let (user, device) = (query.actor.user_id(), query.actor.device_id()?);
    let quiet = inner.hub.quiet((user, device), &since.positions)?;
    let (typing, changed) = inner.rooms.typing().since(since.typing);
    if !changed.is_empty() || !quiet.carried.own.ignored().is_empty() {
        return None;
    }
    let glance = Glance { inner, query, since, quiet: &quiet, at: (user, device) };
    let (present, presence) = glance.presence()?;
    let mut response = SyncResponse::default();
    response.presence.events = present;
    for room in &quiet.rooms {
        let key = glance.key_of(room)?;
        let Some(told) = inner.shared.get(&key) else { return Some(Glanced::Lacks(key)) };
        glance.look_at(room, &told, &mut response)?;
    }
    response.key_counts = quiet.carried.keys();
    let to_device = since.to_device;
    let token = SyncToken { positions: quiet.to, typing, to_device, presence };
    response.next_batch = token.to_string();
    Some(Glanced::Told(Box::new(response)))
}

struct Glance<'a> {
    inner: &'a Inner,
    query: &'a Query,
    since: &'a SyncToken,
    quiet: &'a Quiet,
    at: (&'a UserId, &'a DeviceId),
}

impl Glance<'_> {
    /// Whose presence changed, of those who are known to share a room with the user or not to.
    fn presence(&self) -> Option<(Vec<RawEvent>, u64)> {
        let seen = self.since.presence;
        let Some(presence) = self.inner.rooms.presence_for(&self.query.actor) else {
            return Some((Vec::new(), seen));
        };
        let (last, people) = presence.since(seen, PRESENCE_TOLD_MAX);
        let now = self.inner.rooms.presence_moment();
        let mut events = Vec::new();
        for person in people.iter().filter(|it| self.query.filter.admits_presence(&it.user_id)) {
            let (user, other) = (self.at.0, &person.user_id);
            if user == other || self.inner.hub.share_room(user, other)? {
                events.extend(shown(person, now));
            }
        }
        Some((events, last))
    }

    /// Adds a room. `None` when there is more to it than its new messages.
    fn look_at(
        &self,
        room: &QuietRoom,
        told: &SharedTimeline,
        response: &mut SyncResponse,
    ) -> Option<()> {
        let (filter, user) = (&self.query.filter, self.at.0);
        let all = told.events.list.iter().map(|(_, event)| &event.no).eq(&room.new.events);
        if !all || told.is_by(user) {
            return None;
        }
        let Ready { room_id, fresh, senders } = told.ready.as_ref()?;
        if !filter.admits_room(room_id) {
            return Some(());
        }
        let slot = self.inner.rooms.store().slot_of_room(room_id);
        let (since, at) = (self.since.positions.get(slot), self.quiet.to.get(slot));
        if !self.has_members(senders, room, (since, at)) {
            return None;
        }
        let standing = Standing {
            user,
            own: &self.quiet.carried.own,
            member: room.member,
            before: room.new.before,
            at,
        };
        let tally = self.inner.unread.carry_on(room.no, standing, fresh)?;
        let mut joined = JoinedRoom {
            state: section(self.query.use_state_after, Vec::new()),
            timeline: told.section.clone(),
            ..JoinedRoom::default()
        };
        (joined.unread_notifications, joined.unread_thread_notifications) =
            sections(&tally, filter.unread_by_thread);
        response.rooms.join.insert(room_id.clone(), joined);
        Some(())
    }

    /// Which stretch the new messages of a room are.
    fn key_of(&self, room: &QuietRoom) -> Option<Key> {
        let filter = &self.query.filter;
        let events = &room.new.events;
        Some(Key {
            room: room.no,
            first: *events.first()?,
            last: *events.last()?,
            filter: filter.fingerprint,
            limit: filter.timeline.timeline_limit(),
            second: self.query.second(),
        })
    }

    /// Whether the client has the members it needs to show who said it.
    fn has_members(
        &self,
        senders: &[(OwnedUserId, EventNo)],
        room: &QuietRoom,
        (since, answer): (u64, u64),
    ) -> bool {
        match self.query.filter.lazy {
            Lazy::Off => true,
            Lazy::Needed => false,
            Lazy::New => {
                let shown = self.inner.shown.of(self.at.0, self.at.1);
                senders.iter().all(|(sender, event)| {
                    shown.has((room.no, sender), *event, (Some(since), answer))
                })
            }
        }
    }
}
