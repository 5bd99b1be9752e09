//! What the user keeps here.

use std::collections::BTreeMap;

use ruma::{OwnedRoomId, RoomId};
use vestibule_accounts::push_rules_content;
use vestibule_storage::{
    Scan, Stamp, StorageError,
    tables::user_data::{ACCOUNT_DATA, StoredUserChange, USER_CHANGE},
};

use super::{Pass, bare_event};
use crate::{SyncToken, response::RawEvent};

pub(super) const PUSH_RULES: &str = "m.push_rules";

/// The items of account data to show: types by room, with no room for what belongs to none.
#[derive(Debug, Default)]
pub(crate) struct OwnChanges(BTreeMap<Option<OwnedRoomId>, Vec<String>>);

impl OwnChanges {
    /// The rooms with something to show.
    pub(crate) fn rooms(&self) -> impl Iterator<Item = &RoomId> {
        self.0.keys().filter_map(Option::as_deref)
    }
}

impl Pass<'_> {
    /// What changed since the token, or everything without one.
    pub(crate) fn own_changes(&self) -> Result<OwnChanges, StorageError> {
        self.changes_since(self.since.as_ref())
    }

    /// What changed since some token, or everything.
    pub(crate) fn changes_since(
        &self,
        since: Option<&SyncToken>,
    ) -> Result<OwnChanges, StorageError> {
        let mut changes = OwnChanges::default();
        let user = self.user();
        let scan = Scan::prefix((user,));
        let scan = match since {
            Some(since) => {
                let slot = self.inner.rooms.store().slot_of_user(user);
                scan.after((user, Stamp::end_of(since.positions.get(slot))))
            }
            None => scan,
        };
        for (_, change) in USER_CHANGE.scan_with(self.snapshot, scan)? {
            let StoredUserChange::AccountData { room_id, event_type } = change;
            changes.0.entry(room_id).or_default().push(event_type);
        }
        Ok(changes)
    }

    /// The user's own data that belongs to no room.
    pub(crate) fn global_account_data(
        &self,
        own: &OwnChanges,
    ) -> Result<Vec<RawEvent>, StorageError> {
        let filter = &self.query.filter.account_data;
        let kinds = own.0.get(&None).map(Vec::as_slice).unwrap_or_default();
        let plain = kinds.iter().filter(|kind| *kind != PUSH_RULES && filter.admits_type(kind));
        let mut events = self.items("", plain)?;
        // Push rules hold also where nobody changed them, and are those of this version of the server.
        let changed = self.since.is_none() || kinds.iter().any(|kind| kind == PUSH_RULES);
        if changed && filter.admits_type(PUSH_RULES) {
            let rules = push_rules_content(self.snapshot, self.user())?;
            events.extend(bare_event(PUSH_RULES, &rules));
        }
        Ok(events)
    }

    /// The user's own data of a room. A client that begins with the room is shown all of it.
    pub(crate) fn room_account_data(
        &self,
        room: &RoomId,
        own: &OwnChanges,
        from_the_beginning: bool,
    ) -> Result<Vec<RawEvent>, StorageError> {
        let filter = &self.query.filter.room_account_data;
        if !filter.admits_room(room) {
            return Ok(Vec::new());
        }
        if from_the_beginning && self.since.is_some() {
            let rows = ACCOUNT_DATA
                .scan_with(self.snapshot, Scan::prefix((self.user(), room.as_str())))?;
            let wanted = rows.into_iter().filter(|((_, _, kind), _)| filter.admits_type(kind));
            return Ok(wanted
                .filter_map(|((_, _, kind), row)| bare_event(&kind, &row.value))
                .collect());
        }
        let kinds = own.0.get(&Some(room.to_owned())).map(Vec::as_slice).unwrap_or_default();
        self.items(room.as_str(), kinds.iter().filter(|kind| filter.admits_type(kind)))
    }

    fn items<'k>(
        &self,
        room: &str,
        kinds: impl Iterator<Item = &'k String>,
    ) -> Result<Vec<RawEvent>, StorageError> {
        let kinds: Vec<&str> = kinds.map(String::as_str).collect();
        let keys = kinds.iter().map(|kind| (self.user(), room, *kind));
        let rows = ACCOUNT_DATA.multi_get(self.snapshot, keys)?;
        let items = kinds.into_iter().zip(rows);
        Ok(items.filter_map(|(kind, row)| bare_event(kind, &row?.value)).collect())
    }
}
