//! One pass over a connection: what is new in its windows, on one snapshot.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use ruma::{MilliSecondsSinceUnixEpoch, OwnedRoomId, RoomId};
use vestibule_rooms::{OpenRoom, OutsideRoom, StoredMembership};
use vestibule_storage::{
    Snapshot, Stamp, Stamped, StorageError,
    tables::room::{ROOM_NO_BY_ID, StoredMember},
};
use vestibule_types::{Actor, RoomNo, limits::SLIDING_ROOMS_MAX};

use super::{
    connection::{Connection, Name, SentRoom},
    lists::{self, Match, Windows},
    pos::Pos,
    request::SlidingRequest,
    response::{Room, SlidingResponse},
    room::Begin,
    wants::RoomWants,
};
use crate::{
    SyncToken,
    members::ShownTo,
    pass::{Pass, Query, account_data::OwnChanges},
    service::Inner,
    token::letters_at_most,
};

/// What is asked of a pass.
#[derive(Clone)]
pub(crate) struct Ask {
    pub(crate) actor: Actor,
    pub(crate) request: Arc<SlidingRequest>,
    pub(crate) name: Name,
    pub(crate) pos: Option<Pos>,
    /// Up to where the device has told that it has its messages.
    pub(crate) has: Option<Stamp>,
    pub(crate) now: MilliSecondsSinceUnixEpoch,
}

/// What a pass found.
pub(crate) struct Found {
    pub(crate) response: SlidingResponse,
    /// Up to where that is all.
    pub(crate) token: SyncToken,
    pub(crate) before: Connection,
    /// What the client has of rooms, where the answer changes that.
    pub(crate) rooms: HashMap<OwnedRoomId, SentRoom>,
    /// Up to where messages to the device are still stored that it has told it has.
    pub(crate) forget: Option<Stamp>,
}

/// A pass under way.
pub(crate) struct Slide<'a> {
    pub(crate) pass: &'a Pass<'a>,
    pub(crate) ask: &'a Ask,
    pub(crate) connection: &'a Connection,
    /// Rooms in which something changed since the position.
    pub(crate) changed: HashMap<OwnedRoomId, (OpenRoom, Stamped<StoredMember>)>,
    pub(crate) own: OwnChanges,
    pub(crate) outside: HashMap<OwnedRoomId, OutsideRoom>,
    pub(crate) direct: HashSet<OwnedRoomId>,
    /// Which members were shown over this connection.
    pub(crate) shown: ShownTo,
}

/// Everything new on a connection. `None` when it is not known at this position.
pub(crate) fn run(
    inner: &Inner,
    snapshot: &Snapshot<'_>,
    ask: &Ask,
) -> Result<Option<Found>, StorageError> {
    let (step, now_ms) = (ask.pos.as_ref().map(|pos| pos.step), u64::from(ask.now.get()));
    let Some(connection) = inner.sliding.connections.at(snapshot, &ask.name, (step, now_ms))?
    else {
        return Ok(None);
    };
    let query = Query {
        actor: ask.actor.clone(),
        filter: Arc::default(),
        since: ask.pos.as_ref().map(|pos| pos.token.clone()),
        full_state: false,
        use_state_after: true,
        now: ask.now,
    };
    let (pass, typing) = Pass::new(inner, snapshot, &query)?;
    pass.know_rooms()?;
    let slide = Slide::new(&pass, ask, &connection)?;
    let windows = slide.windows(inner)?;
    let mut response =
        SlidingResponse { txn_id: ask.request.txn_id.clone(), ..SlidingResponse::default() };
    let rooms = slide.rooms(&windows, &mut response)?;
    slide.extend(&windows, &mut response)?;
    response.lists = windows.lists;
    let forget = match slide.has() {
        Some(has) if pass.keeps_letters(has)? => Some(has),
        _ => None,
    };
    let token = SyncToken { positions: pass.now.clone(), typing, ..SyncToken::default() };
    Ok(Some(Found { response, token, before: connection.clone(), rooms, forget }))
}

impl<'a> Slide<'a> {
    fn new(
        pass: &'a Pass<'a>,
        ask: &'a Ask,
        connection: &'a Connection,
    ) -> Result<Self, StorageError> {
        let own = pass.own_changes()?;
        let mut changed = HashMap::new();
        if let Some(since) = &pass.since {
            let mut rooms = pass.changed_rooms(since)?;
            for room in own.rooms() {
                rooms.extend(ROOM_NO_BY_ID.get(pass.snapshot, (room,))?.map(|row| row.0));
            }
            let rooms: Vec<RoomNo> = rooms.into_iter().collect();
            for (no, member) in pass.memberships(&rooms)? {
                if let Some(room) = OpenRoom::load_no(pass.snapshot, no)? {
                    changed.insert(room.room_id.clone(), (room, member));
                }
            }
        }
        let outside = OutsideRoom::all_of_with_forgotten(pass.snapshot, pass.user())?;
        let outside = outside.into_iter().map(|room| (room.room_id.clone(), room)).collect();
        let direct = lists::direct_rooms(pass)?;
        let (user, device, name) = &ask.name;
        let device = ruma::OwnedDeviceId::from(format!("{device}/{name}"));
        let shown = pass.inner.shown.of(user, &device);
        if ask.pos.is_none() {
            shown.begin_all();
        }
        Ok(Self { pass, ask, connection, changed, own, outside, direct, shown })
    }

