//! The state a client needs beside a timeline.

use std::collections::{BTreeMap, BTreeSet};

use ruma::{OwnedUserId, UserId};
use vestibule_rooms::{LoggedEvent, ShownEvents, StateKey};
use vestibule_storage::{StorageError, tables::room::StateAt};
use vestibule_types::EventNo;

use super::{Sight, timeline::Events};
use crate::{
    filter::Lazy,
    response::{self, RawEvent, State},
};

pub(super) const MEMBER: &str = "m.room.member";

/// Between which moments a client is brought up to date.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    /// The commit the client has, and the state then; `None` when it begins with the room.
    pub(crate) since: Option<(u64, StateAt)>,
    /// The state at the end.
    pub(crate) end: StateAt,
}

impl Sight<'_> {
    /// From a commit to a moment.
    pub(crate) fn span(&self, since: Option<u64>, end: StateAt) -> Result<Span, StorageError> {
        let since = match since {
            Some(since) => Some((since, self.view.state_as_of(since)?)),
            None => None,
        };
        Ok(Span { since, end })
    }

    /// The state section of a room. `needed` are members to show although they are not new, to
    /// clients that load members lazily.
    pub(super) fn state_section(
        &mut self,
        span: Span,
        timeline: &Events,
        needed: &BTreeSet<OwnedUserId>,
    ) -> Result<State, StorageError> {
        let query = self.pass.query;
        let filter = &query.filter.state;
        if !filter.admits_room(&self.view.room.room_id) {
            return Ok(section(query.use_state_after, Vec::new()));
        }
        let unchanged = span.since.is_some_and(|(_, base)| base == span.end);
        let start = match timeline.list.first() {
            Some((place, _)) if place.side == super::timeline::LIVE && !unchanged => {
                self.view.head_state_before(place.stamp)?.unwrap_or_default()
            }
            _ => span.end,
        };
        let mut wanted = match span.since {
            Some((_, base)) if !query.full_state => {
                self.changes(base, (start, span.end), timeline)?
            }
            _ => self.whole((start, span.end), timeline)?,
        };
        if query.filter.lazy != Lazy::Off {
            self.add_members(&mut wanted, start, (span, timeline), needed)?;
        }
        let mut shown = Vec::new();
        for no in wanted.into_values() {
            let Some(event) = self.view.event(no)? else { continue };
            if filter.admits(&event.pdu) {
                shown.push(self.show(&event)?);
            }
        }
        Ok(section(query.use_state_after, shown))
    }

    /// What changed in the resolved state. Without `state_after`, what the timeline itself tells is
    /// left out, and what it does not tell although it happened meanwhile is put in.
    fn changes(
        &self,
        base: StateAt,
        (start, end): (StateAt, StateAt),
        timeline: &Events,
    ) -> Result<BTreeMap<StateKey, EventNo>, StorageError> {
        if self.pass.query.use_state_after {
            let changes = self.view.state_diff(base, end)?.into_iter();
            return Ok(changes.filter_map(|it| Some((it.key, it.new?))).collect());
        }
        let told = timeline.numbers();
        let before = self.view.state_diff(base, start)?;
        let meanwhile = self.view.state_diff(start, end)?;
        let news = before.into_iter().chain(meanwhile);
        let untold = news.filter_map(|it| Some((it.key, it.new?)));
        Ok(untold.filter(|(_, no)| !told.contains(no)).collect())
    }

    /// All of the state; without members for clients that load them lazily. Without `state_after` it
    /// is that of the start, and what came since that the timeline does not tell.
    fn whole(
        &self,
        (start, end): (StateAt, StateAt),
        timeline: &Events,
    ) -> Result<BTreeMap<StateKey, EventNo>, StorageError> {
        let query = self.pass.query;
        let at = if query.use_state_after { end } else { start };
        let mut state = match query.filter.lazy {
            Lazy::Off => self.view.full_state(at, None)?,
            Lazy::New | Lazy::Needed => self.view.full_state_without(at, MEMBER)?,
        };
        if at != end {
            let mut untold = self.changes(start, (start, end), timeline)?;
            untold.retain(|(kind, _), _| query.filter.lazy == Lazy::Off || kind != MEMBER);
            state.extend(untold);
        }
        Ok(state)
    }

    /// Adds the members a lazy client needs and was not shown before.
    fn add_members(
        &self,
        wanted: &mut BTreeMap<StateKey, EventNo>,
        start: StateAt,
        (span, timeline): (Span, &Events),
        needed: &BTreeSet<OwnedUserId>,
    ) -> Result<(), StorageError> {
        let pass = self.pass;
        let told = timeline.numbers();
        let mut users: BTreeSet<&UserId> = needed.iter().map(AsRef::as_ref).collect();
        users.extend(timeline.list.iter().map(|(_, event)| event.pdu.sender()));
        if span.since.is_none() || pass.query.full_state {
            users.insert(pass.user());
        }
        let device = pass.query.actor.device_id();
        let shown = device.map(|device| pass.inner.shown.of(pass.user(), device));
        if let Some(shown) = shown.as_ref().filter(|_| pass.since.is_some() && span.since.is_none())
        {
            shown.begin(self.view.room.no);
        }
        let answer = pass.now_of(self.view.room);
        let since = span.since.map(|(since, _)| since);
        let all = pass.query.filter.lazy == Lazy::Needed || pass.query.full_state;
        for user in users {
            let told =
                |event: &LoggedEvent| told.contains(&event.no) && !pass.query.use_state_after;
            let at = |moment| self.view.state_event_at(moment, MEMBER, user.as_str());
            // What the timeline tells of them was not so at its start.
            let event = match at(span.end)? {
                Some(event) if told(&event) => at(start)?,
                event => event,
            };
            let Some(event) = event else { continue };
            let member = (self.view.room.no, user);
            let redundant =
                shown.as_ref().is_some_and(|it| it.has(member, event.no, (since, answer)));
            if !told(&event) && (all || !redundant) {
                wanted.insert((MEMBER.to_owned(), user.to_string()), event.no);
            }
        }
        Ok(())
    }

    /// Renders the events of a timeline. Where the client does not get all that relates to them
    /// along with them, they come with what is summed up of it.
    pub(crate) fn timeline_section(
        &mut self,
        found: &Events,
    ) -> Result<response::Timeline, StorageError> {
        let list: Vec<LoggedEvent> = found.list.iter().map(|(_, event)| event.clone()).collect();
        let shown = if found.limited || found.fresh {
            self.show_all(&list)?
        } else {
            let events = list.iter().map(|event| self.show(event)).collect::<Result<_, _>>()?;
            ShownEvents { events, bundled: false }
        };
        let ShownEvents { events, bundled } = shown;
        let prev_batch = found.begins.map(|place| place.to_string());
        Ok(response::Timeline { events, limited: found.limited, prev_batch, bundled })
    }
}

/// The section of a room's state.
pub(crate) fn section(after: bool, events: Vec<RawEvent>) -> State {
    let events = response::Events { events };
    if after { State::After(events) } else { State::Before(events) }
}
