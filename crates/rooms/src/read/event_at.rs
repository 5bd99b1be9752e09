//! The event nearest to a moment.

use ruma::{MilliSecondsSinceUnixEpoch, OwnedEventId, RoomId};
use vestibule_storage::{Read, Stamp, StorageError};
use vestibule_types::{
    Actor, EventNo,
    limits::{
        HISTORY_SCAN_MAX, HISTORY_WAIT_MAX, MOMENT_FETCHES_MAX, MOMENT_LEAD, MOMENT_SCAN_MAX,
    },
};

use super::{
    Direction, EventKnown, ReadError,
    gaps::{Filled, Gaps},
};
use crate::{LoggedEvent, RoomView, Rooms, TimelinePosition, append::LIVE};

/// An event and its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventAt {
    /// The event.
    pub event_id: OwnedEventId,
    /// When it was made.
    pub at: MilliSecondsSinceUnixEpoch,
}

/// What is known here around a moment.
struct Near {
    /// The nearest event that is here.
    found: Option<EventAt>,
    /// Where a nearer one may be missing: the parents that lie in the gap.
    gap: Option<Vec<OwnedEventId>>,
}

impl Rooms {
    /// The event nearest to a moment, before or after it, that the reader may see.
    ///
    /// The order of a room is not that of its clocks. A room with a short history is looked through
    /// from end to end; in a long one the search goes to where the clocks pass the moment, and
    /// looks at a bounded stretch from there. Where a nearer event may lie in a gap of our history,
    /// other servers are asked, and what they have is fetched as far as that is worth a wait.
    pub async fn event_at(
        &self,
        actor: &Actor,
        room_id: &RoomId,
        moment: MilliSecondsSinceUnixEpoch,
        direction: Direction,
    ) -> Result<EventAt, ReadError> {
        let wanted = (moment, direction);
        let mut near = self.near(actor, room_id, wanted).await?;
        let told = match near.gap {
            Some(_) => self.told_event_at(room_id, wanted).await,
            None => None,
        };
        let nearer = |told: &EventAt| near.found.as_ref().is_none_or(|it| told.beats(it, wanted));
        let Some(told) = told.filter(nearer) else {
            return near.found.ok_or(ReadError::NotFound);
        };
        let clock = &self.inner.env.clock;
        let until = clock.monotonic() + HISTORY_WAIT_MAX;
        for _ in 0..MOMENT_FETCHES_MAX {
            let Some(missing) = near.gap else { break };
            let filled = self.fill_gap(room_id, missing).await;
            near = self.near(actor, room_id, wanted).await?;
            let late = clock.monotonic() >= until;
            if late || filled != Filled::Some || self.has_event(room_id, &told.event_id).await? {
                break;
            }
        }
        // What is not here cannot be opened: it is only named where nothing else is on that side.
        Ok(near.found.unwrap_or(told))
    }

    async fn near(
        &self,
        actor: &Actor,
        room_id: &RoomId,
        wanted: (MilliSecondsSinceUnixEpoch, Direction),
    ) -> Result<Near, ReadError> {
        let (asker, policy) = (actor.user_id().to_owned(), self.inner.policy.current());
        self.read_as(actor, room_id, move |view, mut access| {
            let seen = |event: &LoggedEvent| access.viewer.may_see(view, event.no);
            let found = nearest(view, wanted, seen)?;
            let gaps = view.gaps_to_fill(&policy, &asker)?;
            let gap = view.gap_nearer_than(found.as_ref(), wanted, &gaps)?;
            Ok(Near { found, gap })
        })
        .await
    }

    /// What other servers say is nearest to a moment. What lies on the wrong side of it is no answer.
    async fn told_event_at(
        &self,
        room_id: &RoomId,
        (moment, direction): (MilliSecondsSinceUnixEpoch, Direction),
    ) -> Option<EventAt> {
        let told = self.elsewhere().event_at(room_id, moment, direction).await;
        told.ok().flatten().filter(|told| direction.leads(moment, told.at))
    }

    async fn has_event(&self, room_id: &RoomId, id: &OwnedEventId) -> Result<bool, ReadError> {
        let known = self.known_events(room_id, vec![id.clone()]).await?;
        Ok(known.get(id) == Some(&EventKnown::Judged))
    }
}

impl EventAt {
    /// Whether this one is nearer to the moment than another on the same side of it.
    fn beats(&self, other: &Self, (_, way): (MilliSecondsSinceUnixEpoch, Direction)) -> bool {
        match way {
            Direction::Forward => self.at < other.at,
            Direction::Backward => self.at > other.at,
        }
    }
}

impl Direction {
    /// Whether going this way from a moment leads to another.
    fn leads(self, from: MilliSecondsSinceUnixEpoch, to: MilliSecondsSinceUnixEpoch) -> bool {
        match self {
            Self::Forward => to >= from,
            Self::Backward => to <= from,
        }
    }
}

/// The event nearest to a moment among those that are seen. Where nothing is seen in the stretch around
/// the moment, as by those who came later, the search goes on from there, as far as other reading does.
pub(crate) fn nearest<R: Read>(
    view: &RoomView<'_, R>,
    (moment, direction): (MilliSecondsSinceUnixEpoch, Direction),
    mut seen: impl FnMut(&LoggedEvent) -> Result<bool, StorageError>,
) -> Result<Option<EventAt>, StorageError> {
    let mut nearest: Option<EventAt> = None;
    let mut stretch = view.stretch_around(moment, direction)?;
    let mut looked_at = 0;
    loop {
        for (_, no) in &stretch {
            let Some(event) = view.event(*no)? else { continue };
            let at = event.pdu.origin_server_ts();
            let candidate = EventAt { event_id: event.pdu.event_id().to_owned(), at };
            let better = nearest.as_ref().is_none_or(|it| candidate.beats(it, (moment, direction)));
            if direction.leads(moment, at) && better && seen(&event)? {
                nearest = Some(candidate);
            }
        }
        looked_at += stretch.len();
        let more = nearest.is_none() && looked_at < HISTORY_SCAN_MAX;
        let Some((last, _)) = stretch.last().filter(|_| more && stretch.len() >= MOMENT_SCAN_MAX)
        else {
            return Ok(nearest);
        };
        stretch = view.stretch_beyond(*last, direction)?;
    }
}

