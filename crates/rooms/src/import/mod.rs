//! Bringing a room here that a server in it handed over with a join.
//!
//! The events are stored in small batches, as outliers, under a number that nobody can find; then the
//! state is built on it, in small batches too, and the index of members with it. The last batch gives
//! the number to the room, and records the join: before it nothing of the room is here, after it all of it is.
//! What a crash leaves behind is found and used by the next attempt. A room that was left earlier keeps
//! its number: the new state is written as what differs from the old one.

mod finish;
mod parcel;
mod stage;

use std::sync::Arc;

use vestibule_events::Pdu;
use vestibule_policy::Decision;
use vestibule_storage::{StorageError, apart};
use vestibule_types::limits::IMPORT_CHUNK_EVENTS;

use self::parcel::Parcel;
use crate::{AppendError, JoinAnswer, MembershipError, Rooms, UnknownRoom, ask::Ask};

/// A join that a server in the room let in, with the room it handed over.
#[derive(Debug)]
pub(crate) struct Arrival {
    /// Our join, as it was handed in.
    pub(crate) join: Arc<Pdu>,
    /// What came back.
    pub(crate) answer: JoinAnswer,
}

/// What became of a room that was brought here.
#[derive(Debug)]
pub(crate) enum Imported {
    /// The user is in it.
    Joined,
    /// The policy refuses it now that the room is known: the user is out again.
    Left(Box<Decision>),
    /// Somebody else of ours came in meanwhile: the join has to be a local one.
    AlreadyHere,
}

/// Why a room was not brought here. Nothing of it can be seen.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ImportError {
    /// What was handed over is not that room, or does not let our user in.
    #[error("{0}")]
    BadAnswer(String),
    /// The policy could not be asked, or the leave that it wants could not be made.
    #[error(transparent)]
    Membership(#[from] MembershipError),
    /// The database failed.
    #[error("could not store the room")]
    Storage(#[from] StorageError),
}

impl From<AppendError> for ImportError {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Storage(cause) => Self::Storage(cause),
            AppendError::PermitMismatch(_) | AppendError::Forbidden(_) => {
                Self::Membership(error.into())
            }
            other => Self::BadAnswer(other.to_string()),
        }
    }
}

impl From<UnknownRoom> for ImportError {
    fn from(error: UnknownRoom) -> Self {
        Self::Membership(error.into())
    }
}

impl Rooms {
    /// Brings a room here, and our user into it. One at a time for each room.
    pub(crate) async fn import(&self, ask: Ask, arrival: Arrival) -> Result<Imported, ImportError> {
        let parcel = Arc::new(Parcel::open(arrival).map_err(ImportError::BadAnswer)?);
        let room_id = parcel.join.room_id().to_owned();
        let (no, version) = (self.new_room_no(), parcel.join.version());
        // Whether the join stands is decided with the last batch: those before it are nobody's act.
        let first = self.in_room(&room_id, move |room| room.begin_import(no, version));
        let begun = apart(first).await?.0;
        if !begun {
            return Ok(Imported::AlreadyHere);
        }
        for chunk in 0..parcel.events.len().div_ceil(IMPORT_CHUNK_EVENTS) {
            let parcel = Arc::clone(&parcel);
            let store = self.in_room(&room_id, move |room| room.import_events(parcel.chunk(chunk)));
            apart(store).await?;
        }
        let unpacked = Arc::clone(&parcel);
        let delta = self.in_room(&room_id, move |room| room.import_delta(&unpacked));
        let delta = apart(delta).await?.0;
        for chunk in 0..delta.early.len().div_ceil(IMPORT_CHUNK_EVENTS) {
            let delta = Arc::clone(&delta);
            let store = self.in_room(&room_id, move |room| room.import_state(delta.chunk(chunk)));
            apart(store).await?;
        }
        let finish = move |room: &mut crate::RoomTx<'_, '_>| {
            room.finish_import(&ask, &parcel.join, &delta.last)
        };
        Ok(self.in_room(&room_id, finish).await?.0)
    }
}
