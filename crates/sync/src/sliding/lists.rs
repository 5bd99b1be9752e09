//! Which rooms the lists and subscriptions of a request are about.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use ruma::{OwnedRoomId, RoomId};
use serde::Deserialize;
use serde_json::Value;
use vestibule_rooms::{OpenRoom, RoomView, StoredMembership};
use vestibule_storage::{StorageError, tables::user_data::ACCOUNT_DATA};
use vestibule_types::limits::SPACE_CHILDREN_MAX;

use super::{
    connection::Connection,
    known::KnownRooms,
    request::{Details, Filters, SlidingRequest},
    response::ListResult,
    wants::RoomWants,
};
use crate::pass::Pass;

const DIRECT: &str = "m.direct";
const CHILD: &str = "m.space.child";

/// A room a request is about.
#[derive(Clone, Debug, Default)]
pub(crate) struct Match {
    /// The lists in whose window it is.
    pub(crate) lists: Vec<String>,
    /// Whether it is subscribed to.
    pub(crate) subscribed: bool,
    pub(crate) wants: RoomWants,
}

/// What a request is about.
#[derive(Debug, Default)]
pub(crate) struct Windows {
    /// How long the lists are.
    pub(crate) lists: BTreeMap<String, ListResult>,
    /// The rooms, in the order they are to be sent.
    pub(crate) rooms: Vec<(OwnedRoomId, Match)>,
}

#[derive(Deserialize)]
struct ChildContent {
    via: Vec<Value>,
}

/// The direct chats of the user.
pub(crate) fn direct_rooms(pass: &Pass<'_>) -> Result<HashSet<OwnedRoomId>, StorageError> {
    let row = ACCOUNT_DATA.get(pass.snapshot, (pass.user(), "", DIRECT))?;
    // What is no list of rooms is passed over.
    let by_user =
        row.and_then(|row| serde_json::from_str::<BTreeMap<String, Value>>(&row.value).ok());
    let rooms = by_user.into_iter().flatten().filter_map(|(_, rooms)| match rooms {
        Value::Array(rooms) => Some(rooms),
        _ => None,
    });
    let parsed = rooms.flatten().filter_map(|room| RoomId::parse(room.as_str()?).ok());
    Ok(parsed.collect())
}

/// Asks filters about rooms.
struct Sieve<'a> {
    pass: &'a Pass<'a>,
    known: &'a mut KnownRooms,
    direct: &'a HashSet<OwnedRoomId>,
    children: HashMap<String, HashSet<String>>,
}

/// The rooms a request is about.
pub(crate) fn windows(
    pass: &Pass<'_>,
    request: &SlidingRequest,
    (known, connection, direct): (&mut KnownRooms, &Connection, &HashSet<OwnedRoomId>),
) -> Result<Windows, StorageError> {
    let mut rooms = known.in_order();
    rooms.retain(|(id, membership)| is_listed(pass, known, connection, (id, *membership)));
    let mut sieve = Sieve { pass, known, direct, children: HashMap::new() };
    let mut windows = Windows::default();
    let mut matches: HashMap<OwnedRoomId, Match> = HashMap::new();
    let mut order: Vec<OwnedRoomId> = Vec::new();
    for id in request.room_subscriptions.keys() {
        if sieve.known.room(id).is_some() {
            matches.insert(id.clone(), Match { subscribed: true, ..Match::default() });
            order.push(id.clone());
        }
    }
    for (name, list) in &request.lists {
        let mut count = 0_u64;
        for (id, membership) in &rooms {
            let filters = list.filters.as_ref();
            if let Some(filters) = filters
                && !sieve.admits(filters, (id, *membership))?
            {
                continue;
            }
            let here = |(from, to): (u64, u64)| (from..=to).contains(&count);
            if list.places().is_none_or(|mut places| places.any(here)) {
                let found = matches.entry(id.clone()).or_insert_with(|| {
                    order.push(id.clone());
                    Match::default()
                });
                found.lists.push(name.clone());
            }
            count += 1;
        }
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        windows.lists.insert(name.clone(), ListResult { count });
    }
    put_wants(request, &mut matches);
    windows.rooms =
        order.into_iter().filter_map(|id| matches.remove(&id).map(|found| (id, found))).collect();
    Ok(windows)
}

/// Whether a room is in lists at all. One that the user left on their own is only there until a
/// client that has it was told.
fn is_listed(
    pass: &Pass<'_>,
    known: &KnownRooms,
    connection: &Connection,
    (id, membership): (&RoomId, StoredMembership),
) -> bool {
    match membership {
        StoredMembership::Join | StoredMembership::Invite | StoredMembership::Knock => true,
        StoredMembership::Leave | StoredMembership::Ban => known
            .room(id)
            .is_some_and(|room| room.removed || is_to_be_told(pass, connection, (id, room.last))),
    }
}

