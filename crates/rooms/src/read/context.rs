//! What happened around an event.

use std::collections::BTreeSet;

use ruma::{OwnedEventId, OwnedRoomId, api::client::filter::RoomEventFilter};
use serde_json::value::RawValue;
use vestibule_storage::Read;
use vestibule_types::{
    Actor, EventNo,
    limits::{EVENTS_READ_AT_ONCE, MESSAGES_PAGE_MAX},
};

use super::{
    ReadError,
    gaps::Filled,
    messages::{admits_type, wanted},
    related::RelatedBy,
};
use crate::{
    LoggedEvent, RoomView, Rooms, Showing, StateAt, TimelinePosition, Viewer, append::LIVE,
};

const MEMBER: &str = "m.room.member";

/// Which surroundings are wanted.
#[derive(Clone, Debug)]
pub struct ContextQuery {
    /// The room.
    pub room_id: OwnedRoomId,
    /// The event in the middle.
    pub event_id: OwnedEventId,
    /// At most so many events around it.
    pub limit: usize,
    /// Which events.
    pub filter: RoomEventFilter,
    /// Which of them, by what relates to them.
    pub related_by: RelatedBy,
}

/// An event and what happened around it.
#[derive(Debug)]
pub struct Context {
    /// The event.
    pub event: Box<RawValue>,
    /// What came before, newest first.
    pub before: Vec<Box<RawValue>>,
    /// What came after, oldest first.
    pub after: Vec<Box<RawValue>>,
    /// Where to go on backwards.
    pub start: String,
    /// Where to go on forwards.
    pub end: String,
    /// The state after the last event shown, as far as the filter lets it through.
    pub state: Vec<Box<RawValue>>,
}

impl Rooms {
    /// The surroundings of an event, as far as the reader may see them. Where they come to a gap in
    /// the history, what lies in it is fetched first.
    pub async fn context(&self, actor: &Actor, query: ContextQuery) -> Result<Context, ReadError> {
        let (context, gap) = self.surroundings(actor, query.clone()).await?;
        let Some(missing) = gap else { return Ok(context) };
        match self.fill_gap(&query.room_id, missing).await {
            Filled::Some => Ok(self.surroundings(actor, query).await?.0),
            Filled::Nothing | Filled::NotNow => Ok(context),
        }
    }

    /// The surroundings, and the parents that are missing in what lies before.
    async fn surroundings(
        &self,
        actor: &Actor,
        query: ContextQuery,
    ) -> Result<(Context, Option<Vec<OwnedEventId>>), ReadError> {
        let policy = self.inner.policy.current();
        let (asker, now) = (actor.clone(), self.inner.env.now());
        let room_id = query.room_id.clone();
        self.read_as(actor, &room_id, move |view, mut access| {
            let viewer = &mut access.viewer;
            let showing = Showing { actor: Some(&asker), with_room_id: true, now };
            let event = view.event_by_id(&query.event_id)?.ok_or(ReadError::NotFound)?;
            let around = view.around(event.no)?.ok_or(ReadError::NotFound)?;
            if !viewer.may_see(view, event.no)? || viewer.ignores(view, &event)? {
                return Err(ReadError::Unseen);
            }
            let middle = TimelinePosition { side: LIVE, stamp: around.stamp };
            let limit = query.limit.min(MESSAGES_PAGE_MAX);
            let (earlier, later) = (limit / 2, limit - limit / 2);
            let back = view.timeline_back(Some(middle), None, earlier)?;
            let forth = view.timeline_forward(Some(middle), None, later)?;
            let gaps = view.gaps_to_fill(&policy, asker.user_id())?;
            let passed = std::iter::once(event.no).chain(back.iter().map(|(_, no)| *no));
            let gap = passed.take(earlier).find_map(|no| gaps.before(no)).map(<[_]>::to_vec);
            let start = back.last().map_or(middle, |(position, _)| *position);
            let end = forth.last().map_or(middle, |(position, _)| *position).next();

            let before = seen(view, viewer, (&back, &query))?;
            let after = seen(view, viewer, (&forth, &query))?;
            let at = match view.around(after.last().unwrap_or(&event).no)? {
                Some(last) if viewer.sees_state(view, (last.value.after, last.stamp))? => {
                    last.value.after
                }
                _ => access.at,
            };
            let told: Vec<&LoggedEvent> = before.iter().chain([&event]).chain(&after).collect();
            let mut state = Vec::new();
            for event in state_beside(view, at, (&told, &query.filter))? {
                state.push(view.show(viewer, &event, showing)?);
            }
            let context = Context {
                event: view.show_bundled(viewer, &event, showing)?,
                before: view.show_all(viewer, &before, showing)?.events,
                after: view.show_all(viewer, &after, showing)?.events,
                start: start.to_string(),
                end: end.to_string(),
                state,
            };
            Ok((context, gap))
        })
        .await
    }
}

/// The state that belongs to some events, as far as the filter lets it through; to clients that load
/// members lazily no others than the senders of these events.
fn state_beside<R: Read>(
    view: &RoomView<'_, R>,
    at: StateAt,
    (told, filter): (&[&LoggedEvent], &RoomEventFilter),
) -> Result<Vec<LoggedEvent>, ReadError> {
    let all = filter.lazy_load_options.is_disabled();
    let keys = if all { view.full_state(at, None)? } else { view.full_state_without(at, MEMBER)? };
    let kinds = keys.into_iter().filter(|((kind, _), _)| admits_type(filter, kind));
    let numbers: Vec<EventNo> = kinds.map(|(_, no)| no).collect();
    let mut state = Vec::new();
    for some in numbers.chunks(EVENTS_READ_AT_ONCE) {
        state.extend(view.events(some)?.into_iter().flatten());
    }
    if !all && admits_type(filter, MEMBER) {
        let senders: BTreeSet<&str> = told.iter().map(|it| it.pdu.sender().as_str()).collect();
        for sender in senders {
            state.extend(view.state_event_at(at, MEMBER, sender)?);
        }
    }
    state.retain(|event| wanted(filter, event));
    Ok(state)
}

/// Those events of a stretch that are wanted and that the reader may see.
fn seen<R: Read>(
    view: &RoomView<'_, R>,
    viewer: &mut Viewer,
    (rows, query): (&[(TimelinePosition, EventNo)], &ContextQuery),
) -> Result<Vec<LoggedEvent>, ReadError> {
    let mut events = Vec::new();
    for (_, no) in rows {
        let Some(event) = view.event(*no)? else { continue };
        if wanted(&query.filter, &event)
            && !viewer.ignores(view, &event)?
            && viewer.may_see(view, *no)?
            && query.related_by.admits(view, viewer, &event)?
        {
            events.push(event);
        }
    }
    Ok(events)
}
