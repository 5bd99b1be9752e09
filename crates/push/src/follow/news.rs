//! Looking through the log for events that concern users with pushers.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use ruma::{OwnedUserId, UserId};
use vestibule_rooms::{LoggedEvent, OpenRoom, RoomView, Viewer, blocks_invites};
use vestibule_storage::{
    Scan, SlotNo, Snapshot, Stamp, StorageError,
    tables::{
        push::{PUSH_WAITING, PUSHER, PUSHER_STANDING, StoredPush, StoredPusher},
        room::{
            LOCAL_MEMBER_BY_ROOM, RECEIPT_BY_POSITION, ROOM_BY_MEMBER, STREAM, StoredMembership,
            StoredNews,
        },
        sender::StoredCursor,
    },
};
use vestibule_types::{
    EventNo, RoomNo,
    limits::{PUSH_NEWS_MAX, PUSHERS_PER_USER_MAX},
};

use super::{Queued, at};
use crate::{
    Push,
    pusher::PusherId,
    rules::{Occasion, RoomFacts, Whose, display_name, highlights, notifies, tweaks},
    unread::damaged,
};

/// Below this number of users with pushers each is asked for in a room; above, the room's members are
/// gone through.
const FEW_OWNERS: usize = 64;

/// What a stretch of the log holds for pushers.
pub(super) struct News {
    /// Up to where it was looked through.
    pub(super) to: StoredCursor,
    pub(super) queued: Vec<Queued>,
    /// Users who have pushers and may not be known to.
    pub(super) owners: Vec<OwnedUserId>,
}

type Pushers = Vec<(PusherId, StoredPusher)>;

/// A look at the log on one snapshot.
pub(super) struct Reading<'a> {
    pub(super) push: &'a Push,
    pub(super) snapshot: &'a Snapshot<'a>,
    owners: HashSet<OwnedUserId>,
    pushers: HashMap<OwnedUserId, Pushers>,
    /// Who with pushers is in a room.
    company: HashMap<RoomNo, Vec<OwnedUserId>>,
    queued: Vec<Queued>,
}

/// An event in the log.
struct Line<'a> {
    place: (SlotNo, Stamp),
    event: EventNo,
    member: Option<&'a UserId>,
}

impl<'a> Reading<'a> {
    pub(super) fn new(push: &'a Push, snapshot: &'a Snapshot<'a>) -> Self {
        Self {
            push,
            snapshot,
            owners: push.hub().owners(),
            pushers: HashMap::new(),
            company: HashMap::new(),
            queued: Vec::new(),
        }
    }

    /// Looks through the log from a place on, up to a bound.
    pub(super) fn read(mut self, from: &StoredCursor) -> Result<News, StorageError> {
        let now = super::end_of(&self.snapshot.positions()?);
        let (mut to, mut lines) = (now.clone(), Vec::new());
        for (slot, end) in (0..).map(SlotNo).zip(&now.0) {
            let after = at(from, slot);
            let limit = PUSH_NEWS_MAX.saturating_sub(lines.len());
            let scan = Scan::prefix((slot.0,)).after((slot.0, after)).to((slot.0, *end));
            let found = STREAM.scan_with(self.snapshot, scan.limit(limit))?;
            if found.len() >= limit
                && let Some(reached) = to.0.get_mut(usize::from(slot.0))
            {
                *reached = found.last().map_or(after, |((_, stamp), _)| *stamp);
            }
            lines.extend(found.into_iter().map(|((_, stamp), news)| ((slot, stamp), news)));
        }
        let mut changed = HashSet::new();
        for (_, news) in &lines {
            if let StoredNews::User { user } = news {
                changed.insert(user.clone());
            }
        }
        let mut owners = Vec::new();
        for user in changed {
            if self.pushers_of(&user)?.is_empty() {
                self.owners.remove(&user);
            } else {
                self.owners.insert(user.clone());
                self.invitations(&user, (from, &to))?;
                owners.push(user);
            }
        }
        if !self.owners.is_empty() {
            for (place, news) in lines {
                self.line(place, &news)?;
            }
        }
        Ok(News { to, queued: self.queued, owners })
    }

    fn line(&mut self, place: (SlotNo, Stamp), news: &StoredNews) -> Result<(), StorageError> {
        match news {
            StoredNews::Event { room, event, member } => {
                self.event(*room, &Line { place, event: *event, member: member.as_deref() })
            }
            StoredNews::Receipt { room } => self.receipt(*room, place),
            StoredNews::State { .. }
            | StoredNews::User { .. }
            | StoredNews::Outbox { .. }
            | StoredNews::DeviceList { .. } => Ok(()),
        }
    }

    fn event(&mut self, room: RoomNo, line: &Line<'_>) -> Result<(), StorageError> {
        let mut company = self.company_in(room)?;
        // Who is invited is told of it, without being there.
        let invited = line.member.filter(|user| self.owners.contains(*user));
        company.extend(invited.map(ToOwned::to_owned));
        if company.is_empty() {
            return Ok(());
        }
        company.sort();
        company.dedup();
        let Some(open) = OpenRoom::load_no(self.snapshot, room)? else { return Ok(()) };
        let view = RoomView::new(self.push.rooms(), self.snapshot, &open);
        let Some(event) = view.event(line.event)? else { return Ok(()) };
        if view.redaction_of(event.pdu.event_id())?.is_some() {
            return Ok(());
        }
        let facts = Arc::new(RoomFacts::of(&view)?);
        let occasion = Occasion::new(&event.pdu, facts).map_err(|it| damaged(&it))?;
        for user in company {
            if event.pdu.sender() == user {
                self.badge(&user, line.place)?;
            } else {
                self.judge((&view, &event, &occasion), &user, line)?;
            }
        }
        Ok(())
    }

