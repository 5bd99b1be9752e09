//! From matches to what a client is shown: who may see them, and what lies around them.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashSet},
};

use ruma::{OwnedEventId, OwnedRoomId, OwnedUserId, api::client::filter::RoomEventFilter};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use vestibule_rooms::{
    LoggedEvent, RoomView, Rooms, Showing, TimelinePosition, Viewer, filter_wants, ignored_users,
};
use vestibule_storage::{Snapshot, StorageError};
use vestibule_types::{
    Actor, EventNo,
    limits::{SEARCH_CONTEXT_MAX, SEARCH_COUNTED_MAX, SEARCH_RESULTS_MAX, SEARCH_RESULTS_USUAL},
};

use crate::{
    ContextWanted, GroupBy, Order, SearchQuery,
    find::{Match, Matches, View},
    rooms::Readable,
    token::{Only, SortKey, Token},
};

/// The side of the timeline that grows.
const LIVE: u8 = 1;

/// A page of results, with the names the specification gives its parts.
#[derive(Debug, Default, Serialize)]
pub struct Found {
    /// About how many results there are.
    pub count: u64,
    /// The words that were looked for.
    pub highlights: Vec<String>,
    /// The results, in the order asked for.
    pub results: Vec<FoundEvent>,
    /// The state of the rooms of the results, where that was asked for.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub state: BTreeMap<OwnedRoomId, Vec<Box<RawValue>>>,
    /// The results by room and by sender, where that was asked for.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub groups: BTreeMap<GroupBy, BTreeMap<String, Group>>,
    /// Where to go on; `None` when there is nothing more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_batch: Option<String>,
}

/// A result.
#[derive(Debug, Serialize)]
pub struct FoundEvent {
    /// How good the match is; more is better.
    pub rank: f64,
    /// The event.
    pub result: Box<RawValue>,
    /// What lies around it, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<FoundContext>,
}

/// What lies around a result.
#[derive(Debug, Serialize)]
pub struct FoundContext {
    /// Where to go on backwards.
    pub start: String,
    /// Where to go on forwards.
    pub end: String,
    /// What came before, newest first.
    pub events_before: Vec<Box<RawValue>>,
    /// What came after, oldest first.
    pub events_after: Vec<Box<RawValue>>,
    /// Who the senders were then, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile_info: Option<BTreeMap<OwnedUserId, ProfileThen>>,
}

/// What a user was called and looked like.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileThen {
    /// The name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub displayname: Option<String>,
    /// The picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub avatar_url: Option<String>,
}

/// Results that belong together.
#[derive(Debug, Default, Serialize)]
pub struct Group {
    /// The results of this page that are in the group.
    pub results: Vec<OwnedEventId>,
    /// Which group comes first: that of the first result is 1.
    pub order: u64,
    /// Where to go on within the group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_batch: Option<String>,
}

impl Serialize for GroupBy {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(match self {
            Self::Room => "room_id",
            Self::Sender => "sender",
        })
    }
}

/// One page while it is made.
pub(crate) struct Page<'p, 's> {
    actor: &'p Actor,
    query: &'p SearchQuery,
    /// Which events count; which rooms, is settled.
    filter: RoomEventFilter,
    rooms: &'p [Readable],
    views: Vec<View<'p, 's>>,
    /// Those who look into each room, once somebody did.
    viewers: Vec<Option<Viewer>>,
    ignored: HashSet<OwnedUserId>,
    showing: Showing<'p>,
}

/// A match that the reader sees.
struct Hit {
    found: Match,
    event: LoggedEvent,
}

/// What was seen of the matches.
struct Hits {
    shown: Vec<Hit>,
    count: u64,
    /// Behind which match the next page begins.
    next: Option<SortKey>,
    /// The best matches of the next pages, seen or not.
    rest: Vec<Match>,
    /// Rooms with further ones.
    more_in: BTreeSet<usize>,
}

