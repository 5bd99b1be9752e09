//! What one is told of a room before joining it.

use ruma::RoomOrAliasId;
use vestibule_policy::RateFact;
use vestibule_types::Actor;

use super::ReadError;
use crate::{
    DirectoryError, OpenRoom, RoomSummary, RoomView, Rooms, StoredMembership,
    ask::{Afar, Ask},
};

/// A room as a preview shows it.
#[derive(Clone, Debug)]
pub struct RoomPreview {
    /// What everybody is told.
    pub summary: RoomSummary,
    /// The asker's own membership, if there is an asker and they have one.
    pub membership: Option<StoredMembership>,
}

impl Rooms {
    /// The summary of a room of this server, for those who are in it or could get in. Whether a
    /// room exists is not told to others.
    pub async fn room_summary(
        &self,
        actor: Option<&Actor>,
        room: &RoomOrAliasId,
    ) -> Result<RoomPreview, ReadError> {
        let room_id = self.find_room(room).await.map_err(|error| match error {
            DirectoryError::Ask(error) => ReadError::Ask(error),
            DirectoryError::Taken
            | DirectoryError::UnknownAlias
            | DirectoryError::Elsewhere(_)
            | DirectoryError::Foreign
            | DirectoryError::TooManyAliases
            | DirectoryError::UnknownRoom(_)
            | DirectoryError::Powerless(_) => ReadError::NotFound,
        })?;
        let asker = actor.map(|actor| self.onlooker(actor));
        let (rooms, policy) = (self.clone(), self.inner.policy.current());
        self.inner
            .store
            .read(move |snapshot| {
                let room = OpenRoom::load(snapshot, &room_id)?.ok_or(ReadError::NotFound)?;
                let view = RoomView::new(&rooms, snapshot, &room);
                let summary = view.summary()?;
                if !view.is_shown_to(&policy, asker.as_ref(), &summary)? {
                    return Err(ReadError::NotFound);
                }
                let membership = match &asker {
                    Some(ask) => view.local_member(&ask.user_id)?.map(|row| row.value.membership),
                    None => None,
                };
                Ok(RoomPreview { summary, membership })
            })
            .await
    }

    /// Somebody who only looks: nothing is charged.
    pub(super) fn onlooker(&self, actor: &Actor) -> Ask {
        Ask {
            user_id: actor.user_id().to_owned(),
            now: self.inner.env.now(),
            address: actor.address(),
            rate: RateFact::Charged,
            afar: Afar::default(),
        }
    }
}
