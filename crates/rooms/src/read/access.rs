//! Who may read a room at all, and up to which moment of its state.

use vestibule_policy::RateFact;
use vestibule_storage::{
    Read, Snapshot, Stamped, StorageError,
    tables::room::{DEPARTURE, StoredEventNo, StoredMember, StoredMembership},
};
use vestibule_types::Actor;

use super::ReadError;
use crate::{
    OpenRoom, RoomView, Rooms, StateAt, Viewer,
    ask::{Afar, Ask, AskError, Deed, decide},
    facts::world_readable,
};

/// A reader who was let in.
pub(crate) struct Access {
    /// What they may see of the history.
    pub(crate) viewer: Viewer,
    /// The moment of the state they see: now, or when they left.
    pub(crate) at: StateAt,
}

impl Rooms {
    /// Whether somebody may search messages now. What they find is decided for each event.
    pub async fn may_search_messages(&self, actor: &Actor) -> Result<(), AskError> {
        self.ask(actor, &Deed::SearchMessages).await.map(drop)
    }

    /// Reads a room for somebody who may.
    pub(crate) async fn read_as<T, F>(
        &self,
        actor: &Actor,
        room_id: &ruma::RoomId,
        look: F,
    ) -> Result<T, ReadError>
    where
        F: FnOnce(&RoomView<'_, &Snapshot<'_>>, Access) -> Result<T, ReadError> + Send + 'static,
        T: Send + 'static,
    {
        let (rooms, room_id) = (self.clone(), room_id.to_owned());
        let policy = self.inner.policy.current();
        let ask = Ask {
            user_id: actor.user_id().to_owned(),
            now: self.inner.env.now(),
            address: actor.address(),
            rate: RateFact::Charged,
            afar: Afar::default(),
            later: None,
        };
        self.inner
            .store
            .read(move |snapshot| {
                let room = OpenRoom::load(snapshot, &room_id)?.ok_or(ReadError::NotMember)?;
                let view = RoomView::new(&rooms, snapshot, &room);
                let access = match view.access_of_member(&ask.user_id)? {
                    Some(access) => access,
                    None if world_readable(&view)? => {
                        let deed = Deed::Peek(room_id);
                        let decision = decide(&policy, snapshot, Some(&view), (&ask, &deed))?;
                        decision.allowed().map_err(AskError::from)?;
                        Access { viewer: Viewer::new(&view, &ask.user_id)?, at: room.head.state }
                    }
                    None => return Err(ReadError::NotMember),
                };
                look(&view, access)
            })
            .await
    }
}

impl<R: Read> RoomView<'_, R> {
    /// What somebody reads as a member, or as one who was.
    fn access_of_member(&self, user: &ruma::UserId) -> Result<Option<Access>, ReadError> {
        let Some(at) = self.member_sees(user)? else { return Ok(None) };
        Ok(Some(Access { viewer: Viewer::new(self, user)?, at }))
    }

    /// The moment of the state that a member sees: now, or when they left. `None` for those who
    /// were never in, and those who forgot the room. What became of them since changes nothing: they
    /// may have been invited or banned.
    pub fn member_sees(&self, user: &ruma::UserId) -> Result<Option<StateAt>, StorageError> {
        let Some(member) = self.local_member(user)? else { return Ok(None) };
        if member.value.membership == StoredMembership::Join {
            return Ok(Some(self.room.head.state));
        }
        if member.value.forgotten {
            return Ok(None);
        }
        let Some(departure) = self.departure(user, &member)? else { return Ok(None) };
        let left = self.around(departure.value.0)?;
        Ok(Some(left.map_or(self.room.head.state, |around| around.value.after)))
    }

    /// When somebody who is not joined any more last left, and by which event. `None` for those who
    /// were never in.
    pub fn departure(
        &self,
        user: &ruma::UserId,
        member: &Stamped<StoredMember>,
    ) -> Result<Option<Stamped<StoredEventNo>>, StorageError> {
        if let Some(known) = DEPARTURE.get(&self.reader, (user, self.room.no))? {
            return Ok(Some(known));
        }
        // They left before departures were kept.
        let was_in = member.value.previous == Some(StoredMembership::Join);
        let left = Stamped { stamp: member.stamp, value: StoredEventNo(member.value.event) };
        Ok(Some(left).filter(|_| was_in))
    }
}
