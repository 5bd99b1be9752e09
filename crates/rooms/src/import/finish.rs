//! The last batch: the room appears, and our user is in it.

use std::sync::Arc;

use vestibule_events::Pdu;
use vestibule_policy::kind;
use vestibule_storage::tables::{
    handshake::IMPORT_BY_ROOM,
    room::{HEAD_STATE, StoredHeadState},
};

use super::{ImportError, Imported};
use crate::{
    MembershipError, RoomTx,
    append::Authority,
    ask::{Ask, AskError, Deed},
    state::StateChange,
};

impl RoomTx<'_, '_> {
    /// Gives the room its state and its identifier, asks the policy once more, now that everything
    /// about the room is known, and records the join. What the policy refuses is left in the same
    /// batch: the server that let us in has to be told.
    pub(super) fn finish_import(
        &mut self,
        ask: &Ask,
        join: &Arc<Pdu>,
        last: &[StateChange],
    ) -> Result<Imported, ImportError> {
        let import = self.stored_import()?;
        if self.room.is_none() {
            let staged = self.staged(&import)?;
            self.appear(staged, ask.now.get().into())?;
        }
        IMPORT_BY_ROOM.delete(self.tx, (&self.room_id,))?;

        let before = self.append_state(import.at, last)?;
        let stamp = self.next_stamp();
        let no = {
            let room = self.known_mut()?;
            room.head.state = before;
            room.head.extremities.clear();
            room.no
        };
        HEAD_STATE.put(self.tx, (no, stamp), &StoredHeadState(before))?;
        self.index_changes(last, stamp)?;

        let deed = Deed::Join(self.room_id.clone());
        let decision = self.decide(ask, &deed)?;
        if let Ok(permit) = decision.clone().permit::<kind::Join>() {
            self.append_arrival(Authority::Join(permit), join, before)?;
            return Ok(Imported::Joined);
        }
        let deed = Deed::Leave(self.room_id.clone());
        let permit = self.permit::<kind::Leave>(ask, &deed).map_err(asked)?;
        self.append_arrival(Authority::Undone(permit), join, before)?;
        self.leave(ask, None)?;
        Ok(Imported::Left(Box::new(decision)))
    }
}

fn asked(error: AskError) -> ImportError {
    ImportError::Membership(MembershipError::Ask(error))
}
