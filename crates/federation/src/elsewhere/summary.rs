//! What a server tells of a room before anybody of ours is in it.

use ruma::{RoomId, ServerName, api::federation::space::get_hierarchy};
use vestibule_rooms::ElsewhereError;

use super::failure::failed;
use crate::Federation;

impl Federation {
    /// Whether a room admits guests, as a server says. It may lie: what counts is the state that
    /// comes with a join.
    pub(super) async fn guest_can_join(
        &self,
        server: &ServerName,
        room_id: &RoomId,
    ) -> Result<Option<bool>, ElsewhereError> {
        let request = get_hierarchy::v1::Request::new(room_id.to_owned());
        let answer = self.remote().call(server, request).await.map_err(failed)?;
        let summary = answer.room.summary;
        Ok((summary.room_id == room_id).then_some(summary.guest_can_join))
    }
}
