//! `POST /_matrix/federation/v1/publicRooms`: the rooms another server lists.

use ruma::{ServerName, UInt, api::federation::directory::get_public_rooms_filtered::v1::Request};
use vestibule_remote::CallOptions;
use vestibule_rooms::{ElsewhereError, RoomsElsewhere, RoomsElsewhereQuery};
use vestibule_types::limits::{LOOKUP_MAX, PUBLIC_ROOMS_ANSWER_BYTES_MAX};

use super::failure::failed;
use crate::Federation;

impl Federation {
    /// Asks a server for a page of its list.
    pub(super) async fn ask_for_public_rooms(
        &self,
        server: &ServerName,
        query: RoomsElsewhereQuery,
    ) -> Result<RoomsElsewhere, ElsewhereError> {
        let options = CallOptions {
            answer_bytes_max: PUBLIC_ROOMS_ANSWER_BYTES_MAX,
            time_max: LOOKUP_MAX,
            ..CallOptions::default()
        };
        let mut request = Request::new();
        request.limit = UInt::try_from(query.limit).ok();
        request.since = query.since;
        request.filter = query.filter;
        request.room_network = query.network;
        let page = self.remote().call_with(server, request, options).await.map_err(failed)?;
        Ok(RoomsElsewhere {
            rooms: page.chunk,
            next: page.next_batch,
            previous: page.prev_batch,
            total: page.total_room_count_estimate,
        })
    }
}
