//! Who is, or was, in a room.

use ruma::RoomId;
use serde_json::value::RawValue;
use vestibule_storage::tables::room::StoredMembership;
use vestibule_types::Actor;

use super::ReadError;
use crate::{BadToken, Rooms, Showing, TimelinePosition, append::membership_of};

/// Which members are wanted.
#[derive(Clone, Debug, Default)]
pub struct MembersQuery {
    /// As of this pagination token; now, when it is not given.
    pub at: Option<String>,
    /// Only these.
    pub membership: Option<StoredMembership>,
    /// All but these.
    pub not_membership: Option<StoredMembership>,
}

impl Rooms {
    /// The membership events of a room.
    pub async fn members(
        &self,
        actor: &Actor,
        room_id: &RoomId,
        query: MembersQuery,
    ) -> Result<Vec<Box<RawValue>>, ReadError> {
        let slot = self.inner.store.slot_of_room(room_id).0;
        let at = query.at.as_deref().map(|text| TimelinePosition::of_token(text, slot));
        let at: Option<TimelinePosition> = at.transpose().map_err(|error: BadToken| error)?;
        let (asker, now) = (actor.clone(), self.inner.env.now());
        self.read_as(actor, room_id, move |view, mut access| {
            let moment = match at {
                Some(position) if access.at == view.room.head.state => {
                    view.state_as_of(position.stamp.commit)?
                }
                _ => access.at,
            };
            let showing = Showing { actor: Some(&asker), with_room_id: true, now };
            let mut members = Vec::new();
            for no in view.full_state(moment, Some("m.room.member"))?.into_values() {
                let Some(event) = view.event(no)? else { continue };
                let membership = membership_of(&event.pdu);
                let wanted = query.membership.is_none_or(|it| it == membership)
                    && query.not_membership.is_none_or(|it| it != membership);
                if wanted {
                    members.push(view.show(&mut access.viewer, &event, showing)?);
                }
            }
            Ok(members)
        })
        .await
    }
}
