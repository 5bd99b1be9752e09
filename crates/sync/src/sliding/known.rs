//! The rooms of a user as lists see them, kept in memory and brought up to date by what changed.
//!
//! It decides which rooms are worth looking at and in which order, never what anybody sees of one:
//! that is read from the store. So it does no harm when it is a little ahead of a snapshot.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use moka::sync::Cache;
use parking_lot::Mutex;
use ruma::{OwnedRoomId, OwnedUserId, RoomId};
use serde::Deserialize;
use serde_json::value::RawValue;
use vestibule_rooms::{OpenRoom, OutsideRoom, RoomView, StoredMembership};
use vestibule_storage::{
    Positions, Stamped, StorageError,
    tables::{
        room::{ROOM_POSITION, StoredMember},
        user_data::ACCOUNT_DATA,
    },
};
use vestibule_types::{RoomNo, limits::SLIDING_USERS_READY_MAX};

use crate::{SyncToken, pass::Pass};

const ENCRYPTION: &str = "m.room.encryption";
const CREATE: &str = "m.room.create";
const TAG: &str = "m.tag";

/// A room of the user.
#[derive(Clone, Debug)]
pub(crate) struct KnownRoom {
    pub(crate) membership: StoredMembership,
    /// Where something last happened.
    pub(crate) last: u64,
    /// Somebody else made the user go.
    pub(crate) removed: bool,
    /// What filters ask for, once one did.
    looks: Option<Looks>,
    tags: Option<BTreeSet<String>>,
}

/// What a room is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Looks {
    pub(crate) encrypted: bool,
    pub(crate) kind: Option<String>,
}

/// The rooms of one user.
#[derive(Debug, Default)]
pub(crate) struct KnownRooms {
    /// Up to where they were followed; `None` before they were read.
    at: Option<Positions>,
    rooms: HashMap<OwnedRoomId, KnownRoom>,
    /// Rooms this server is not in.
    outside: HashMap<OwnedRoomId, KnownRoom>,
}

/// The rooms of users in memory.
#[derive(Debug)]
pub(crate) struct Known(Cache<OwnedUserId, Arc<Mutex<KnownRooms>>>);

impl Default for Known {
    fn default() -> Self {
        Self(Cache::new(SLIDING_USERS_READY_MAX))
    }
}

impl Known {
    pub(crate) fn of(&self, user: &ruma::UserId) -> Arc<Mutex<KnownRooms>> {
        self.0.get_with(user.to_owned(), Arc::default)
    }
}

#[derive(Deserialize)]
struct Typed {
    #[serde(rename = "type")]
    kind: Option<String>,
}

#[derive(Deserialize)]
struct Tags {
    tags: serde_json::Map<String, serde_json::Value>,
}

#[derive(Deserialize)]
struct Stripped<'a> {
    r#type: String,
    #[serde(borrow)]
    content: &'a RawValue,
}

impl KnownRooms {
    /// Brings the rooms up to the moment of a pass.
    pub(crate) fn refresh(
        &mut self,
        pass: &Pass<'_>,
        outside: &[&OutsideRoom],
    ) -> Result<(), StorageError> {
        let members = match &self.at {
            Some(at) if at == &pass.now => Vec::new(),
            Some(at) => {
                let since = SyncToken { positions: at.clone(), ..SyncToken::default() };
                self.forget_tags(pass, &since)?;
                let rooms: Vec<RoomNo> = pass.changed_rooms(&since)?.into_iter().collect();
                pass.memberships(&rooms)?
            }
            None => pass.all_memberships()?,
        };
        let places = members.iter().map(|(room, _)| (*room,));
        let positions = ROOM_POSITION.multi_get(pass.snapshot, places)?;
        for ((no, member), position) in members.into_iter().zip(positions) {
            let Some(room) = OpenRoom::load_no(pass.snapshot, no)? else { continue };
            let last = position.map_or(0, |it| it.stamp.commit);
            self.put(pass, &room, (&member, last))?;
        }
        self.outside =
            outside.iter().map(|room| (room.room_id.clone(), known_outside(room))).collect();
        self.at = Some(pass.now.clone());
        Ok(())
    }

