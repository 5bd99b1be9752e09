//! A room the user is in.

use std::{collections::BTreeSet, sync::Arc};

use ruma::OwnedUserId;
use vestibule_push::Fresh;
use vestibule_rooms::OpenRoom;
use vestibule_storage::{
    Stamped, StorageError,
    tables::room::{StoredMember, StoredMembership},
};
use vestibule_types::{EventNo, limits::SHARED_LISTENERS_MIN};

use super::{
    Pass, Sight,
    account_data::OwnChanges,
    says_joined,
    state::{MEMBER, Span},
    timeline::{LIVE, Stretch},
    unread::sections,
};
use crate::{
    filter::Lazy,
    pass::TimelineEvents,
    response::{Events, JoinedRoom, Summary},
    shared::{Key, Ready, SharedTimeline},
};

impl Pass<'_> {
    pub(super) fn joined(
        &self,
        room: &OpenRoom,
        member: &Stamped<StoredMember>,
        own: &OwnChanges,
    ) -> Result<JoinedRoom, StorageError> {
        let mut sight = Sight::new(self, room)?;
        let since = sight.known_since(member, self.since_of(room))?;
        let span = sight.span(since, room.head.state)?;
        let whole = since.is_none() || self.query.full_state;

        let limit = self.query.filter.timeline.timeline_limit();
        let told = sight.told(span, member, limit)?;
        let summary = if whole || sight.members_changed(span)? {
            sight.summary()?
        } else {
            Summary::default()
        };
        let heroes: BTreeSet<_> = summary.heroes.iter().flatten().cloned().collect();
        let state = sight.state_section(span, &told.events, &heroes)?;
        let account_data = self.room_account_data(&room.room_id, own, since.is_none())?;
        let passing = sight.passing(since)?;
        let mut joined = JoinedRoom {
            summary,
            state,
            timeline: told.section.clone(),
            ephemeral: Events { events: passing.events },
            account_data: Events { events: account_data },
            read_on: passing.read_on,
            ..JoinedRoom::default()
        };
        // A room that is new to a client which goes on: it may hold an older stretch of it.
        let new = since.is_none() && self.since.is_some();
        joined.timeline.limited |= new && joined.timeline.prev_batch.is_some();
        if whole || !joined.is_empty() {
            let tally = sight.unread(member)?;
            (joined.unread_notifications, joined.unread_thread_notifications) =
                sections(&tally, self.query.filter.unread_by_thread);
        }
        Ok(joined)
    }
}

impl Sight<'_> {
    /// The commit up to which the client knows the room, which it was told of up to `since`; `None`
    /// when the user was not in it then.
    pub(crate) fn known_since(
        &self,
        member: &Stamped<StoredMember>,
        since: Option<u64>,
    ) -> Result<Option<u64>, StorageError> {
        let Some(since) = since else { return Ok(None) };
        if is_in_since(member, since) {
            return Ok(Some(since));
        }
        let then = self.view.state_as_of(since)?;
        let user = self.pass.user().as_str();
        let event = self.view.state_event_at(then, "m.room.member", user)?;
        Ok(event.is_some_and(|event| says_joined(&event.pdu)).then_some(since))
    }

    /// Whether anybody came, went, or changed their profile.
    fn members_changed(&self, span: Span) -> Result<bool, StorageError> {
        let Some((_, base)) = span.since else { return Ok(true) };
        let changes = self.view.state_diff(base, span.end)?;
        Ok(changes.iter().any(|change| change.key.0 == "m.room.member"))
    }

    /// What happened. Members who were there all the time and did nothing themselves are told the
    /// same, so it is rendered once.
    pub(crate) fn told(
        &mut self,
        span: Span,
        member: &Stamped<StoredMember>,
        limit: usize,
    ) -> Result<Arc<SharedTimeline>, StorageError> {
        let since = span.since.map(|(since, _)| since);
        let unchanged = span.since.is_some_and(|(_, base)| base == span.end);
        let end = Some(span.end).filter(|_| !unchanged && !self.pass.query.use_state_after);
        let stretch = Stretch { after: since, until: None, own: None, end, limit };
        let there_all_the_time = since.is_some_and(|since| is_in_since(member, since));
        let key = if there_all_the_time && unchanged && self.pass.ignored().is_empty() {
            self.key_of(stretch)?
        } else {
            None
        };
        let inner = self.pass.inner;
        if let Some(shared) = key.and_then(|key| inner.shared.get(&key))
            && !shared.is_by(self.pass.user())
        {
            return Ok(shared);
        }
        let events = self.events_of(stretch)?;
        let section = self.timeline_section(&events)?;
        let mut told = SharedTimeline { events, section, ready: None };
        let for_others = !told.is_by(self.pass.user()) && !told.section.bundled;
        let Some(key) = key.filter(|_| for_others) else { return Ok(Arc::new(told)) };
        if inner.hub.listeners(self.view.room.no) >= SHARED_LISTENERS_MIN {
            told.ready = self.ready(&told.events, span)?;
        }
        let told = Arc::new(told);
        inner.shared.put(key, Arc::clone(&told));
        Ok(told)
    }

    /// What it takes to tell others of some events without reading anything.
    fn ready(&self, events: &TimelineEvents, span: Span) -> Result<Option<Ready>, StorageError> {
        let placed = events.list.iter().map(|(place, event)| (place.stamp, event));
        let Some(fresh) = Fresh::new(&self.view, placed)? else { return Ok(None) };
        let senders = self.senders_of(events, span)?;
        Ok(Some(Ready { room_id: self.view.room.room_id.clone(), fresh, senders }))
    }

    /// The member events of those who sent some events.
    fn senders_of(
        &self,
        events: &TimelineEvents,
        span: Span,
    ) -> Result<Vec<(OwnedUserId, EventNo)>, StorageError> {
        let mut found = Vec::new();
        if self.pass.query.filter.lazy == Lazy::Off {
            return Ok(found);
        }
        let senders: BTreeSet<_> =
            events.list.iter().map(|(_, event)| event.pdu.sender()).collect();
        for sender in senders {
            let member = self.view.state_event_at(span.end, MEMBER, sender.as_str())?;
            found.extend(member.map(|member| (sender.to_owned(), member.no)));
        }
        Ok(found)
    }

    /// What tells this stretch, up to the end of the timeline, from others as this client's filter
    /// shows it. `None` when nothing is in it.
    fn key_of(&self, stretch: Stretch) -> Result<Option<Key>, StorageError> {
        let filter = &self.pass.query.filter;
        let rows = self.rows_of(stretch, stretch.limit.saturating_add(1))?;
        let (Some((newest, last)), Some((oldest, first))) = (rows.first(), rows.last()) else {
            return Ok(None);
        };
        if newest.side != LIVE || oldest.side != LIVE {
            return Ok(None);
        }
        Ok(Some(Key {
            room: self.view.room.no,
            first: *first,
            last: *last,
            filter: filter.fingerprint,
            limit: stretch.limit,
            second: self.pass.query.second(),
        }))
    }
}

/// Whether the user came in before a commit and has been in since.
fn is_in_since(member: &Stamped<StoredMember>, commit: u64) -> bool {
    member.value.membership == StoredMembership::Join && member.stamp.commit <= commit
}
