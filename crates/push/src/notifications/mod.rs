//! What a user was told of, or would have been, newest first.
//!
//! Nothing is kept for it: the rooms of the user are gone through backwards, all at once, with their
//! invitations between them, and what their rules say today about each event is what is shown. A page looks at a bounded number of
//! events; where it ends early, its token leads on.

mod invitations;

use std::{
    collections::{BinaryHeap, HashMap},
    sync::Arc,
};

use ruma::{MilliSecondsSinceUnixEpoch, OwnedRoomId, push::Action};
use serde_json::value::RawValue;
use tracing::instrument;
use vestibule_rooms::{LoggedEvent, OpenRoom, RoomView, Rooms, Showing, Viewer};
use vestibule_storage::{
    Scan, Snapshot, Stamp, StorageError,
    tables::room::{ROOM_BY_MEMBER, StoredMembership, TIMELINE},
};
use vestibule_types::{
    Actor, EventNo, RoomNo,
    limits::{
        JOINED_ROOMS_MAX, NOTIFICATIONS_EXAMINED_MAX, NOTIFICATIONS_PAGE_MAX,
        NOTIFICATIONS_PAGE_USUAL,
    },
};

use crate::{
    Push,
    rules::{Occasion, Own, RoomFacts, Whose, display_name, highlights, notifies},
    unread::{LIVE, Marks, damaged, thread_of},
};

/// Which notifications to list.
#[derive(Clone, Debug, Default)]
pub struct ListNotifications {
    /// The token of the page before.
    pub from: Option<String>,
    /// How many at most.
    pub limit: Option<u64>,
    /// Whether only emphasized ones are wanted.
    pub only_highlights: bool,
}

/// Why notifications were not listed.
#[derive(Debug, thiserror::Error)]
pub enum NotificationsError {
    /// The token is none of ours.
    #[error("from is no token of a page of notifications")]
    BadToken,
    /// They could not be read.
    #[error("could not read the notifications")]
    Storage(#[from] StorageError),
}

/// An event that a user was told of.
#[derive(Clone, Debug)]
pub struct Notification {
    /// What their rules say about it.
    pub actions: Vec<Action>,
    /// The event.
    pub event: Box<RawValue>,
    /// Whether they read it.
    pub read: bool,
    /// Its room.
    pub room_id: OwnedRoomId,
    /// When it was sent.
    pub at: MilliSecondsSinceUnixEpoch,
}

/// A page of notifications, newest first.
#[derive(Clone, Debug, Default)]
pub struct NotificationPage {
    /// The notifications.
    pub notifications: Vec<Notification>,
    /// Leads to the next page, if there may be one.
    pub next: Option<String>,
}

/// A place among the events of all rooms; within a slot it is their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    stamp: Stamp,
    slot: u16,
}

impl Place {
    fn parse(token: &str) -> Option<Self> {
        let mut parts = token.splitn(3, '.');
        let stamp =
            Stamp { commit: parts.next()?.parse().ok()?, index: parts.next()?.parse().ok()? };
        Some(Self { stamp, slot: parts.next()?.parse().ok()? })
    }

    fn token(self) -> String {
        format!("{}.{}.{}", self.stamp.commit, self.stamp.index, self.slot)
    }
}

impl Push {
    /// What the caller was told of.
    #[instrument(name = "push.notifications", skip_all)]
    pub async fn notifications(
        &self,
        actor: &Actor,
        query: ListNotifications,
    ) -> Result<NotificationPage, NotificationsError> {
        let before = match query.from.as_deref() {
            Some(token) => Some(Place::parse(token).ok_or(NotificationsError::BadToken)?),
            None => None,
        };
        let limit = query.limit.map_or(NOTIFICATIONS_PAGE_USUAL, |limit| {
            usize::try_from(limit).unwrap_or(NOTIFICATIONS_PAGE_MAX)
        });
        if limit == 0 {
            return Ok(NotificationPage { next: query.from, ..NotificationPage::default() });
        }
        let limit = limit.min(NOTIFICATIONS_PAGE_MAX);
        let (push, actor) = (self.clone(), actor.clone());
        let read = self.store().read::<_, StorageError, _>(move |snapshot| {
            let own = push.unread().own(snapshot, actor.user_id())?;
            let now = push.environment().now();
            let mut walk = Walk {
                rooms: push.rooms(),
                snapshot,
                actor: &actor,
                own: &own,
                now,
                only_highlights: query.only_highlights,
                seen: HashMap::new(),
            };
            walk.page(before, limit)
        });
        Ok(read.await?)
    }
}

/// What is remembered of a room on the way.
struct Seen<'a> {
    open: OpenRoom,
    slot: u16,
    viewer: Viewer,
    marks: Marks<'a>,
    facts: Arc<RoomFacts>,
    display_name: Option<String>,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Next {
    /// An event of a room that the user is in.
    Event(RoomNo, EventNo),
    /// One of their invitations, by its number.
    Invitation(usize),
}

struct Walk<'a> {
    rooms: &'a Rooms,
    snapshot: &'a Snapshot<'a>,
    actor: &'a Actor,
    own: &'a Own,
    now: MilliSecondsSinceUnixEpoch,
    only_highlights: bool,
    seen: HashMap<RoomNo, Seen<'a>>,
}

