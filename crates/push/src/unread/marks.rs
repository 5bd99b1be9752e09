//! How far a user has read a room: in all of it, and thread by thread.

use std::{
    collections::{BTreeSet, HashMap},
    ops::ControlFlow,
};

use ruma::UserId;
use vestibule_rooms::{ReceiptKind, RoomView, TimelinePosition};
use vestibule_storage::{
    Read, Scan, Stamp, StorageError,
    tables::room::{RECEIPT, RECEIPT_BY_POSITION},
};
use vestibule_types::{RoomNo, limits::UNREAD_COUNTED_MAX};

use super::{
    LIVE,
    thread::{speaks, thread_of},
};

/// The read receipts of a user, looked up once each. Of a public and a private one the further counts.
pub(crate) struct Marks<'a> {
    user: &'a UserId,
    known: HashMap<String, Option<Stamp>>,
    /// Where the user last spoke, by thread, among what was looked at.
    spoken: HashMap<String, Stamp>,
    /// The place after which it was looked where the user spoke.
    looked_after: Option<Stamp>,
}

impl<'a> Marks<'a> {
    pub(crate) fn new(user: &'a UserId) -> Self {
        Self { user, known: HashMap::new(), spoken: HashMap::new(), looked_after: None }
    }

    /// Whether the user is done with what lies at a place in a thread: they read it, or spoke there
    /// since, as far as the newest [`UNREAD_COUNTED_MAX`] events tell.
    pub(crate) fn pass<R: Read>(
        &mut self,
        view: &RoomView<'_, R>,
        thread: &str,
        place: Stamp,
    ) -> Result<bool, StorageError> {
        if self.cover(view, thread, place)? {
            return Ok(true);
        }
        if self.looked_after.is_none_or(|looked| place < looked) {
            self.look_after(view, place)?;
        }
        Ok(self.spoken.get(thread).is_some_and(|spoken| *spoken > place))
    }

    /// Looks where the user spoke after a place, up to where it was looked before.
    fn look_after<R: Read>(
        &mut self,
        view: &RoomView<'_, R>,
        place: Stamp,
    ) -> Result<(), StorageError> {
        let live = |stamp| TimelinePosition { side: LIVE, stamp };
        let before = self.looked_after.map(live);
        for (at, no) in view.timeline_back(before, Some(live(place)), UNREAD_COUNTED_MAX)? {
            let Some(event) = view.event(no)? else { continue };
            if event.pdu.sender() == self.user && speaks(&event) {
                // The newest come first.
                self.spoken.entry(thread_of(view, &event)?).or_insert(at.stamp);
            }
        }
        self.looked_after = Some(place);
        Ok(())
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

/// The threads in which a receipt of the user changed after a commit of the room's slot; the empty one
/// is the whole room.
pub(super) fn moved_since(
    reader: &impl Read,
    room: RoomNo,
    user: &UserId,
    commit: u64,
) -> Result<BTreeSet<String>, StorageError> {
    let since = Scan::prefix((room,)).after((room, Stamp::end_of(commit)));
    let mut moved = BTreeSet::new();
    RECEIPT_BY_POSITION.each(reader, since, |_, receipt| {
        if receipt.user_id == user {
            moved.insert(receipt.thread);
        }
        ControlFlow::Continue(())
    })?;
    Ok(moved)
}
