//! People of other servers in the user directory. They have no account here: who they are is looked up
//! in the rooms, the smallest first, so that whoever is in a chat of two is found whatever else there is.

use std::collections::HashSet;

use ruma::OwnedUserId;
use serde::Deserialize;
use vestibule_storage::{
    Scan, StorageError,
    tables::room::{MEMBER_BY_ROOM, MEMBER_COUNT, ROOM_BY_SERVER, StoredMembership},
};
use vestibule_types::{
    RoomNo,
    limits::{
        OPEN_ROOMS_SEARCHED_MAX, OTHERS_NAMED_IN_ROOM_MAX, OTHERS_NAMED_MAX, OTHERS_SEARCHED_MAX,
        USERS_FOUND_MAX,
    },
};

use super::search_users::{FoundUser, Match, Search, rank};
use crate::{OpenRoom, RoomView};

/// What somebody calls themselves in a room.
#[derive(Debug, Default, Deserialize)]
struct Named {
    displayname: Option<String>,
    avatar_url: Option<String>,
}

/// What was found so far, and how much may still be looked at.
struct Others {
    seen: HashSet<OwnedUserId>,
    found: Vec<(Match, FoundUser)>,
    /// Members that may still be looked at.
    members_left: usize,
    /// Membership events that may still be read; without one, somebody is found by their identifier.
    names_left: usize,
    /// Whether somebody was passed over.
    cut: bool,
}

impl Others {
    fn is_full(&self) -> bool {
        self.members_left == 0 || self.found.len() >= USERS_FOUND_MAX
    }
}

impl Search<'_, '_> {
    /// Adds people of other servers in the rooms that count, as they call themselves there. Says
    /// whether there may be more.
    pub(super) fn add_others(
        &mut self,
        term: &str,
        found: &mut Vec<(Match, FoundUser)>,
    ) -> Result<bool, StorageError> {
        let mut others = Others {
            seen: HashSet::new(),
            found: Vec::new(),
            members_left: OTHERS_SEARCHED_MAX,
            names_left: OTHERS_NAMED_MAX,
            cut: false,
        };
        let shared: Vec<RoomNo> = self.shared.iter().copied().collect();
        let (open, cut) = self.open_rooms()?;
        others.cut |= cut;
        for rooms in [shared, open] {
            for no in self.smallest_first(rooms)? {
                if others.is_full() {
                    others.cut = true;
                    break;
                }
                self.others_in(no, term, &mut others)?;
            }
        }
        found.append(&mut others.found);
        Ok(others.cut)
    }

    /// The rooms with members of ours that are open to everybody, and whether there may be more.
    fn open_rooms(&mut self) -> Result<(Vec<RoomNo>, bool), StorageError> {
        if self.open.is_none() {
            return Ok((Vec::new(), false));
        }
        let own = &self.rooms.inner.server_name;
        let resident = ROOM_BY_SERVER.scan(self.reader, (own,), OPEN_ROOMS_SEARCHED_MAX)?;
        let cut = resident.len() == OPEN_ROOMS_SEARCHED_MAX;
        let mut open = Vec::new();
        for ((_, no), ()) in resident {
            if !self.shared.contains(&no) && self.is_open(no)? {
                open.push(no);
            }
        }
        Ok((open, cut))
    }

    fn smallest_first(&self, rooms: Vec<RoomNo>) -> Result<Vec<RoomNo>, StorageError> {
        let joined = StoredMembership::Join.key();
        let mut sized = Vec::with_capacity(rooms.len());
        for no in rooms {
            sized.push((MEMBER_COUNT.get(self.reader, (no, joined))?, no));
        }
        sized.sort_unstable();
        Ok(sized.into_iter().map(|(_, no)| no).collect())
    }

    fn others_in(&self, no: RoomNo, term: &str, others: &mut Others) -> Result<(), StorageError> {
        let Some(room) = OpenRoom::load_no(self.reader, no)? else { return Ok(()) };
        let view = RoomView::new(self.rooms, self.reader, &room);
        let joined = Scan::prefix((no, StoredMembership::Join.key())).limit(others.members_left);
        let members = MEMBER_BY_ROOM.scan_with(self.reader, joined)?;
        others.members_left -= members.len();
        let mut names_left = others.names_left.min(OTHERS_NAMED_IN_ROOM_MAX);
        for ((_, _, user_id), row) in members {
            let is_ours = user_id.server_name() == self.rooms.inner.server_name;
            if is_ours || others.seen.contains(&user_id) {
                continue;
            }
            if names_left == 0 && rank(term, &user_id, None).is_none() {
                others.cut = true;
                continue;
            }
            (names_left, others.names_left) =
                (names_left.saturating_sub(1), others.names_left.saturating_sub(1));
            others.seen.insert(user_id.clone());
            let named = match view.event(row.0)? {
                Some(event) => view.shown_content_as::<Named>(&event)?,
                None => None,
            };
            let Named { displayname, avatar_url } = named.unwrap_or_default();
            if let Some(rank) = rank(term, &user_id, displayname.as_deref()) {
                others.found.push((rank, FoundUser { user_id, displayname, avatar_url }));
            }
            if others.found.len() >= USERS_FOUND_MAX {
                return Ok(());
            }
        }
        Ok(())
    }
}
