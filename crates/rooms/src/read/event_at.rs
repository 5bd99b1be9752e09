//! The event nearest to a moment.

use ruma::{MilliSecondsSinceUnixEpoch, OwnedEventId, RoomId};
use vestibule_storage::{Read, Snapshot, Stamp, StorageError};
use vestibule_types::{Actor, limits::MOMENT_SCAN_MAX};

use super::{Direction, ReadError, access::Access};
use crate::{RoomView, Rooms, TimelinePosition, append::LIVE};

/// An event and its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventAt {
    /// The event.
    pub event_id: OwnedEventId,
    /// When it was made.
    pub at: MilliSecondsSinceUnixEpoch,
}

impl Rooms {
    /// The event nearest to a moment, before or after it, that the reader may see.
    ///
    /// The order of a room is not that of its clocks. A room with a short history is looked through
    /// from end to end; in a long one the search goes to where the clocks pass the moment, and
    /// looks at a bounded stretch from there.
    pub async fn event_at(
        &self,
        actor: &Actor,
        room_id: &RoomId,
        moment: MilliSecondsSinceUnixEpoch,
        direction: Direction,
    ) -> Result<EventAt, ReadError> {
        self.read_as(actor, room_id, move |view, access| {
            Search { view, access, moment, direction }.nearest()?.ok_or(ReadError::NotFound)
        })
        .await
    }
}

struct Search<'p, 'a, 's> {
    view: &'p RoomView<'a, &'p Snapshot<'s>>,
    access: Access,
    moment: MilliSecondsSinceUnixEpoch,
    direction: Direction,
}

impl Search<'_, '_, '_> {
    fn nearest(mut self) -> Result<Option<EventAt>, ReadError> {
        let view = self.view;
        let mut rows = view.timeline_back(None, None, MOMENT_SCAN_MAX)?;
        if rows.len() == MOMENT_SCAN_MAX {
            let passing = view.passes(self.moment)?;
            rows = match self.direction {
                // The commit before it may end with events of the moment.
                Direction::Forward => {
                    let from = after(passing.saturating_sub(1));
                    view.timeline_forward(Some(from), None, MOMENT_SCAN_MAX)?
                }
                // What lies right behind the passage may bear the moment itself.
                Direction::Backward => {
                    let mut rows = view.timeline_forward(Some(after(passing)), None, 1)?;
                    let last = rows.first().map_or(after(passing), |(position, _)| *position);
                    rows.extend(view.timeline_back(Some(last), None, MOMENT_SCAN_MAX)?);
                    rows
                }
            };
        } else if self.direction == Direction::Forward {
            // Of events at the same moment, the one that is met first counts.
            rows.reverse();
        }
        let mut nearest: Option<EventAt> = None;
        for (_, no) in rows {
            let Some(event) = view.event(no)? else { continue };
            let at = event.pdu.origin_server_ts();
            let better = match self.direction {
                Direction::Forward => {
                    at >= self.moment && nearest.as_ref().is_none_or(|it| at < it.at)
                }
                Direction::Backward => {
                    at <= self.moment && nearest.as_ref().is_none_or(|it| at > it.at)
                }
            };
            if better && self.access.viewer.may_see(view, no)? {
                nearest = Some(EventAt { event_id: event.pdu.event_id().to_owned(), at });
            }
        }
        Ok(nearest)
    }
}

impl<R: Read> RoomView<'_, R> {
    /// The commit behind which clocks have reached a moment, as far as they agree with the order of
    /// the live timeline.
    fn passes(&self, moment: MilliSecondsSinceUnixEpoch) -> Result<u64, StorageError> {
        let newest = self.timeline_back(None, None, 1)?;
        let mut late = newest.first().map_or(0, |(position, _)| position.stamp.commit);
        let mut early = 0;
        while early < late {
            let middle = early + (late - early) / 2;
            let next = self.timeline_forward(Some(after(middle)), None, 1)?;
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

/// The place behind everything of a commit.
fn after(commit: u64) -> TimelinePosition {
    TimelinePosition { side: LIVE, stamp: Stamp::end_of(commit) }
}
