//! What a pusher tells next.
//!
//! A notification that came to nothing is not told any more: it was read, or redacted, its room was
//! left, or it waited too long. After a failure only the newest of a room is told, beside what is
//! emphasized: whoever comes back wants to know where something happened, not everything again.

use std::time::Duration;

use bytes::Bytes;
use vestibule_rooms::{LoggedEvent, OpenRoom, OutsideRoom, RoomView, blocks_invites};
use vestibule_storage::{
    Scan, Snapshot, StorageError,
    tables::{
        push::{PUSH_WAITING, PUSHER, PUSHER_STANDING, StoredPush, StoredPusher},
        room::{ROOM_BY_MEMBER, StoredMembership},
    },
};
use vestibule_types::{
    EventNo, RoomNo,
    limits::{PUSH_AGE_MAX, PUSHES_WAITING_MAX},
};

use super::{Place, about::About, letter};
use crate::{
    Push,
    pusher::PusherId,
    unread::{Marks, thread_of},
};

/// What a pusher tells next.
pub(super) enum Next {
    Nothing,
    /// Nothing before so much time has passed.
    Later(Duration),
    /// What waits came to nothing.
    Stale(Stale),
    Tell(Notice),
}

/// Rows that came to nothing.
#[derive(Clone, Debug, Default)]
pub(super) struct Stale {
    /// Single ones.
    pub(super) places: Vec<Place>,
    /// All before this one: they are too many.
    pub(super) before: Option<Place>,
}

/// A request to a push gateway.
pub(super) struct Notice {
    pub(super) url: String,
    pub(super) body: Bytes,
    /// The number of unread notifications it tells.
    pub(super) badge: u64,
    /// The row it is for.
    pub(super) done: Place,
    /// What came to nothing before it.
    pub(super) stale: Stale,
}

type Waiting = Vec<(Place, StoredPush)>;

/// Finds it on one snapshot.
pub(super) fn next(
    push: &Push,
    snapshot: &Snapshot<'_>,
    id: &PusherId,
) -> Result<Next, StorageError> {
    let Some(pusher) = PUSHER.get(snapshot, id.key())? else { return Ok(Next::Nothing) };
    let standing = PUSHER_STANDING.get(snapshot, id.key())?.unwrap_or_default();
    let now = push.environment().now_ms();
    if standing.retry_at > now {
        return Ok(Next::Later(Duration::from_millis(standing.retry_at - now)));
    }
    let (waiting, mut stale) = waiting(snapshot, id)?;
    let desk = Desk { push, snapshot, id, pusher: &pusher, now, failed: standing.failures > 0 };
    for (index, (place, row)) in waiting.iter().enumerate() {
        let newer = waiting.get(index + 1..).unwrap_or_default();
        let told = match row {
            StoredPush::Badge => desk.badge(standing.badge)?,
            StoredPush::Event { .. } => desk.event(row, newer)?,
            StoredPush::Invitation { .. } => desk.invitation(row)?,
        };
        if let Some((body, badge)) = told {
            let url = pusher.url.clone();
            return Ok(Next::Tell(Notice { url, body: body.into(), badge, done: *place, stale }));
        }
        stale.places.push(*place);
    }
    let nothing = stale.places.is_empty() && stale.before.is_none();
    Ok(if nothing { Next::Nothing } else { Next::Stale(stale) })
}

/// What waits, oldest first, and from where on it is too much.
fn waiting(snapshot: &Snapshot<'_>, id: &PusherId) -> Result<(Waiting, Stale), StorageError> {
    let scan = Scan::prefix(id.key()).reverse().limit(PUSHES_WAITING_MAX + 1);
    let rows = PUSH_WAITING.scan_with(snapshot, scan)?;
    let mut rows: Waiting =
        rows.into_iter().map(|((_, _, _, slot, stamp), push)| ((slot, stamp), push)).collect();
    let too_many = rows.len() > PUSHES_WAITING_MAX;
    rows.truncate(PUSHES_WAITING_MAX);
    rows.reverse();
    let before = rows.first().filter(|_| too_many).map(|(place, _)| *place);
    Ok((rows, Stale { places: Vec::new(), before }))
}

