//! `GET /_matrix/federation/v1/timestamp_to_event/{roomId}`: which event lies nearest to a moment.

use ruma::{
    MilliSecondsSinceUnixEpoch, RoomId,
    api::{Direction as Way, federation::event::get_event_by_timestamp::v1::Request},
};
use vestibule_remote::CallOptions;
use vestibule_rooms::{Direction, ElsewhereError, EventAt};
use vestibule_types::limits::{MOMENT_ASKED_MAX, MOMENT_SERVERS_MAX};

use crate::Federation;

impl Federation {
    /// Asks servers in the room, the largest first, until one names an event.
    pub(super) async fn ask_for_event_at(
        &self,
        room_id: &RoomId,
        moment: MilliSecondsSinceUnixEpoch,
        direction: Direction,
    ) -> Result<Option<EventAt>, ElsewhereError> {
        let rooms = &self.inner.parts.rooms;
        let servers = rooms.servers_by_size(room_id, MOMENT_SERVERS_MAX).await;
        let way = match direction {
            Direction::Backward => Way::Backward,
            Direction::Forward => Way::Forward,
        };
        let options = CallOptions { time_max: MOMENT_ASKED_MAX, ..CallOptions::default() };
        for server in servers.map_err(|_| ElsewhereError::Unreachable)? {
            let request = Request::new(room_id.to_owned(), moment, way);
            match self.remote().call_with(&server, request, options).await {
                Ok(told) => {
                    let (event_id, at) = (told.event_id, told.origin_server_ts);
                    return Ok(Some(EventAt { event_id, at }));
                }
                Err(error) => tracing::debug!(%server, %error, "a server names no event"),
            }
        }
        Ok(None)
    }
}
