//! A room the user is in.

use std::{collections::BTreeSet, sync::Arc};

use vestibule_rooms::OpenRoom;
use vestibule_storage::{
    Stamped, StorageError,
    tables::room::{StoredMember, StoredMembership},
};

use super::{
    Pass, Sight,
    account_data::OwnChanges,
    says_joined,
    state::Span,
    timeline::{LIVE, Stretch},
    unread::sections,
};
use crate::{
    response::{Events, JoinedRoom, Summary},
    shared::{Key, SharedTimeline},
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
        let stretch = Stretch { after: since, until: None, own: None, limit };
        let there_all_the_time = since.is_some_and(|since| is_in_since(member, since));
        let unchanged = span.since.is_some_and(|(_, base)| base == span.end);
        let key = if there_all_the_time && unchanged && self.pass.ignored.is_empty() {
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
        let told = Arc::new(SharedTimeline { events, section });
        let for_others = !told.is_by(self.pass.user()) && !told.section.bundled;
        if let Some(key) = key.filter(|_| for_others) {
            inner.shared.put(key, Arc::clone(&told));
        }
        Ok(told)
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
            second: u64::from(self.pass.query.now.get()) / 1_000,
        }))
    }
}

/// Whether the user came in before a commit and has been in since.
fn is_in_since(member: &Stamped<StoredMember>, commit: u64) -> bool {
    member.value.membership == StoredMembership::Join && member.stamp.commit <= commit
}
