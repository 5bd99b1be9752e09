//! Moving the read marker. It is account data of its user; what the room has to say is said here.

use ruma::{OwnedEventId, OwnedRoomId};
use vestibule_policy::kind;
use vestibule_types::Actor;

use super::NoticeError;
use crate::{
    OpenRoom, RoomView, Rooms, UnknownRoom,
    ask::{AskError, Deed, decide},
};

impl Rooms {
    /// Whether the caller may put their read marker at an event of a room.
    pub async fn check_read_marker(
        &self,
        actor: &Actor,
        room_id: OwnedRoomId,
        event_id: OwnedEventId,
        current: Option<OwnedEventId>,
    ) -> Result<bool, NoticeError> {
        let deed = Deed::ReadMarker(room_id.clone());
        let ask = self.ask(actor, &deed).await?;
        let (rooms, policy) = (self.clone(), self.inner.policy.current());
        self.inner
            .store
            .read(move |snapshot| {
                let room = OpenRoom::load(snapshot, &room_id)?.ok_or(UnknownRoom)?;
                let view = RoomView::new(&rooms, snapshot, &room);
                let decision = decide(&policy, snapshot, Some(&view), (&ask, &deed))?;
                let permit = decision.permit::<kind::Ephemeral>().map_err(AskError::Denied)?;
                view.spend_notice(&ask, permit)?;
                let place = view.place_of(&view.noticed_event(&event_id)?)?;
                let current = current.map(|current| view.event_by_id(&current)).transpose()?;
                let Some(current) = current.flatten() else { return Ok(true) };
                Ok(view.place_of(&current)? < place)
            })
            .await
    }
}