/// Whether a client that has a room was not told yet of a moment in it.
fn is_to_be_told(pass: &Pass<'_>, connection: &Connection, (id, moment): (&RoomId, u64)) -> bool {
    let Some(sent) = connection.room(id) else { return false };
    let until = sent.until.map(|(room, _)| room);
    let slot = pass.inner.rooms.store().slot_of_room(id);
    let until = until.or_else(|| pass.since.as_ref().map(|since| since.positions.get(slot)));
    until.is_none_or(|until| until < moment)
}

/// Puts together what is wanted of each room, once for all rooms of the same lists.
fn put_wants(request: &SlidingRequest, matches: &mut HashMap<OwnedRoomId, Match>) {
    let mut ready: HashMap<Vec<String>, RoomWants> = HashMap::new();
    for (id, found) in matches {
        let of_lists = |found: &Match| {
            let details = found.lists.iter().filter_map(|name| request.lists.get(name));
            details.map(|list| &list.details).collect::<Vec<&Details>>()
        };
        found.wants = match request.room_subscriptions.get(id) {
            Some(subscription) => {
                RoomWants::together(of_lists(found).into_iter().chain([subscription]))
            }
            None => ready
                .entry(found.lists.clone())
                .or_insert_with(|| RoomWants::together(of_lists(found).into_iter()))
                .clone(),
        };
    }
}

impl Sieve<'_> {
    fn admits(
        &mut self,
        filters: &Filters,
        (id, membership): (&RoomId, StoredMembership),
    ) -> Result<bool, StorageError> {
        let is = |wanted: Option<bool>, it: bool| wanted.is_none_or(|wanted| wanted == it);
        if !is(filters.is_invite, membership == StoredMembership::Invite)
            || !is(filters.is_dm, self.direct.contains(id))
        {
            return Ok(false);
        }
        let by_kind = filters.room_types.is_some() || filters.not_room_types.is_some();
        if filters.is_encrypted.is_some() || by_kind {
            let looks = self.known.looks(self.pass, id)?;
            let has = |kinds: &Option<BTreeSet<Option<String>>>| {
                kinds.as_ref().map(|kinds| kinds.contains(&looks.kind))
            };
            if !is(filters.is_encrypted, looks.encrypted)
                || has(&filters.room_types) == Some(false)
                || has(&filters.not_room_types) == Some(true)
            {
                return Ok(false);
            }
        }
        if filters.tags.is_some() || filters.not_tags.is_some() {
            let tags = self.known.tags(self.pass, id)?;
            let has = |wanted: &Option<BTreeSet<String>>| {
                wanted.as_ref().map(|wanted| !wanted.is_disjoint(&tags))
            };
            if has(&filters.tags) == Some(false) || has(&filters.not_tags) == Some(true) {
                return Ok(false);
            }
        }
        match &filters.spaces {
            Some(spaces) => self.is_in(spaces, id),
            None => Ok(true),
        }
    }

    /// Whether a room is a child of one of these spaces, of those the user is in.
    fn is_in(&mut self, spaces: &BTreeSet<String>, id: &RoomId) -> Result<bool, StorageError> {
        for space in spaces {
            if !self.children.contains_key(space) {
                let children = self.children_of(space)?;
                self.children.insert(space.clone(), children);
            }
            if self.children.get(space).is_some_and(|children| children.contains(id.as_str())) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn children_of(&self, space: &str) -> Result<HashSet<String>, StorageError> {
        let mut children = HashSet::new();
        let Ok(space) = <&RoomId>::try_from(space) else { return Ok(children) };
        let is_in = |it: &super::known::KnownRoom| it.membership == StoredMembership::Join;
        if !self.known.room(space).is_some_and(is_in) {
            return Ok(children);
        }
        let Some(room) = OpenRoom::load(self.pass.snapshot, space)? else { return Ok(children) };
        let view = RoomView::new(&self.pass.inner.rooms, self.pass.snapshot, &room);
        let edges = view.full_state(room.head.state, Some(CHILD))?;
        for ((_, child), no) in edges.into_iter().take(SPACE_CHILDREN_MAX) {
            let Some(event) = view.event(no)? else { continue };
            let content = view.shown_content_as::<ChildContent>(&event)?;
            if content.is_some_and(|it| !it.via.is_empty()) {
                children.insert(child);
            }
        }
        Ok(children)
    }
}
