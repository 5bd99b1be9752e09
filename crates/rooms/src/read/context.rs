//! What happened around an event.

use ruma::{OwnedEventId, OwnedRoomId, api::client::filter::RoomEventFilter};
use serde_json::value::RawValue;
use vestibule_storage::Read;
use vestibule_types::{Actor, EventNo, limits::MESSAGES_PAGE_MAX};

use super::{ReadError, gaps::Filled, messages::wanted};
use crate::{RoomView, Rooms, Showing, TimelinePosition, Viewer, append::LIVE};

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
    /// The state after the last event shown.
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
        let read = self.read_as(actor, &room_id, move |view, mut access| {
            let viewer = &mut access.viewer;
            let showing = Showing { actor: Some(&asker), with_room_id: true, now };
            let event = view.event_by_id(&query.event_id)?.ok_or(ReadError::NotFound)?;
            let around = view.around(event.no)?.ok_or(ReadError::NotFound)?;
            if !viewer.may_see(view, event.no)? {
                return Err(ReadError::NotFound);
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

            let newest = forth.last().map_or(event.no, |(_, no)| *no);
            let at = view.around(newest)?.map_or(access.at, |around| around.value.after);
            let mut state = Vec::new();
            for no in view.full_state(at, None)?.into_values() {
                if let Some(event) = view.event(no)? {
                    state.push(view.show(viewer, &event, showing)?);
                }
            }
            let context = Context {
                event: view.show_bundled(viewer, &event, showing)?,
                before: shown(view, viewer, (&back, &query.filter), showing)?,
                after: shown(view, viewer, (&forth, &query.filter), showing)?,
                start: start.to_string(),
                end: end.to_string(),
                state,
            };
            Ok((context, gap))
        });
        match read.await {
            Err(ReadError::NotMember) => Err(ReadError::NotFound),
            other => other,
        }
    }
}

fn shown<R: Read>(
    view: &RoomView<'_, R>,
    viewer: &mut Viewer,
    (rows, filter): (&[(TimelinePosition, EventNo)], &RoomEventFilter),
    showing: Showing<'_>,
) -> Result<Vec<Box<RawValue>>, ReadError> {
    let mut events = Vec::new();
    for (_, no) in rows {
        let Some(event) = view.event(*no)? else { continue };
        if wanted(filter, &event) && viewer.may_see(view, *no)? {
            events.push(event);
        }
    }
    Ok(view.show_all(viewer, &events, showing)?.events)
}
