//! The event nearest to a moment, for another server.

use ruma::{MilliSecondsSinceUnixEpoch, RoomId, ServerName};

use super::{ServerReadError, access::absent};
use crate::{Direction, EventAt, LoggedEvent, Rooms, read::nearest};

impl Rooms {
    /// The event nearest to a moment, before or after it, that the server may see.
    pub async fn event_at_for_server(
        &self,
        server: &ServerName,
        room_id: &RoomId,
        moment: MilliSecondsSinceUnixEpoch,
        direction: Direction,
    ) -> Result<EventAt, ServerReadError> {
        self.read_for_server(server, room_id, move |view, mut viewer| {
            let seen = |event: &LoggedEvent| viewer.may_see(view, event);
            let found = nearest(view, (moment, direction), seen)?;
            found.ok_or_else(|| absent(&viewer))
        })
        .await
    }
}
