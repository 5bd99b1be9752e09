//! What is new for somebody, told from memory.
//!
//! Most syncs that wait are woken by a message, a receipt or somebody who types in a room their user was in
//! all the time, and nothing else happened to them. What the room shows of it is rendered once for everybody
//! ([`Shared`]), what is unread is what was unread and the message held against the user's rules, and the
//! rest is as it was when the device was last told. Whenever anything else may have happened, nothing is said here, and
//! the store is read.
//!
//! [`Shared`]: crate::shared::Shared

use std::sync::Arc;

use ruma::{DeviceId, OwnedUserId, RoomId, UserId};
use vestibule_push::{Own, Standing};
use vestibule_rooms::TypingIn;
use vestibule_types::{EventNo, limits::PRESENCE_TOLD_MAX};

use crate::{
    SyncResponse, SyncToken, Timeline,
    filter::Lazy,
    hub::{Quiet, QuietRoom},
    pass::{
        Query,
        ephemeral::{RECEIPTS, TYPING, TypingUsers, event},
        presence::shown,
        state::section,
        timeline::end_of,
        unread::sections,
    },
    response::{JoinedRoom, KeyCounts, RawEvent},
    service::Inner,
    shared::{Key, Lack, Ready, ReceiptsKey, SharedReceipts, SharedTimeline},
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
    /// All of it would be known if this were rendered.
    Lacks(Lack),
}

/// Everything new for a user, if that is known without reading anything.
pub(crate) fn glance(inner: &Inner, query: &Query) -> Option<Glanced> {
    let since = query.since.as_ref().filter(|_| !query.full_state)?;
    let (user, device) = (query.actor.user_id(), query.actor.device_id()?);
    // Whoever was never told who is typing is told by a pass.
    let (typing, changed) = inner.rooms.typing().since(since.typing.max(1));
    let quiet = inner.hub.quiet((user, device), &since.positions, changed)?;
    if since.typing == 0 || !quiet.carried.own.ignored().is_empty() {
        return None;
    }
    let glance = Glance { inner, query, since, quiet: &quiet, at: (user, device) };
    let (present, presence) = glance.presence()?;
    let mut response = SyncResponse::default();
    response.presence.events = present;
    for room in &quiet.rooms {
        match glance.rendered(room) {
            Ok(rendered) => glance.look_at(room, &rendered, &mut response)?,
            Err(lack) => return Some(Glanced::Lacks(lack)),
        }
    }
    response.key_counts = quiet.carried.keys();
    let to_device = since.to_device;
    let token = SyncToken { positions: quiet.to, typing, to_device, presence };
    response.next_batch = token.to_string();
    Some(Glanced::Told(Box::new(response)))
}

/// What is new in a room, as it was rendered for everybody.
struct Rendered<'a> {
    told: Option<Arc<SharedTimeline>>,
    receipts: Option<Arc<SharedReceipts>>,
    typing: Option<&'a TypingIn>,
}

impl Rendered<'_> {
    /// The room.
    fn room_id(&self) -> Option<&RoomId> {
        let of_events = self.told.as_ref().and_then(|told| Some(&*told.ready.as_ref()?.room_id));
        let of_receipts = || self.receipts.as_ref().map(|receipts| &*receipts.room_id);
        of_events.or_else(of_receipts).or(self.typing.map(|here| &*here.room_id))
    }
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

    /// What was rendered of a room, or what is still to be.
    fn rendered<'q>(&self, room: &'q QuietRoom) -> Result<Rendered<'q>, Lack> {
        let told = match self.key_of(room) {
            Some(key) => {
                let told = self.inner.shared.get(&key);
                Some(told.ok_or(Lack::Stretch(key))?)
            }
            None => None,
        };
        let receipts = match room.new.receipts {
            Some((first, last)) => {
                let key = ReceiptsKey { room: room.no, first, last };
                let receipts = self.inner.shared.receipts(&key);
                Some(receipts.ok_or(Lack::Receipts(key))?)
            }
            None => None,
        };
        Ok(Rendered { told, receipts, typing: room.typing.as_ref() })
    }

    /// Adds a room. `None` when there is more to it than what was rendered.
    fn look_at(
        &self,
        room: &QuietRoom,
        rendered: &Rendered<'_>,
        response: &mut SyncResponse,
    ) -> Option<()> {
        let (filter, user) = (&self.query.filter, self.at.0);
        let (since, at) = (self.since.positions.get(room.slot), self.quiet.to.get(room.slot));
        let ready = match &rendered.told {
            Some(told) => Some(ready_for(told, room, user)?),
            None => None,
        };
        let Some(room_id) = rendered.room_id() else { return Some(()) };
        if !filter.admits_room(room_id) {
            return Some(());
        }
        if ready.is_some_and(|ready| !self.has_members(&ready.senders, room, (since, at))) {
            return None;
        }
        let mut joined = JoinedRoom {
            state: section(self.query.use_state_after, Vec::new()),
            timeline: match &rendered.told {
                Some(told) => told.section.clone(),
                None => self.no_events(room_id, at),
            },
            ..JoinedRoom::default()
        };
        joined.ephemeral.events = self.passing(room_id, rendered)?;
        if joined.is_empty() {
            return Some(());
        }
        let standing = Standing {
            user,
            own: &self.quiet.carried.own,
            member: room.member,
            before: room.new.before,
            last: room.new.last,
            at,
        };
        let fresh = ready.map(|ready| &ready.fresh);
        let tally = self.inner.unread.carry_on(room.no, standing, fresh)?;
        (joined.unread_notifications, joined.unread_thread_notifications) =
            sections(&tally, filter.unread_by_thread);
        response.rooms.join.insert(room_id.to_owned(), joined);
        Some(())
    }

    /// The timeline of a room where nothing was said.
    fn no_events(&self, room_id: &RoomId, at: u64) -> Timeline {
        let wanted = self.query.filter.timeline.admits_room(room_id);
        Timeline { prev_batch: wanted.then(|| end_of(at).to_string()), ..Timeline::default() }
    }

    /// Who is typing, and what others read. `None` when the user's own receipts may be among it.
    fn passing(&self, room_id: &RoomId, rendered: &Rendered<'_>) -> Option<Vec<RawEvent>> {
        let filter = &self.query.filter.ephemeral;
        let wanted = |kind: &str| filter.admits_room(room_id) && filter.admits_type(kind);
        let mut passing = Vec::new();
        if let Some(here) = rendered.typing.filter(|_| wanted(TYPING)) {
            passing.extend(event(TYPING, TypingUsers { user_ids: &here.users }));
        }
        if let Some(receipts) = &rendered.receipts {
            if receipts.readers.as_ref()?.contains(self.at.0) {
                return None;
            }
            if wanted(RECEIPTS) {
                passing.extend(receipts.events.iter().cloned());
            }
        }
        Some(passing)
    }

    /// Which stretch the new messages of a room are, if there are any.
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

/// What it takes to tell a user of a stretch. `None` when it is not all that was said, or the user said
/// some of it.
fn ready_for<'t>(told: &'t SharedTimeline, room: &QuietRoom, user: &UserId) -> Option<&'t Ready> {
    let all = told.events.list.iter().map(|(_, event)| &event.no).eq(&room.new.events);
    told.ready.as_ref().filter(|_| all && !told.is_by(user))
}