    /// The rooms with their places in the order of lists: the newest activity first.
    pub(crate) fn in_order(&self) -> Vec<(OwnedRoomId, StoredMembership)> {
        let here = self.rooms.iter().filter(|(id, _)| !self.outside.contains_key(*id));
        let mut rooms: Vec<(u64, &OwnedRoomId, &KnownRoom)> =
            here.chain(&self.outside).map(|(id, room)| (room.last, id, room)).collect();
        rooms.sort_unstable_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(b.1)));
        rooms.into_iter().map(|(_, id, room)| (id.clone(), room.membership)).collect()
    }

    /// A room.
    pub(crate) fn room(&self, id: &RoomId) -> Option<&KnownRoom> {
        self.outside.get(id).or_else(|| self.rooms.get(id))
    }

    /// What a room is.
    pub(crate) fn looks(&mut self, pass: &Pass<'_>, id: &RoomId) -> Result<Looks, StorageError> {
        if let Some(looks) = self.room(id).and_then(|room| room.looks.clone()) {
            return Ok(looks);
        }
        let Some(room) = OpenRoom::load(pass.snapshot, id)? else { return Ok(Looks::default()) };
        let view = RoomView::new(&pass.inner.rooms, pass.snapshot, &room);
        let create = view.state_event(CREATE, "")?;
        let looks = Looks {
            encrypted: view.state_event(ENCRYPTION, "")?.is_some(),
            kind: create.and_then(|it| it.pdu.content_as::<Typed>().ok()?.kind),
        };
        if let Some(known) = self.rooms.get_mut(id) {
            known.looks = Some(looks.clone());
        }
        Ok(looks)
    }

    /// The user's tags of a room.
    pub(crate) fn tags(
        &mut self,
        pass: &Pass<'_>,
        id: &RoomId,
    ) -> Result<BTreeSet<String>, StorageError> {
        if let Some(tags) = self.room(id).and_then(|room| room.tags.clone()) {
            return Ok(tags);
        }
        let row = ACCOUNT_DATA.get(pass.snapshot, (pass.user(), id.as_str(), TAG))?;
        let content = row.and_then(|row| serde_json::from_str::<Tags>(&row.value).ok());
        let tags: BTreeSet<String> = content
            .map(|content| content.tags.into_iter().map(|(tag, _)| tag).collect())
            .unwrap_or_default();
        if let Some(known) = self.rooms.get_mut(id) {
            known.tags = Some(tags.clone());
        }
        Ok(tags)
    }

    fn put(
        &mut self,
        pass: &Pass<'_>,
        room: &OpenRoom,
        (member, last): (&Stamped<StoredMember>, u64),
    ) -> Result<(), StorageError> {
        use StoredMembership::{Ban, Join, Leave};
        let own = &member.value;
        let gone = matches!(own.membership, Leave | Ban);
        // A room that was forgotten is only there until a client that has it was told that it is over.
        let removed = gone && !own.forgotten && {
            let view = RoomView::new(&pass.inner.rooms, pass.snapshot, room);
            match view.departure(pass.user(), member)? {
                Some(left) => {
                    let left = view.event(left.value.0)?;
                    left.is_some_and(|event| event.pdu.sender() != pass.user())
                }
                None => false,
            }
        };
        let since = member.stamp.commit;
        let last = if own.membership == Join { last.max(since) } else { since };
        let tags = self.rooms.get(&room.room_id).and_then(|known| known.tags.clone());
        let known = KnownRoom { membership: own.membership, last, removed, looks: None, tags };
        self.rooms.insert(room.room_id.clone(), known);
        Ok(())
    }

    fn forget_tags(&mut self, pass: &Pass<'_>, since: &SyncToken) -> Result<(), StorageError> {
        let changes = pass.changes_since(Some(since))?;
        let rooms: HashSet<&RoomId> = changes.rooms().collect();
        for room in rooms {
            if let Some(known) = self.rooms.get_mut(room) {
                known.tags = None;
            }
        }
        Ok(())
    }
}

fn known_outside(room: &OutsideRoom) -> KnownRoom {
    let mut looks = Looks::default();
    for event in &room.stripped {
        let Ok(event) = serde_json::from_str::<Stripped<'_>>(event.get()) else { continue };
        match event.r#type.as_str() {
            ENCRYPTION => looks.encrypted = true,
            CREATE => {
                let content = serde_json::from_str::<Typed>(event.content.get());
                looks.kind = content.ok().and_then(|content| content.kind);
            }
            _ => {}
        }
    }
    KnownRoom {
        membership: room.membership,
        last: room.since.commit,
        removed: false,
        looks: Some(looks),
        tags: None,
    }
}
