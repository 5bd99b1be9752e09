//! What one is told of a room before joining it.

use ruma::{OwnedRoomId, OwnedServerName, RoomOrAliasId};
use vestibule_policy::RateFact;
use vestibule_types::Actor;

use super::{
    ReadError,
    hierarchy::Walk,
    hierarchy_elsewhere::{WantedSpace, outside_membership},
};
use crate::{
    DirectoryError, OpenRoom, RoomSummary, RoomView, Rooms, StoredMembership,
    ask::{Afar, Ask, Deed},
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
    /// The summary of a room, for those who are in it or could get in. Whether a room exists is not
    /// told to others.
    ///
    /// About a room that nobody here is in, other servers are asked, those of `via` among them, if
    /// the policy lets the asker cause that; for somebody who is not logged in nobody is asked.
    pub async fn room_summary(
        &self,
        actor: Option<&Actor>,
        room: &RoomOrAliasId,
        via: Vec<OwnedServerName>,
    ) -> Result<RoomPreview, ReadError> {
        match actor {
            Some(actor) => self.summary_for(actor, room, via).await,
            None => self.summary_for_anybody(room).await,
        }
    }

    async fn summary_for(
        &self,
        actor: &Actor,
        room: &RoomOrAliasId,
        via: Vec<OwnedServerName>,
    ) -> Result<RoomPreview, ReadError> {
        let found = self.find_room_abroad(actor, room, via).await;
        let (room_id, via) = found.map_err(unfound)?;
        let ask = self.onlooker(actor);
        let via = self.vias(&ask, &room_id, via).await?;
        let (found, wanted) = self.known_summary(&ask, &room_id, &via).await?;
        let Some(first) = wanted.first().and_then(WantedSpace::first_server) else {
            return found.ok_or(ReadError::NotFound);
        };
        self.ask(actor, &Deed::BrowseRemoteDirectory(first.to_owned())).await?;
        self.learn_spaces(wanted).await;
        let (found, _) = self.known_summary(&ask, &room_id, &via).await?;
        found.ok_or(ReadError::NotFound)
    }

    /// The summary by what is known now, and what would have to be asked to know it.
    async fn known_summary(
        &self,
        ask: &Ask,
        room_id: &OwnedRoomId,
        via: &[OwnedServerName],
    ) -> Result<(Option<RoomPreview>, Vec<WantedSpace>), ReadError> {
        let (rooms, policy) = (self.clone(), self.inner.policy.current());
        let (ask, room_id, via) = (ask.clone(), room_id.clone(), via.to_vec());
        self.inner
            .store
            .read(move |snapshot| {
                let mut walk = Walk {
                    rooms: &rooms,
                    policy: &policy,
                    reader: snapshot,
                    ask: &ask,
                    wanted: Vec::new(),
                };
                let found = walk.look(&room_id, via)?;
                let wanted = walk.wanted;
                let Some((summary, _)) = found else { return Ok((None, wanted)) };
                let here = OpenRoom::load(snapshot, &room_id)?;
                let member = match &here {
                    Some(room) => {
                        RoomView::new(&rooms, snapshot, room).local_member(&ask.user_id)?
                    }
                    None => None,
                };
                let outside = outside_membership(snapshot, &ask.user_id, &room_id)?;
                let membership = outside.or(member.map(|row| row.value.membership));
                Ok((Some(RoomPreview { summary, membership }), wanted))
            })
            .await
    }

    async fn summary_for_anybody(&self, room: &RoomOrAliasId) -> Result<RoomPreview, ReadError> {
        let room_id = self.find_room(room).await.map_err(unfound)?;
        let (rooms, policy) = (self.clone(), self.inner.policy.current());
        self.inner
            .store
            .read(move |snapshot| {
                let room = OpenRoom::load(snapshot, &room_id)?.ok_or(ReadError::NotFound)?;
                let view = RoomView::new(&rooms, snapshot, &room);
                let summary = view.summary()?;
                if !view.is_shown_to(&policy, None, &summary)? {
                    return Err(ReadError::NotFound);
                }
                Ok(RoomPreview { summary, membership: None })
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
            later: None,
        }
    }
}

fn unfound(error: DirectoryError) -> ReadError {
    match error {
        DirectoryError::Ask(error) => ReadError::Ask(error),
        DirectoryError::Taken
        | DirectoryError::UnknownAlias
        | DirectoryError::Elsewhere(_)
        | DirectoryError::Foreign
        | DirectoryError::TooLong
        | DirectoryError::TooManyAliases
        | DirectoryError::UnknownRoom(_)
        | DirectoryError::Powerless(_) => ReadError::NotFound,
    }
}
