//! Who is, or was, in a room.

use ruma::{RoomId, UserId};
use serde_json::value::RawValue;
use vestibule_storage::{Read, tables::room::StoredMembership};
use vestibule_types::Actor;

use super::{ReadError, access::Access};
use crate::{
    BadToken, RoomView, Rooms, Showing, StateAt, TimelinePosition, append::membership_of, state,
};

/// Which members are wanted.
#[derive(Clone, Debug, Default)]
pub struct MembersQuery {
    /// As of this pagination token; now, when it is not given.
    pub at: Option<String>,
    /// Only these.
    pub membership: Option<StoredMembership>,
    /// All but these. Where both are given, whoever fits one of them is wanted.
    pub not_membership: Option<StoredMembership>,
}

impl MembersQuery {
    fn wants(&self, membership: StoredMembership) -> bool {
        let is = self.membership.map(|it| it == membership);
        let is_not = self.not_membership.map(|it| it != membership);
        match (is, is_not) {
            (None, None) => true,
            (is, is_not) => is.unwrap_or(false) || is_not.unwrap_or(false),
        }
    }
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
                Some(place) => view.state_at_place(&mut access, asker.user_id(), place)?,
                None => access.at,
            };
            let showing = Showing { actor: Some(&asker), with_room_id: true, now };
            let mut members = Vec::new();
            for no in view.full_state(moment, Some("m.room.member"))?.into_values() {
                let Some(event) = view.event(no)? else { continue };
                if query.wants(membership_of(&event.pdu)) {
                    members.push(view.show(&mut access.viewer, &event, showing)?);
                }
            }
            Ok(members)
        })
        .await
    }
}

impl<R: Read> RoomView<'_, R> {
    /// The state right before a place of the timeline, for somebody who may see it. Whoever left sees
    /// nothing later than that.
    fn state_at_place(
        &self,
        access: &mut Access,
        user: &UserId,
        place: TimelinePosition,
    ) -> Result<StateAt, ReadError> {
        if access.at != self.room.head.state
            && self.local_member(user)?.is_some_and(|left| left.stamp < place.stamp)
        {
            return Ok(access.at);
        }
        let next = self.timeline_forward(Some(place.previous()), None, 1)?.pop();
        let state = match (self.head_state_before(place.stamp)?, next) {
            (Some(state), _) => state,
            // What was fetched from before this server came knows the state around it.
            (None, Some((_, no))) => self.around(no)?.map_or(state::EMPTY, |it| it.value.before),
            (None, None) => state::EMPTY,
        };
        let seen = access.viewer.sees_state(self, (state, place.stamp))?
            || match next {
                // Right before one's own arrival: that is the state one is told with it.
                Some((_, no)) => access.viewer.may_see(self, no)?,
                None => false,
            };
        if seen { Ok(state) } else { Err(ReadError::Hidden) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_wishes_one_is_enough() {
        use StoredMembership::{Ban, Invite, Join, Leave};
        let query =
            |membership, not_membership| MembersQuery { membership, not_membership, at: None };
        let wanted = |query: MembersQuery| [Join, Invite, Leave, Ban].map(|it| query.wants(it));
        assert_eq!(wanted(query(None, None)), [true; 4]);
        assert_eq!(wanted(query(Some(Join), None)), [true, false, false, false]);
        assert_eq!(wanted(query(None, Some(Leave))), [true, true, false, true]);
        assert_eq!(wanted(query(Some(Ban), Some(Ban))), [true; 4]);
        assert_eq!(wanted(query(Some(Join), Some(Leave))), [true, true, false, true]);
    }
}
