//! A room the user is in: all that is wanted of it, or what changed.

use std::sync::Arc;

use ruma::OwnedUserId;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use vestibule_rooms::{LoggedEvent, OpenRoom, StateChange, TimelinePosition};
use vestibule_storage::{
    Stamp, Stamped, StorageError,
    tables::room::{StoredMember, StoredMembership},
};
use vestibule_types::limits::{SLIDING_BUMP_SCAN_MAX, SYNC_SCAN_MAX};

use super::{
    connection::SentRoom,
    response::{Hero, Room},
    slide::Slide,
    state::Base,
    wants::RoomWants,
};
use crate::{
    pass::{
        Sight, TimelineEvents,
        timeline::{LIVE, Stretch},
    },
    shared::SharedTimeline,
};

/// Events of these types move a room up (MSC4186, `bump_stamp`).
const BUMPS: [&str; 7] = [
    "m.room.create",
    "m.room.message",
    "m.room.encrypted",
    "m.sticker",
    "m.call.invite",
    "m.poll.start",
    "m.beacon_info",
];
const MEMBER: &str = "m.room.member";
const NAME: &str = "m.room.name";
const AVATAR: &str = "m.room.avatar";

#[derive(Default, Deserialize)]
#[serde(default)]
struct Named {
    name: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Pictured {
    url: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Profile {
    displayname: Option<String>,
    avatar_url: Option<String>,
}

/// From where a room is told, and what of it.
#[derive(Clone, Copy)]
pub(crate) struct Begin<'a> {
    pub(crate) sent: Option<&'a SentRoom>,
    /// The commit of the room's slot up to which the client has it.
    pub(crate) since: Option<u64>,
    pub(crate) wants: &'a RoomWants,
    pub(crate) is_dm: bool,
}

impl Begin<'_> {
    /// What the client has of the room itself.
    pub(crate) fn known(&self) -> Option<u64> {
        self.since.filter(|_| self.sent.is_some_and(|sent| !sent.stripped))
    }

    /// The client's state of the room as it now is.
    pub(crate) fn sent_now(&self, timeline: u32) -> SentRoom {
        let state = Arc::clone(&self.wants.state);
        SentRoom { until: None, timeline, state, is_dm: self.is_dm, stripped: false }
    }
}

/// How a room changed.
struct Changes {
    whole: bool,
    diff: Vec<StateChange>,
}

impl Changes {
    fn of(&self, kind: &str) -> bool {
        self.whole || self.diff.iter().any(|change| change.key.0 == kind)
    }
}

impl Slide<'_> {
    /// A room the user is in. `None` when there is nothing new.
    pub(crate) fn joined(
        &self,
        room: &OpenRoom,
        member: &Stamped<StoredMember>,
        begin: Begin<'_>,
    ) -> Result<Option<(Room, SentRoom)>, StorageError> {
        let mut sight = Sight::new(self.pass, room)?;
        let since = sight.known_since(member, begin.known())?;
        let sent = begin.sent.filter(|_| since.is_some());
        let span = sight.span(since, room.head.state)?;
        let limit = begin.wants.timeline;
        let expanded = sent.is_some_and(|sent| reaches(sent) < limit);
        let told = if sent.is_none() || expanded {
            let events = sight.events_of(Stretch {
                after: None,
                until: None,
                own: None,
                end: None,
                limit,
            })?;
            let section = sight.timeline_section(&events)?;
            Arc::new(SharedTimeline { events, section, ready: None })
        } else {
            sight.told(span, member, limit)?
        };
        let diff = match span.since {
            Some((_, base)) => sight.view.state_diff(base, span.end)?,
            None => Vec::new(),
        };
        let base = Base { at: span.end, diff: &diff, sent, events: &told.events };
        let required_state = self.required_state(&mut sight, begin.wants, &base)?;
        let timeline = told_now(sent, expanded, (limit, told.section.limited));
        let mut shown = Room { required_state, ..self.timeline_of(room, &told) };
        (shown.expanded, shown.expanded_unstable) = (expanded, expanded);
        shown.initial = sent.is_none().then_some(true);
        describe(&sight, &Changes { whole: sent.is_none(), diff }, &mut shown)?;
        let dm_changed = sent.map_or(begin.is_dm, |sent| sent.is_dm != begin.is_dm);
        shown.is_dm = dm_changed.then_some(begin.is_dm);
        let read_on = match since {
            Some(_) => {
                sight.changed_receipts(since)?.iter().any(|it| it.user_id == self.pass.user())
            }
            None => true,
        };
        if is_silent(&shown) && !read_on {
            return Ok(None);
        }
        let hidden = sent.is_none() || told.section.limited;
        let known = since.filter(|_| sent.is_some()).unwrap_or_default();
        let look_after = hidden.then_some(known);
        shown.bump_stamp = bump_stamp(&sight, &told.events, look_after, member)?;
        shown.unread = Some(sight.unread(member)?.by_thread().0);
        shown.membership = Some("join");
        Ok(Some((shown, begin.sent_now(timeline))))
    }

    /// The timeline part of a room.
    pub(crate) fn timeline_of(&self, room: &OpenRoom, told: &SharedTimeline) -> Room {
        let seen = self.pass.since_of(room);
        let live = |commit: u64| seen.is_some_and(|seen| commit > seen);
        let places = told.events.list.iter().map(|(place, _)| place);
        let num_live = places.filter(|it| it.side == LIVE && live(it.stamp.commit)).count();
        let ids = told.events.list.iter().map(|(_, event)| event.pdu.event_id().clone());
        Room {
            timeline: told.section.events.clone(),
            limited: told.section.limited,
            prev_batch: told.section.prev_batch.clone(),
            num_live: Some(num_live),
            shown: ids.collect(),
            ..Room::default()
        }
    }
}

