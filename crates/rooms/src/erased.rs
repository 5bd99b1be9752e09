//! What users wrote who asked to be forgotten (client-server API, `POST /account/deactivate`, `erase`).
//!
//! Whoever was not joined when it was sent is shown it as if it were redacted; whoever was has seen it. What
//! a user set of a room, its name or its encryption, is the room's and stays; so do redactions, without
//! which what they took away would come back. Other servers are given state whole, because they judge by it.

use ruma::UserId;
use vestibule_events::Pdu;
use vestibule_storage::{
    Read, StorageError,
    tables::{account::ERASED_USER, room::ROOM_BY_MEMBER},
};
use vestibule_types::limits::{JOINED_ROOMS_MAX, WORDS_FORGOTTEN_AT_ONCE};

use crate::{OpenRoom, RoomView, Rooms};

/// Whether an event is its sender's own words, rather than something of the room.
pub(crate) fn is_personal(pdu: &Pdu) -> bool {
    pdu.kind() != "m.room.redaction" && pdu.state_key().is_none_or(|key| key == pdu.sender())
}

impl<R: Read> RoomView<'_, R> {
    /// Whether a user is one of ours who asked to be forgotten.
    pub fn is_erased(&self, user: &UserId) -> Result<bool, StorageError> {
        let ours = user.server_name() == self.rooms.inner.server_name;
        Ok(ours && ERASED_USER.contains(&self.reader, (user,))?)
    }
}

impl Rooms {
    /// Takes what a user wrote out of the index of words, room by room. It may be done again.
    pub(crate) async fn forget_words(&self, user: &UserId) -> Result<(), StorageError> {
        let Some(index) = self.event_index().cloned() else { return Ok(()) };
        let who = user.to_owned();
        let store = &self.inner.store;
        let rooms = store.read(move |read| {
            let rows = ROOM_BY_MEMBER.scan(read, (&who,), JOINED_ROOMS_MAX)?;
            let rooms = rows.into_iter().map(|((_, no), _)| OpenRoom::load_no(read, no));
            rooms.collect::<Result<Vec<_>, StorageError>>()
        });
        for room in rooms.await?.into_iter().flatten() {
            let (finding, who, no) = (index.clone(), user.to_owned(), room.no);
            let written = store.read(move |read| finding.written_by(read, no, &who)).await?;
            for some in written.chunks(WORDS_FORGOTTEN_AT_ONCE) {
                let (index, events) = (index.clone(), some.to_vec());
                let slot = store.slot_of_room(&room.room_id);
                let forget = store.write(slot, move |tx| index.forget(tx, no, &events));
                forget.await?;
            }
        }
        Ok(())
    }
}