impl<'p, 's> Page<'p, 's> {
    pub(crate) fn new(
        (rooms, snapshot): (&'p Rooms, &'p Snapshot<'s>),
        (actor, query): (&'p Actor, &'p SearchQuery),
        readable: &'p [Readable],
    ) -> Result<Self, StorageError> {
        let views = readable.iter().map(|it| RoomView::new(rooms, snapshot, &it.room)).collect();
        let showing = Showing { actor: Some(actor), with_room_id: true, now: rooms.now() };
        let mut filter = query.filter.clone();
        filter.rooms = None;
        Ok(Self {
            actor,
            query,
            filter,
            rooms: readable,
            views,
            viewers: readable.iter().map(|_| None).collect(),
            ignored: ignored_users(snapshot, actor.user_id())?,
            showing,
        })
    }

    /// The page of these matches that begins behind a token.
    pub(crate) fn make(
        &mut self,
        matches: &Matches,
        from: Option<&Token>,
    ) -> Result<Found, StorageError> {
        let best = self.in_order(&matches.best, from.map(|from| from.last))?;
        let looked = self.look(&best, matches)?;
        let Hits { shown: hits, count, next, rest, more_in } = looked;
        let mut found = Found { count, ..Found::default() };
        let token = |last, only| Token { order: self.query.order, last, only }.to_string();
        found.next_batch = next.map(|last| token(last, from.and_then(|from| from.only.clone())));
        for hit in &hits {
            found.results.push(self.show(hit)?);
        }
        for by in &self.query.groups {
            found.groups.insert(*by, self.group(*by, &hits, (&rest, &more_in)));
        }
        if self.query.state {
            found.state = self.states(&hits)?;
        }
        Ok(found)
    }

    /// The best matches in their order, behind where the page before ended. The index knows when
    /// something was sent to the second: the events themselves tell those of one second apart.
    fn in_order(
        &self,
        best: &[Match],
        behind: Option<SortKey>,
    ) -> Result<Vec<Match>, StorageError> {
        if self.query.order == Order::Rank {
            return Ok(best.to_vec());
        }
        let mut ordered = Vec::with_capacity(best.len());
        for of_second in best.chunk_by(|one, next| one.key.place.second == next.key.place.second) {
            let mut of_second = of_second.to_vec();
            let parted = |it: &Match| {
                behind.is_some_and(|behind| behind.place.second == it.key.place.second)
            };
            if of_second.len() > 1 || of_second.first().is_some_and(parted) {
                for found in &mut of_second {
                    found.key.millisecond = self.millisecond(found)?;
                }
                of_second.sort_unstable_by_key(|it| Reverse(it.key));
            }
            ordered.extend(
                of_second.into_iter().filter(|it| behind.is_none_or(|behind| it.key < behind)),
            );
        }
        Ok(ordered)
    }

    /// The millisecond of its second in which the event of a match was sent.
    fn millisecond(&self, found: &Match) -> Result<u16, StorageError> {
        let Some(view) = self.views.get(found.index) else { return Ok(0) };
        let event = view.event(found.key.place.event())?;
        let at = event.map_or(0, |event| u64::from(event.pdu.origin_server_ts().0));
        Ok(u16::try_from(at % 1_000).unwrap_or_default())
    }

    /// Looks at the best matches: which of them the reader sees.
    fn look(&mut self, best: &[Match], matches: &Matches) -> Result<Hits, StorageError> {
        let total = matches.total;
        let limit = self.limit();
        let (mut hits, mut seen, mut checked) = (Vec::<Hit>::new(), 0_usize, 0_usize);
        let mut next = None;
        for found in best {
            let full = hits.len() == limit;
            if full && next.is_some() && total > SEARCH_COUNTED_MAX {
                break;
            }
            checked += 1;
            let Some(event) = self.visible(found)? else { continue };
            seen += 1;
            if full {
                next = next.or_else(|| hits.last().map(|hit| hit.found.key));
            } else {
                hits.push(Hit { found: *found, event });
            }
        }
        if limit > 0 && next.is_none() && !matches.more_in.is_empty() {
            next = best.last().map(|found| found.key);
        }
        let last = hits.last().map(|hit| hit.found.key);
        let behind = |it: &&Match| last.is_none_or(|last| it.key < last);
        let rest = if next.is_none() || self.query.groups.is_empty() {
            Vec::new()
        } else {
            best.iter().filter(behind).copied().collect()
        };
        let more_in = if next.is_some() { matches.more_in.clone() } else { BTreeSet::new() };
        // What the reader does not see is not counted; beyond what was looked at, it is estimated.
        let count = total.saturating_mul(seen).checked_div(checked).unwrap_or_default();
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        Ok(Hits { shown: hits, count, next, rest, more_in })
    }

    fn limit(&self) -> usize {
        let limit = self.query.filter.limit.map(|limit| usize::try_from(u64::from(limit)));
        match limit {
            Some(Ok(limit)) => limit.min(SEARCH_RESULTS_MAX),
            Some(Err(_)) => SEARCH_RESULTS_MAX,
            None => SEARCH_RESULTS_USUAL,
        }
    }

    /// The event of a match, if the reader wants and sees it.
    fn visible(&mut self, found: &Match) -> Result<Option<LoggedEvent>, StorageError> {
        let Some(view) = self.views.get(found.index) else { return Ok(None) };
        let Some(event) = view.event(found.key.place.event())? else { return Ok(None) };
        let ignored = !event.pdu.is_state() && self.ignored.contains(event.pdu.sender());
        if ignored || !filter_wants(&self.filter, &event) {
            return Ok(None);
        }
        if view.redaction_of(event.pdu.event_id())?.is_some() {
            return Ok(None);
        }
        // Nobody finds the words of those who asked to be forgotten.
        if view.is_erased(event.pdu.sender())? && !event.pdu.is_state() {
            return Ok(None);
        }
        let query = self.query;
        let seen = self.with_viewer(found.index, |view, viewer| {
            Ok(viewer.may_see(view, event.no)? && query.related_by.admits(view, viewer, &event)?)
        })?;
        Ok(seen.unwrap_or_default().then_some(event))
    }

    /// Looks into one of the rooms.
    fn with_viewer<T>(
        &mut self,
        index: usize,
        look: impl FnOnce(&View<'p, 's>, &mut Viewer) -> Result<T, StorageError>,
    ) -> Result<Option<T>, StorageError> {
        let (Some(view), Some(viewer)) = (self.views.get(index), self.viewers.get_mut(index))
        else {
            return Ok(None);
        };
        let viewer = match viewer {
            Some(viewer) => viewer,
            None => viewer.insert(Viewer::new(view, self.actor.user_id())?),
        };
        look(view, viewer).map(Some)
    }

    fn show(&mut self, hit: &Hit) -> Result<FoundEvent, StorageError> {
        let (showing, wanted) = (self.showing, self.query.context);
        let shown = self.with_viewer(hit.found.index, |view, viewer| {
            let result = view.show_bundled(viewer, &hit.event, showing)?;
            let context = match wanted {
                Some(wanted) => context(view, viewer, (&hit.event, wanted), showing)?,
                None => None,
            };
            Ok((result, context))
        })?;
        let (result, context) =
            shown.ok_or_else(|| StorageError::corrupt("postings", "a match without its room"))?;
        Ok(FoundEvent { rank: f64::from(hit.found.score) / 64.0, result, context })
    }

    /// The results by room or by sender.
    fn group(
        &self,
        by: GroupBy,
        hits: &[Hit],
        (rest, more_in): (&[Match], &BTreeSet<usize>),
    ) -> BTreeMap<String, Group> {
        let mut groups: BTreeMap<String, Group> = BTreeMap::new();
        let mut lasts: BTreeMap<String, &Hit> = BTreeMap::new();
        for hit in hits {
            let key = match by {
                GroupBy::Room => hit.event.pdu.room_id().to_string(),
                GroupBy::Sender => hit.event.pdu.sender().to_string(),
            };
            let order = u64::try_from(groups.len()).unwrap_or(u64::MAX).saturating_add(1);
            let fresh = || Group { order, ..Group::default() };
            let group = groups.entry(key.clone()).or_insert_with(fresh);
            group.results.push(hit.event.pdu.event_id().to_owned());
            lasts.insert(key, hit);
        }
        for (key, last) in lasts {
            let more = match by {
                GroupBy::Room => {
                    let index = last.found.index;
                    more_in.contains(&index) || rest.iter().any(|it| it.index == index)
                }
                GroupBy::Sender => !(rest.is_empty() && more_in.is_empty()),
            };
            let only = match by {
                GroupBy::Room => Only::Room(last.event.pdu.room_id().to_owned()),
                GroupBy::Sender => Only::Sender(last.event.pdu.sender().to_owned()),
            };
            let token = Token { order: self.query.order, last: last.found.key, only: Some(only) };
            if let Some(group) = groups.get_mut(&key).filter(|_| more) {
                group.next_batch = Some(token.to_string());
            }
        }
        groups
    }

    /// The state of the rooms of the results, as the reader sees it.
    fn states(
        &mut self,
        hits: &[Hit],
    ) -> Result<BTreeMap<OwnedRoomId, Vec<Box<RawValue>>>, StorageError> {
        let mut states = BTreeMap::new();
        for hit in hits {
            let index = hit.found.index;
            let Some(readable) = self.rooms.get(index) else { continue };
            if states.contains_key(&readable.room.room_id) {
                continue;
            }
            let showing = self.showing;
            let state = self.with_viewer(index, |view, viewer| {
                let nos: Vec<EventNo> =
                    view.full_state(readable.sees, None)?.into_values().collect();
                let events = view.events(&nos)?.into_iter().flatten();
                events.map(|event| view.show(viewer, &event, showing)).collect()
            })?;
            states.insert(readable.room.room_id.clone(), state.unwrap_or_default());
        }
        Ok(states)
    }
}

/// What lies around an event.
fn context(
    view: &View<'_, '_>,
    viewer: &mut Viewer,
    (event, wanted): (&LoggedEvent, ContextWanted),
    showing: Showing<'_>,
) -> Result<Option<FoundContext>, StorageError> {
    let Some(around) = view.around(event.no)? else { return Ok(None) };
    let middle = TimelinePosition { side: LIVE, stamp: around.stamp };
    let back = view.timeline_back(Some(middle), None, wanted.before.min(SEARCH_CONTEXT_MAX))?;
    let forth = view.timeline_forward(Some(middle), None, wanted.after.min(SEARCH_CONTEXT_MAX))?;
    let before = seen(view, viewer, &back)?;
    let after = seen(view, viewer, &forth)?;
    let profile_info = if wanted.profiles {
        let mut profiles = BTreeMap::new();
        for event in before.iter().chain(&after).chain([event]) {
            let sender = event.pdu.sender();
            if !profiles.contains_key(sender) {
                let member =
                    view.state_event_at(around.value.before, "m.room.member", sender.as_str())?;
                let profile = match member {
                    Some(member) => view.shown_content_as(&member)?,
                    None => None,
                };
                profiles.insert(sender.to_owned(), profile.unwrap_or_default());
            }
        }
        Some(profiles)
    } else {
        None
    };
    Ok(Some(FoundContext {
        start: back.last().map_or(middle, |(at, _)| *at).to_string(),
        end: forth.last().map_or(middle, |(at, _)| *at).next().to_string(),
        events_before: view.show_all(viewer, &before, showing)?.events,
        events_after: view.show_all(viewer, &after, showing)?.events,
        profile_info,
    }))
}

/// Those events of a stretch that the viewer sees.
fn seen(
    view: &View<'_, '_>,
    viewer: &mut Viewer,
    rows: &[(TimelinePosition, EventNo)],
) -> Result<Vec<LoggedEvent>, StorageError> {
    let mut events = Vec::with_capacity(rows.len());
    for (_, no) in rows {
        if viewer.may_see(view, *no)? {
            events.extend(view.event(*no)?);
        }
    }
    Ok(events)
}