/// What it takes to look at what waits.
struct Desk<'a> {
    push: &'a Push,
    snapshot: &'a Snapshot<'a>,
    id: &'a PusherId,
    pusher: &'a StoredPusher,
    now: u64,
    /// Its gateway failed the last time.
    failed: bool,
}

impl Desk<'_> {
    /// The body for a new badge; `None` when the device shows it already.
    fn badge(&self, shown: u64) -> Result<Option<(String, u64)>, StorageError> {
        let unread = self.unread()?;
        let body = || letter::badge(self.id, self.pusher, unread);
        Ok((unread != shown).then(|| (body(), unread)))
    }

    /// The body for an event; `None` when it came to nothing.
    fn event(
        &self,
        row: &StoredPush,
        newer: &[(Place, StoredPush)],
    ) -> Result<Option<(String, u64)>, StorageError> {
        let StoredPush::Event { room, event, tweaks, highlight, at } = row else { return Ok(None) };
        let coalesced = self.failed && !highlight && newer.iter().any(|(_, it)| is_of(it, *room));
        if self.is_old(*at) || coalesced {
            return Ok(None);
        }
        let Some(open) = OpenRoom::load_no(self.snapshot, *room)? else { return Ok(None) };
        let view = RoomView::new(self.push.rooms(), self.snapshot, &open);
        let Some(event) = self.still_news(&view, *event)? else { return Ok(None) };
        let unread = self.unread()?;
        let told = letter::Told { tweaks, highlight: *highlight, unread };
        let about = About::of(&view, &event)?;
        Ok(Some((letter::event(&about, (self.id, self.pusher), told), unread)))
    }

    /// The body for an invitation; `None` when it was accepted, refused or taken back.
    fn invitation(&self, row: &StoredPush) -> Result<Option<(String, u64)>, StorageError> {
        let StoredPush::Invitation { room_id, tweaks, highlight, at } = row else {
            return Ok(None);
        };
        if self.is_old(*at) || blocks_invites(self.snapshot, &self.id.user)? {
            return Ok(None);
        }
        let rooms = OutsideRoom::all_of(self.snapshot, &self.id.user)?;
        let still = |room: &&OutsideRoom| {
            room.room_id == *room_id && room.membership == StoredMembership::Invite
        };
        let Some(room) = rooms.iter().find(still) else { return Ok(None) };
        let unread = self.unread()?;
        let told = letter::Told { tweaks, highlight: *highlight, unread };
        let body = letter::event(&About::invitation(room), (self.id, self.pusher), told);
        Ok(Some((body, unread)))
    }

    fn is_old(&self, at: u64) -> bool {
        let age_max = u64::try_from(PUSH_AGE_MAX.as_millis()).unwrap_or(u64::MAX);
        self.now.saturating_sub(at) > age_max
    }

    /// The event, if it has not come to nothing.
    fn still_news(
        &self,
        view: &RoomView<'_, &Snapshot<'_>>,
        no: EventNo,
    ) -> Result<Option<LoggedEvent>, StorageError> {
        let user = &self.id.user;
        let member = ROOM_BY_MEMBER.get(self.snapshot, (user, view.room.no))?;
        let member = member.map(|row| row.value);
        let there = match member.as_ref().map(|member| member.membership) {
            Some(StoredMembership::Join) => true,
            Some(StoredMembership::Invite) => {
                member.is_some_and(|member| member.event == no)
                    && !blocks_invites(self.snapshot, user)?
            }
            _ => false,
        };
        let (Some(event), Some(around)) = (view.event(no)?, view.around(no)?) else {
            return Ok(None);
        };
        let gone = view.redaction_of(event.pdu.event_id())?.is_some() || view.is_purged(&event)?;
        if !there || gone {
            return Ok(None);
        }
        let thread = thread_of(view, &event)?;
        let read = Marks::new(user).pass(view, &thread, around.stamp)?;
        Ok((!read).then_some(event))
    }

    fn unread(&self) -> Result<u64, StorageError> {
        self.push.unread().everywhere(self.push.rooms(), self.snapshot, &self.id.user)
    }
}

fn is_of(push: &StoredPush, wanted: RoomNo) -> bool {
    matches!(push, StoredPush::Event { room, .. } if *room == wanted)
}