    /// Queues an event for the pushers of a user, if their rules want it.
    fn judge(
        &mut self,
        (view, event, occasion): (&RoomView<'_, &Snapshot<'_>>, &LoggedEvent, &Occasion),
        user: &UserId,
        line: &Line<'_>,
    ) -> Result<(), StorageError> {
        let membership = Viewer::new(view, user)?.membership_at(view, event.no)?;
        let there = match membership {
            Some(StoredMembership::Join) => true,
            Some(StoredMembership::Invite) => {
                line.member == Some(user) && !blocks_invites(self.snapshot, user)?
            }
            _ => false,
        };
        let own = self.push.unread().own(self.snapshot, user)?;
        if !there || own.ignored.contains(event.pdu.sender()) {
            return Ok(());
        }
        let name = if own.asks_for_name { display_name(view, user)? } else { None };
        let actions = occasion.actions(&own.rules.0, Whose { user, display_name: name.as_deref() });
        if !notifies(actions) {
            return Ok(());
        }
        let push = StoredPush::Event {
            room: view.room.no,
            event: event.no,
            tweaks: serde_json::Value::Object(tweaks(actions)).to_string(),
            highlight: highlights(actions),
            at: self.push.environment().now_ms(),
        };
        self.queue(user, line.place, &push)
    }

    /// Notes that users with pushers have read on.
    fn receipt(&mut self, room: RoomNo, place: (SlotNo, Stamp)) -> Result<(), StorageError> {
        // A receipt that moved again since has its row at the later place, and its own line there.
        let Some(receipt) = RECEIPT_BY_POSITION.get(self.snapshot, (room, place.1))? else {
            return Ok(());
        };
        if !self.owners.contains(&receipt.user_id) {
            return Ok(());
        }
        self.badge(&receipt.user_id, place)
    }

    /// Queues a new badge for the pushers whose devices show one, or will.
    fn badge(&mut self, user: &UserId, place: (SlotNo, Stamp)) -> Result<(), StorageError> {
        for (id, _) in self.pushers_of(user)? {
            let standing = PUSHER_STANDING.get(self.snapshot, id.key())?.unwrap_or_default();
            // What waits, or is under way, will make it show one.
            let waits = self.queued.iter().any(|queued| queued.id == id)
                || !PUSH_WAITING.scan(self.snapshot, id.key(), 1)?.is_empty();
            if standing.badge > 0 || waits {
                self.put(id, place, StoredPush::Badge);
            }
        }
        Ok(())
    }

    pub(super) fn queue(
        &mut self,
        user: &UserId,
        (slot, stamp): (SlotNo, Stamp),
        push: &StoredPush,
    ) -> Result<(), StorageError> {
        for (id, pusher) in self.pushers_of(user)? {
            if at(&pusher.from, slot) < stamp {
                self.put(id, (slot, stamp), push.clone());
            }
        }
        Ok(())
    }

    fn put(&mut self, id: PusherId, (slot, stamp): (SlotNo, Stamp), push: StoredPush) {
        let rests = self.push.hub().rests(&id);
        self.queued.push(Queued { id, slot, stamp, push, rests });
    }

    fn pushers_of(&mut self, user: &UserId) -> Result<Pushers, StorageError> {
        if let Some(known) = self.pushers.get(user) {
            return Ok(known.clone());
        }
        let rows = PUSHER.scan(self.snapshot, (user,), PUSHERS_PER_USER_MAX)?;
        let pushers: Pushers = rows
            .into_iter()
            .map(|((user, app_id, pushkey), row)| (PusherId { user, app_id, pushkey }, row))
            .collect();
        self.pushers.insert(user.to_owned(), pushers.clone());
        Ok(pushers)
    }

    /// The users with pushers who are in a room.
    fn company_in(&mut self, room: RoomNo) -> Result<Vec<OwnedUserId>, StorageError> {
        if let Some(known) = self.company.get(&room) {
            return Ok(known.clone());
        }
        let company = if self.owners.len() <= FEW_OWNERS {
            let keys = self.owners.iter().map(|user| (user, room));
            let rows = ROOM_BY_MEMBER.multi_get(self.snapshot, keys)?;
            let there = self.owners.iter().zip(rows).filter(|(_, row)| {
                row.as_ref().is_some_and(|row| row.value.membership == StoredMembership::Join)
            });
            there.map(|(user, _)| user.clone()).collect()
        } else {
            let mut company = Vec::new();
            let joined = Scan::prefix((room, StoredMembership::Join.key()));
            LOCAL_MEMBER_BY_ROOM.each(self.snapshot, joined, |(_, _, user), ()| {
                if self.owners.contains(&user) {
                    company.push(user);
                }
                std::ops::ControlFlow::Continue(())
            })?;
            company
        };
        self.company.insert(room, company.clone());
        Ok(company)
    }
}