impl<R: Read> RoomView<'_, R> {
    /// The gap in which an event nearer to a moment than the one that was found may lie. What a gap
    /// hides was made between what comes before it and what comes after it, if clocks agree.
    fn gap_nearer_than(
        &self,
        found: Option<&EventAt>,
        (moment, direction): (MilliSecondsSinceUnixEpoch, Direction),
        gaps: &Gaps,
    ) -> Result<Option<Vec<OwnedEventId>>, StorageError> {
        let mut chosen: Option<(MilliSecondsSinceUnixEpoch, &[OwnedEventId])> = None;
        for (no, missing) in gaps.iter() {
            let Some((early, late)) = self.gap_bounds(no)? else { continue };
            let may_hide = match direction {
                Direction::Forward => late >= moment && found.is_none_or(|it| early < it.at),
                Direction::Backward => early <= moment && found.is_none_or(|it| late > it.at),
            };
            let better = chosen.is_none_or(|(before, _)| match direction {
                Direction::Forward => late < before,
                Direction::Backward => late > before,
            });
            if may_hide && better {
                chosen = Some((late, missing));
            }
        }
        Ok(chosen.map(|(_, missing)| missing.to_vec()))
    }

    /// The times of what comes before a gap, and of the event it lies before.
    fn gap_bounds(
        &self,
        no: EventNo,
    ) -> Result<Option<(MilliSecondsSinceUnixEpoch, MilliSecondsSinceUnixEpoch)>, StorageError>
    {
        let (Some(event), Some(around)) = (self.event(no)?, self.around(no)?) else {
            return Ok(None);
        };
        let at = TimelinePosition { side: LIVE, stamp: around.stamp };
        let before = match self.timeline_back(Some(at), None, 1)?.first() {
            Some((_, no)) => self.event(*no)?,
            None => None,
        };
        let early = before.map_or_else(
            || MilliSecondsSinceUnixEpoch(0_u32.into()),
            |event| event.pdu.origin_server_ts(),
        );
        Ok(Some((early, event.pdu.origin_server_ts())))
    }

    /// A bounded stretch of the timeline that holds the event nearest to a moment. Of events at the
    /// same moment, the one that is to be found comes first.
    fn stretch_around(
        &self,
        moment: MilliSecondsSinceUnixEpoch,
        direction: Direction,
    ) -> Result<Vec<(TimelinePosition, EventNo)>, StorageError> {
        let mut rows = self.timeline_back(None, None, MOMENT_SCAN_MAX)?;
        if rows.len() == MOMENT_SCAN_MAX {
            // A little from either side: clocks disagree a little.
            let passing = Some(behind(self.passes(moment)?));
            let mut late = self.timeline_forward(passing, None, MOMENT_SCAN_MAX)?;
            let first = late.first().map(|(position, _)| *position);
            let mut early = self.timeline_back(first, None, MOMENT_SCAN_MAX)?;
            rows = match direction {
                Direction::Forward => {
                    early.truncate(MOMENT_LEAD);
                    early.into_iter().rev().chain(late).collect()
                }
                Direction::Backward => {
                    late.truncate(MOMENT_LEAD);
                    late.into_iter().rev().chain(early).collect()
                }
            };
        } else if direction == Direction::Forward {
            rows.reverse();
        }
        Ok(rows)
    }

    /// The stretch that comes after another, seen from the moment.
    fn stretch_beyond(
        &self,
        last: TimelinePosition,
        direction: Direction,
    ) -> Result<Vec<(TimelinePosition, EventNo)>, StorageError> {
        match direction {
            Direction::Forward => self.timeline_forward(Some(last), None, MOMENT_SCAN_MAX),
            Direction::Backward => self.timeline_back(Some(last), None, MOMENT_SCAN_MAX),
        }
    }

    /// The place behind which clocks have reached a moment, as far as they agree with the order of the
    /// timeline. History that was fetched lies between two commits, however much of it there is.
    fn passes(&self, moment: MilliSecondsSinceUnixEpoch) -> Result<u64, StorageError> {
        let newest = self.timeline_back(None, None, 1)?;
        let mut late = newest.first().map_or(0, |(position, _)| place(position.stamp));
        let mut early = 0;
        while early < late {
            let middle = early + (late - early) / 2;
            let next = self.timeline_forward(Some(behind(middle)), None, 1)?;
            let event = match next.first() {
                Some((_, no)) => self.event(*no)?,
                None => None,
            };
            if event.is_some_and(|event| event.pdu.origin_server_ts() < moment) {
                early = middle + 1;
            } else {
                late = middle;
            }
        }
        Ok(early)
    }
}

/// A stamp as a number of the same order.
fn place(stamp: Stamp) -> u64 {
    (stamp.commit << u16::BITS) | u64::from(stamp.index)
}

/// The position of a place: what comes after it is behind it.
fn behind(place: u64) -> TimelinePosition {
    let index = u16::try_from(place & u64::from(u16::MAX)).unwrap_or(u16::MAX);
    TimelinePosition { side: LIVE, stamp: Stamp { commit: place >> u16::BITS, index } }
}