impl Walk<'_> {
    /// One page, newest first.
    fn page(
        &mut self,
        before: Option<Place>,
        limit: usize,
    ) -> Result<NotificationPage, StorageError> {
        let mut heads = BinaryHeap::new();
        for room in self.joined()? {
            if self.enter(room)? {
                heads.extend(self.head(room, before)?);
            }
        }
        let (mut page, mut examined) = (NotificationPage::default(), 0);
        let mut invitations = self.invitations()?;
        invitations.retain(|(place, _)| before.is_none_or(|before| *place < before));
        let places = invitations.iter().enumerate();
        heads.extend(places.map(|(at, (place, _))| (*place, Next::Invitation(at))));
        let mut invitations: Vec<Option<Notification>> =
            invitations.into_iter().map(|(_, it)| Some(it)).collect();
        while let Some((place, next)) = heads.pop() {
            match next {
                Next::Event(room, event) => {
                    page.notifications.extend(self.notification(room, place, event)?);
                    heads.extend(self.head(room, Some(place))?);
                }
                Next::Invitation(at) => {
                    page.notifications.extend(invitations.get_mut(at).and_then(Option::take));
                }
            }
            examined += 1;
            let full = page.notifications.len() >= limit;
            if (full || examined >= NOTIFICATIONS_EXAMINED_MAX) && !heads.is_empty() {
                page.next = Some(place.token());
                break;
            }
        }
        Ok(page)
    }

    fn joined(&self) -> Result<Vec<RoomNo>, StorageError> {
        let scan = Scan::prefix((self.actor.user_id(),)).limit(JOINED_ROOMS_MAX);
        let rows = ROOM_BY_MEMBER.scan_with(self.snapshot, scan)?;
        let joined =
            rows.into_iter().filter(|(_, row)| row.value.membership == StoredMembership::Join);
        Ok(joined.map(|((_, room), _)| room).collect())
    }

    /// Opens a room, if it is there.
    fn enter(&mut self, no: RoomNo) -> Result<bool, StorageError> {
        let Some(open) = OpenRoom::load_no(self.snapshot, no)? else { return Ok(false) };
        let user = self.actor.user_id();
        let view = RoomView::new(self.rooms, self.snapshot, &open);
        let seen = Seen {
            slot: self.rooms.store().slot_of_room(&open.room_id).0,
            viewer: Viewer::new(&view, user)?,
            marks: Marks::new(user),
            facts: Arc::new(RoomFacts::of(&view)?),
            display_name: if self.own.asks_for_name { display_name(&view, user)? } else { None },
            open,
        };
        self.seen.insert(no, seen);
        Ok(true)
    }

    /// The newest event of a room before a place.
    fn head(
        &self,
        room: RoomNo,
        before: Option<Place>,
    ) -> Result<Option<(Place, Next)>, StorageError> {
        let Some(seen) = self.seen.get(&room) else { return Ok(None) };
        let newest = Scan::prefix((room, LIVE)).reverse().limit(1);
        let newest = match before {
            None => newest,
            Some(before) if seen.slot < before.slot => newest.to((room, LIVE, before.stamp)),
            Some(before) => newest.before((room, LIVE, before.stamp)),
        };
        let rows = TIMELINE.scan_with(self.snapshot, newest)?;
        let head = rows.into_iter().next();
        Ok(head.map(|((_, _, stamp), event)| {
            (Place { stamp, slot: seen.slot }, Next::Event(room, event.0))
        }))
    }

    /// The event as a notification, if the user was told of it.
    fn notification(
        &mut self,
        room: RoomNo,
        place: Place,
        no: EventNo,
    ) -> Result<Option<Notification>, StorageError> {
        let Some(seen) = self.seen.get_mut(&room) else { return Ok(None) };
        let view = RoomView::new(self.rooms, self.snapshot, &seen.open);
        let Some(event) = view.event(no)? else { return Ok(None) };
        if self.own.ignored.contains(event.pdu.sender())
            || view.redaction_of(event.pdu.event_id())?.is_some()
        {
            return Ok(None);
        }
        let actions = actions_for(&event, seen, self.own, self.actor)?;
        let wanted = notifies(&actions) && (!self.only_highlights || highlights(&actions));
        let there = seen.viewer.membership_at(&view, no)? == Some(StoredMembership::Join);
        if !wanted || !there {
            return Ok(None);
        }
        let thread = thread_of(&view, &event)?;
        let showing = Showing { actor: Some(self.actor), with_room_id: false, now: self.now };
        Ok(Some(Notification {
            actions,
            read: seen.marks.pass(&view, &thread, place.stamp)?,
            room_id: seen.open.room_id.clone(),
            at: event.pdu.origin_server_ts(),
            event: view.show(&mut seen.viewer, &event, showing)?,
        }))
    }
}

fn actions_for(
    event: &LoggedEvent,
    seen: &Seen<'_>,
    own: &Own,
    actor: &Actor,
) -> Result<Vec<Action>, StorageError> {
    let occasion = Occasion::new(&event.pdu, Arc::clone(&seen.facts)).map_err(|it| damaged(&it))?;
    let whose = Whose { user: actor.user_id(), display_name: seen.display_name.as_deref() };
    Ok(known(occasion.actions(&own.rules.0, whose)))
}

/// The actions that mean something; what else a rule says is ignored.
fn known(actions: &[Action]) -> Vec<Action> {
    let means = |it: &&Action| matches!(it, Action::Notify | Action::SetTweak(_));
    actions.iter().filter(means).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_leads_back_to_its_place() {
        let place = Place { stamp: Stamp { commit: 7, index: 3 }, slot: 2 };
        assert_eq!(Place::parse(&place.token()), Some(place));
        for bad in ["", "7", "7.3", "7.3.x", "7.3.2.1", "-1.0.0", "x"] {
            assert_eq!(Place::parse(bad), None, "{bad}");
        }
    }
}
