//! What the user has not read: counted on the snapshot of the pass, so that an event and its count
//! come together.

use std::{collections::BTreeMap, sync::Arc};

use vestibule_push::{Asked, Tally};
use vestibule_storage::{Stamped, StorageError, tables::room::StoredMember};

use super::Sight;
use crate::UnreadCounts;

impl Sight<'_> {
    /// What the user has not read in this room.
    pub(crate) fn unread(
        &mut self,
        member: &Stamped<StoredMember>,
    ) -> Result<Arc<Tally>, StorageError> {
        let pass = self.pass;
        let at = pass.now_of(self.view.room);
        let asked = Asked { user: pass.user(), member, at, looks: &pass.looks };
        pass.inner.unread.in_room(&self.view, &mut self.viewer, asked)
    }
}

/// The counts as the client wants them: of everything, or of the main timeline and of each thread.
pub(crate) fn sections(
    tally: &Tally,
    by_thread: bool,
) -> (UnreadCounts, BTreeMap<String, UnreadCounts>) {
    if by_thread { tally.by_thread() } else { (tally.total(), BTreeMap::new()) }
}
