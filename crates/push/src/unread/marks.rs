//! How far a user has read a room: in all of it, and thread by thread.

use std::collections::HashMap;

use ruma::UserId;
use vestibule_rooms::{ReceiptKind, RoomView};
use vestibule_storage::{
    Read, Scan, Stamp, StorageError,
    tables::room::{RECEIPT, RECEIPT_BY_POSITION},
};
use vestibule_types::RoomNo;

/// The read receipts of a user, looked up once each. Of a public and a private one the further counts.
pub(crate) struct Marks<'a> {
    user: &'a UserId,
    known: HashMap<String, Option<Stamp>>,
}

impl<'a> Marks<'a> {
    pub(crate) fn new(user: &'a UserId) -> Self {
        Self { user, known: HashMap::new() }
    }

    /// Whether what lies at a place in a thread was read.
    pub(crate) fn cover<R: Read>(
        &mut self,
        view: &RoomView<'_, R>,
        thread: &str,
        place: Stamp,
    ) -> Result<bool, StorageError> {
        Ok(self.up_to(view, "")? >= Some(place) || self.up_to(view, thread)? >= Some(place))
    }

    /// The place of the further of the user's two receipts in a thread; without a thread, of those
    /// that are about the whole room.
    pub(crate) fn up_to<R: Read>(
        &mut self,
        view: &RoomView<'_, R>,
        thread: &str,
    ) -> Result<Option<Stamp>, StorageError> {
        if let Some(known) = self.known.get(thread) {
            return Ok(*known);
        }
        let mut last = None;
        for kind in [ReceiptKind::Public, ReceiptKind::Private] {
            let key = (view.room.no, kind.name(), thread, self.user);
            let Some(row) = RECEIPT.get(&view.reader, key)? else { continue };
            let Some(no) = view.event_no(&row.value.event_id)? else { continue };
            last = last.max(view.around(no)?.map(|around| around.stamp));
        }
        self.known.insert(thread.to_owned(), last);
        Ok(last)
    }
}

/// Whether a receipt of the user changed after a commit of the room's slot.
pub(super) fn moved_since(
    reader: &impl Read,
    room: RoomNo,
    user: &UserId,
    commit: u64,
) -> Result<bool, StorageError> {
    use std::ops::ControlFlow::{Break, Continue};
    let since = Scan::prefix((room,)).after((room, Stamp::end_of(commit)));
    let mut moved = false;
    RECEIPT_BY_POSITION.each(reader, since, |_, receipt| {
        moved = receipt.user_id == user;
        if moved { Break(()) } else { Continue(()) }
    })?;
    Ok(moved)
}