/// Name, picture and who is there, where these changed.
fn describe(sight: &Sight<'_>, changes: &Changes, shown: &mut Room) -> Result<(), StorageError> {
    let here = |text: Option<String>| match text {
        None if changes.whole => None,
        text => Some(Value::from(text)),
    };
    let filled = |text: &String| !text.is_empty();
    if changes.of(NAME) {
        let name = content_of::<Named>(sight, NAME, "")?.name;
        shown.name = here(name.filter(filled));
    }
    if changes.of(AVATAR) {
        shown.avatar = here(content_of::<Pictured>(sight, AVATAR, "")?.url.filter(filled));
    }
    if changes.of(MEMBER) {
        shown.joined_count = Some(sight.members(StoredMembership::Join)?);
        shown.invited_count = Some(sight.members(StoredMembership::Invite)?);
    }
    if changes.of(MEMBER) || changes.of(NAME) {
        let nameless = match &shown.name {
            Some(name) => name.is_null(),
            None => content_of::<Named>(sight, NAME, "")?.name.is_none_or(|it| it.is_empty()),
        };
        if nameless {
            shown.heroes = Some(heroes(sight)?);
        }
    }
    Ok(())
}

/// How many of the newest events the client has.
fn reaches(sent: &SentRoom) -> usize {
    usize::try_from(sent.timeline).unwrap_or(usize::MAX)
}

/// How many of the newest events the client has after an answer. Where nothing is missing before
/// them, it has all.
fn told_now(sent: Option<&SentRoom>, expanded: bool, (limit, limited): (usize, bool)) -> u32 {
    let limit = u32::try_from(limit).unwrap_or(u32::MAX);
    match sent.filter(|_| !expanded) {
        _ if limited => limit,
        None => u32::MAX,
        Some(sent) => sent.timeline,
    }
}

fn is_silent(room: &Room) -> bool {
    room.initial.is_none()
        && !room.expanded
        && room.timeline.is_empty()
        && !room.limited
        && room.required_state.is_empty()
        && room.name.is_none()
        && room.avatar.is_none()
        && room.joined_count.is_none()
        && room.is_dm.is_none()
}

fn content_of<C: Default + DeserializeOwned>(
    sight: &Sight<'_>,
    kind: &str,
    key: &str,
) -> Result<C, StorageError> {
    Ok(sight.view.shown_state(kind, key)?.unwrap_or_default())
}

fn heroes(sight: &Sight<'_>) -> Result<Vec<Hero>, StorageError> {
    let hero = |user_id: OwnedUserId| {
        let profile = content_of::<Profile>(sight, MEMBER, user_id.as_str())?;
        let Profile { displayname, avatar_url } = profile;
        Ok(Hero { user_id, displayname, avatar_url })
    };
    sight.heroes()?.into_iter().map(hero).collect()
}

/// The place of the last event that moves the room up: the last of those told, or of those that were
/// not told after a commit, which is 0 for a client that begins with the room.
fn bump_stamp(
    sight: &Sight<'_>,
    told: &TimelineEvents,
    look_after: Option<u64>,
    member: &Stamped<StoredMember>,
) -> Result<Option<u64>, StorageError> {
    let bumps = |event: &LoggedEvent| BUMPS.contains(&event.pdu.kind());
    let last = told.list.iter().rev().find(|(_, event)| bumps(event));
    if let Some((place, _)) = last {
        return Ok(Some(place.stamp.commit));
    }
    let Some(known) = look_after else { return Ok(None) };
    let after = TimelinePosition { side: LIVE, stamp: Stamp::end_of(known) };
    let limit = SLIDING_BUMP_SCAN_MAX.min(SYNC_SCAN_MAX);
    let rows = sight.view.timeline_back(None, Some(after), limit)?;
    for (place, no) in rows.into_iter().filter(|(place, _)| place.side == LIVE) {
        if sight.view.event(no)?.is_some_and(|event| bumps(&event)) {
            return Ok(Some(place.stamp.commit));
        }
    }
    Ok((known == 0).then_some(member.stamp.commit))
}
