//! The event nearest to a moment.

use ruma::{MilliSecondsSinceUnixEpoch, OwnedEventId, RoomId};
use vestibule_storage::{Read, Stamp, StorageError};
use vestibule_types::{Actor, EventNo, limits::MOMENT_SCAN_MAX};

use super::{Direction, ReadError};
use crate::{LoggedEvent, RoomView, Rooms, TimelinePosition, append::LIVE};

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
        self.read_as(actor, room_id, move |view, mut access| {
            let seen = |event: &LoggedEvent| access.viewer.may_see(view, event.no);
            nearest(view, (moment, direction), seen)?.ok_or(ReadError::NotFound)
        })
        .await
    }
}

/// The event nearest to a moment among those that are seen.
pub(crate) fn nearest<R: Read>(
    view: &RoomView<'_, R>,
    (moment, direction): (MilliSecondsSinceUnixEpoch, Direction),
    mut seen: impl FnMut(&LoggedEvent) -> Result<bool, StorageError>,
) -> Result<Option<EventAt>, StorageError> {
    let mut nearest: Option<EventAt> = None;
    for no in view.stretch_around(moment, direction)? {
        let Some(event) = view.event(no)? else { continue };
        let at = event.pdu.origin_server_ts();
        let better = match direction {
            Direction::Forward => at >= moment && nearest.as_ref().is_none_or(|it| at < it.at),
            Direction::Backward => at <= moment && nearest.as_ref().is_none_or(|it| at > it.at),
        };
        if better && seen(&event)? {
            nearest = Some(EventAt { event_id: event.pdu.event_id().to_owned(), at });
        }
    }
    Ok(nearest)
}

impl<R: Read> RoomView<'_, R> {
    /// A bounded stretch of the timeline that holds the event nearest to a moment. Of events at the
    /// same moment, the one that is to be found comes first.
    fn stretch_around(
        &self,
        moment: MilliSecondsSinceUnixEpoch,
        direction: Direction,
    ) -> Result<Vec<EventNo>, StorageError> {
        let mut rows = self.timeline_back(None, None, MOMENT_SCAN_MAX)?;
        if rows.len() == MOMENT_SCAN_MAX {
            let passing = self.passes(moment)?;
            rows = match direction {
                // The commit before it may end with events of the moment.
                Direction::Forward => {
                    let from = after(passing.saturating_sub(1));
                    self.timeline_forward(Some(from), None, MOMENT_SCAN_MAX)?
                }
                // What lies right behind the passage may bear the moment itself.
                Direction::Backward => {
                    let mut rows = self.timeline_forward(Some(after(passing)), None, 1)?;
                    let last = rows.first().map_or(after(passing), |(position, _)| *position);
                    rows.extend(self.timeline_back(Some(last), None, MOMENT_SCAN_MAX)?);
                    rows
                }
            };
        } else if direction == Direction::Forward {
            rows.reverse();
        }
        Ok(rows.into_iter().map(|(_, no)| no).collect())
    }

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