    /// Up to where the device has its messages, which is no further than the store is: one that
    /// lost its last commits gives their numbers out again.
    pub(crate) fn has(&self) -> Option<Stamp> {
        let own = self.pass.inner.rooms.store().slot_of_user(self.pass.user());
        self.ask.has.map(|has| letters_at_most(has, &self.pass.now, own))
    }

    fn windows(&self, inner: &Inner) -> Result<Windows, StorageError> {
        let known = inner.sliding.known.of(self.pass.user());
        let mut known = known.lock();
        let outside: Vec<&OutsideRoom> = self.outside.values().collect();
        known.refresh(self.pass, &outside)?;
        let beside = (&mut *known, self.connection, &self.direct);
        lists::windows(self.pass, &self.ask.request, beside)
    }

    /// Puts the rooms with something new into the answer, and says what the client then has of rooms
    /// where that changes.
    fn rooms(
        &self,
        windows: &Windows,
        response: &mut SlidingResponse,
    ) -> Result<HashMap<OwnedRoomId, SentRoom>, StorageError> {
        let mut told = HashMap::new();
        let mut looked_at: HashSet<&RoomId> = HashSet::new();
        for (id, found) in &windows.rooms {
            if response.rooms.len() >= SLIDING_ROOMS_MAX {
                break;
            }
            looked_at.insert(id);
            let sent = self.connection.room(id);
            if sent.is_some_and(|sent| !self.calls_for(id, sent, &found.wants)) {
                continue;
            }
            let now = match self.room(id, found)? {
                Some((mut room, now)) => {
                    room.lists.clone_from(&found.lists);
                    response.rooms.insert(id.clone(), room);
                    Some(now)
                }
                // There is nothing more, so the client has what is wanted.
                None => sent.map(|sent| {
                    let state = if sent.stripped { &sent.state } else { &found.wants.state };
                    SentRoom { until: None, state: Arc::clone(state), ..sent.clone() }
                }),
            };
            if let Some(now) = now.filter(|now| Some(now) != sent) {
                told.insert(id.clone(), now);
            }
        }
        // What changed out of sight is told when it comes into sight again.
        for id in self.changed.keys().chain(self.outside.keys()) {
            let Some(sent) = self.connection.room(id) else { continue };
            if sent.until.is_none() && !looked_at.contains(&**id) && self.is_changed(id) {
                told.insert(id.clone(), SentRoom { until: self.here(id), ..sent.clone() });
            }
        }
        Ok(told)
    }

    /// Whether there may be something to tell of a room that the client has.
    fn calls_for(&self, id: &RoomId, sent: &SentRoom, wants: &RoomWants) -> bool {
        let longer = usize::try_from(sent.timeline).is_ok_and(|timeline| timeline < wants.timeline);
        let more = sent.state.id != wants.state.id && !wants.state.is_within(&sent.state);
        sent.until.is_some()
            || self.is_changed(id)
            || (!sent.stripped && (longer || more))
            || sent.is_dm != self.direct.contains(id)
    }

    fn is_changed(&self, id: &RoomId) -> bool {
        let store = self.pass.inner.rooms.store();
        let moved = |room: &OutsideRoom| {
            let since = self.pass.since.as_ref();
            since.is_none_or(|it| room.since.commit > it.positions.get(store.slot_of_room(id)))
        };
        self.changed.contains_key(id) || self.outside.get(id).is_some_and(moved)
    }

    /// The client's position in the slots of a room and of the user.
    fn here(&self, id: &RoomId) -> Option<(u64, u64)> {
        let store = self.pass.inner.rooms.store();
        let (room, user) = (store.slot_of_room(id), store.slot_of_user(self.pass.user()));
        let since = self.pass.since.as_ref()?;
        Some((since.positions.get(room), since.positions.get(user)))
    }

    fn room(&self, id: &RoomId, found: &Match) -> Result<Option<(Room, SentRoom)>, StorageError> {
        let sent = self.connection.room(id);
        let since = sent.and_then(|sent| sent.until.or_else(|| self.here(id)));
        let begin = Begin {
            sent,
            since: since.map(|(room, _)| room),
            wants: &found.wants,
            is_dm: self.direct.contains(id),
        };
        if let Some(outside) = self.outside.get(id) {
            return self.outside(outside, begin);
        }
        let Some((room, member)) = self.open(id)? else { return Ok(None) };
        match member.value.membership {
            StoredMembership::Join => self.joined(&room, &member, begin),
            StoredMembership::Invite | StoredMembership::Knock => {
                self.stripped(&room, &member, begin)
            }
            StoredMembership::Leave | StoredMembership::Ban
                if sent.is_some() || !found.lists.is_empty() =>
            {
                self.left(&room, &member, begin)
            }
            StoredMembership::Leave | StoredMembership::Ban => Ok(None),
        }
    }

    /// A room of this server, with what the user is to it.
    pub(crate) fn open(
        &self,
        id: &RoomId,
    ) -> Result<Option<(OpenRoom, Stamped<StoredMember>)>, StorageError> {
        if let Some(changed) = self.changed.get(id) {
            return Ok(Some(changed.clone()));
        }
        let Some(room) = OpenRoom::load(self.pass.snapshot, id)? else { return Ok(None) };
        let member = self.pass.memberships(&[room.no])?.pop();
        Ok(member.map(|(_, member)| (room, member)))
    }
}
