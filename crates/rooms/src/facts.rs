//! What the policy needs to know of a room, read from where the decision is made.
//!
//! Inside a transaction every row read here is asserted; scans are covered by the scope guard of
//! the room they are about, which whoever changes aliases, space edges or members bumps.

use std::sync::Arc;

use ruma::{OwnedRoomId, RoomId, UserId};
use serde::Deserialize;
use vestibule_policy::{
    AliasFact, AliasOrigin, ChildEdge, Children, Counts, Facts, GrantFact, Pins, Policy, Request,
    Residency, RoomFacts, Scope, Setter, SpaceChildren, SpaceFact, Subject,
};
use vestibule_state_res::Power;
use vestibule_storage::{
    Read, Scan, StorageError,
    tables::{
        account::ACCOUNT_BY_ID,
        directory::{
            ALIAS_BY_NAME, ALIAS_BY_ROOM, LIST_PIN, NEVER_ROOM, SCOPE_GUARD, SPACE_APPROVAL,
            SPACE_EDGE_FIRST, SPACE_SEEN, StoredAlias, StoredAliasOrigin,
        },
        room::{JOINS_GUARD, LOCAL_MEMBER_BY_ROOM, ROOM_BY_MEMBER, StoredMembership},
    },
};
use vestibule_types::limits::{
    ALIASES_PER_ROOM_MAX, GUESTS_PER_ROOM_MAX, JOINED_ROOMS_MAX, SPACE_CHILDREN_MAX,
    SPACE_EDGES_READ_MAX,
};

use crate::{
    OpenRoom, RoomView,
    append::power_levels,
    ask::{Ask, Deed},
    directory::grant_of,
};

/// Gathers the facts of one question. A class that is trusted everywhere is asked only what holds
/// for everybody; the rest costs reads that only scoped classes pay.
pub(crate) fn gather<R: Read, V: Read>(
    policy: &Policy,
    reader: &R,
    view: Option<&RoomView<'_, V>>,
    (ask, deed, request): (&Ask, &Deed, &Request<'_>),
) -> Result<Facts, StorageError> {
    let mut facts = Facts { rate: ask.rate, ..Facts::default() };
    if let Some(alias) = deed.alias() {
        facts.alias = ALIAS_BY_NAME.get(reader, (alias,))?.map(|row| alias_fact(alias, row));
    }
    let Some(view) = view else { return Ok(facts) };

    let mut room = RoomFacts::new(&view.room.room_id);
    room.blocked = view.room.blocked;
    if matches!(deed, Deed::Peek(_)) {
        room.world_readable = Some(world_readable(view)?);
        room.residency = residency(reader, view.room)?;
    }
    if matches!(deed, Deed::DeleteAlias(..)) {
        facts.has_alias_power = Some(has_alias_power(view, &ask.user_id));
    }
    let scoped = policy.scoped_subjects(request);
    if !scoped.is_empty() {
        gather_room(policy, reader, view, (ask, &mut room))?;
        facts.counts = counts(policy, reader, view, request.subject)?;
        let mut pins = Pins::default();
        for subject in scoped {
            gather_scope(policy, reader, view, (subject, ask, &mut room, &mut pins))?;
        }
        facts.pins = Some(Arc::new(pins));
    }
    facts.room = Some(room);
    Ok(facts)
}

/// What decides about scope, whoever is asked about.
fn gather_room<R: Read, V: Read>(
    policy: &Policy,
    reader: &R,
    view: &RoomView<'_, V>,
    (ask, room): (&Ask, &mut RoomFacts),
) -> Result<(), StorageError> {
    // Read for its assertion: whoever changes what follows writes it.
    let room_id = &view.room.room_id;
    SCOPE_GUARD.get(reader, (room_id,))?;

    room.residency = residency(reader, view.room)?;
    if room.residency == Residency::Resident || ask.afar.arriving {
        room.guest_can_join = Some(guest_can_join(view)?);
        room.world_readable = Some(world_readable(view)?);
    } else {
        room.guest_can_join = ask.afar.guest_can_join;
        room.is_direct = ask.afar.is_direct;
    }
    room.aliases = aliases_of(reader, room_id)?;
    let hosted = has_host(policy, reader, view.room)?;
    room.has_host = Some(hosted);
    room.was_hosted = Some(hosted || had_host(policy, reader, view.room)?);
    let create = view.state_event("m.room.create", "")?;
    room.made_here =
        create.map(|event| event.pdu.sender().server_name() == view.rooms.inner.server_name);
    Ok(())
}

/// What holds for one subject whose class is scoped: where its lists and spaces lead.
fn gather_scope<R: Read, V: Read>(
    policy: &Policy,
    reader: &R,
    view: &RoomView<'_, V>,
    (subject, ask, room, found): (&Subject, &Ask, &mut RoomFacts, &mut Pins),
) -> Result<(), StorageError> {
    // A frozen member's mark only says when they have to go. Whether they may act is asked of the
    // door itself, so that one that opens again thaws them at once.
    room.is_direct |= is_direct(view, &subject.user_id)?;
    let Some(class) = policy.effective_class(subject, ask.now) else { return Ok(()) };
    let Some(scope) = class.scope() else { return Ok(()) };
    if subject.user_id == ask.user_id {
        room.grant = grant_of(reader, &ask.user_id, &room.room_id)?.map(|grant| GrantFact {
            room_id: room.room_id.clone(),
            expires_at: vestibule_accounts::facts::timestamp(grant.expires_at).unwrap_or(ask.now),
        });
    }
    pins(reader, scope, found)?;
    for rule in scope.spaces() {
        if room.spaces.iter().any(|known| known.space == rule.id) {
            continue;
        }
        let mut source = StoredSpaces { rooms: view.rooms, reader };
        let walk = policy.walk_space(rule, &mut source)?;
        let room_id = &view.room.room_id;
        // Asked only of a space that nobody of ours is in: everywhere else the walk itself says.
        let seen = match walk.unknown() {
            [] => None,
            _ => SPACE_SEEN.get(reader, (class.name(), &rule.id, room_id))?,
        };
        let ago = seen.map(|seen| u64::from(ask.now.get()).saturating_sub(seen));
        let finding = walk.finding(room_id, ago);
        room.spaces.push(SpaceFact { space: rule.id.clone(), finding });
    }
    Ok(())
}

/// Whether somebody may change the room's main alias, and so take its aliases away.
fn has_alias_power<V: Read>(view: &RoomView<'_, V>, user: &UserId) -> bool {
    let Ok(power) = power_levels(view, view.room.head.state) else { return false };
    let (Ok(own), Ok(needed)) = (power.user(user), power.to_send("m.room.canonical_alias", true))
    else {
        return false;
    };
    own >= Power::Int(needed)
}

#[derive(Deserialize)]
struct GuestAccess {
    guest_access: String,
}

/// Whether the room's state says that guests can join. Absent means no.
pub(crate) fn guest_can_join<V: Read>(view: &RoomView<'_, V>) -> Result<bool, StorageError> {
    let content = view.shown_state::<GuestAccess>("m.room.guest_access", "")?;
    Ok(content.is_some_and(|content| content.guest_access == "can_join"))
}

#[derive(Deserialize)]
struct HistoryVisibility {
    history_visibility: String,
}

/// Whether anybody may read the room's history.
pub(crate) fn world_readable<V: Read>(view: &RoomView<'_, V>) -> Result<bool, StorageError> {
    let event = view.state_event("m.room.history_visibility", "")?;
    let content = event.and_then(|event| event.pdu.content_as::<HistoryVisibility>().ok());
    Ok(content.is_some_and(|content| content.history_visibility == "world_readable"))
}

#[derive(Deserialize)]
struct DirectInvite {
    #[serde(default)]
    is_direct: bool,
}

/// Whether the user's own membership says that the room is a direct chat.
pub(crate) fn is_direct<V: Read>(
    view: &RoomView<'_, V>,
    user: &UserId,
) -> Result<bool, StorageError> {
    let content = view.shown_state::<DirectInvite>("m.room.member", user.as_str())?;
    Ok(content.is_some_and(|content| content.is_direct))
}

/// Our own names for a room.
pub(crate) fn aliases_of(
    reader: &impl Read,
    room_id: &RoomId,
) -> Result<Vec<AliasFact>, StorageError> {
    let mut aliases = Vec::new();
    for ((_, alias), ()) in ALIAS_BY_ROOM.scan(reader, (room_id,), ALIASES_PER_ROOM_MAX)? {
        if let Some(row) = ALIAS_BY_NAME.get(reader, (&alias,))? {
            aliases.push(alias_fact(&alias, row));
        }
    }
    Ok(aliases)
}

pub(crate) fn alias_fact(alias: &ruma::RoomAliasId, row: StoredAlias) -> AliasFact {
    AliasFact {
        alias: alias.to_owned(),
        creator: Some(row.creator),
        creator_class: row.creator_class,
        origin: match row.origin {
            StoredAliasOrigin::User => AliasOrigin::User,
            StoredAliasOrigin::Admin => AliasOrigin::Admin,
            StoredAliasOrigin::Appservice => AliasOrigin::Appservice,
            StoredAliasOrigin::Upgrade => AliasOrigin::Moved,
        },
    }
}

/// Whether one of our own joined members is of a class that hosts guests.
pub(crate) fn has_host(
    policy: &Policy,
    reader: &impl Read,
    room: &OpenRoom,
) -> Result<bool, StorageError> {
    is_any_host(policy, reader, (room, StoredMembership::Join))
}

/// Whether one of our own who left the room, or was banned from it, is of such a class.
fn had_host(policy: &Policy, reader: &impl Read, room: &OpenRoom) -> Result<bool, StorageError> {
    let left = is_any_host(policy, reader, (room, StoredMembership::Leave))?;
    Ok(left || is_any_host(policy, reader, (room, StoredMembership::Ban))?)
}

fn is_any_host(
    policy: &Policy,
    reader: &impl Read,
    (room, membership): (&OpenRoom, StoredMembership),
) -> Result<bool, StorageError> {
    let membership = membership.key();
    let mut after = None;
    loop {
        let mut page = Scan::prefix((room.no, membership)).limit(HOST_PAGE);
        if let Some(last) = after.take() {
            page = page.after((room.no, membership, last));
        }
        let rows = LOCAL_MEMBER_BY_ROOM.scan_with(reader, page)?;
        let full = rows.len() == HOST_PAGE;
        for ((_, _, user), ()) in rows {
            let account = ACCOUNT_BY_ID.get(reader, (&user,))?;
            if account.is_some_and(|account| policy.is_host(&account.class)) {
                return Ok(true);
            }
            after = Some(user);
        }
        if !full {
            return Ok(false);
        }
    }
}

/// Members looked at in one go while searching for a host; guests are few and hosts come early.
const HOST_PAGE: usize = 64;

/// Whether anybody of ours is joined.
fn residency(reader: &impl Read, room: &OpenRoom) -> Result<Residency, StorageError> {
    let joined = StoredMembership::Join.key();
    let any = LOCAL_MEMBER_BY_ROOM.scan(reader, (room.no, joined), 1)?;
    Ok(if any.is_empty() { Residency::Absent } else { Residency::Resident })
}

fn counts<V: Read>(
    policy: &Policy,
    reader: &impl Read,
    view: &RoomView<'_, V>,
    subject: &Subject,
) -> Result<Counts, StorageError> {
    let joined = StoredMembership::Join;
    // Joins to other rooms are in other hands: one that happens meanwhile writes this.
    JOINS_GUARD.get(reader, (&subject.user_id,))?;
    let rooms = ROOM_BY_MEMBER.scan(reader, (&subject.user_id,), JOINED_ROOMS_MAX)?;
    let in_rooms = rooms
        .iter()
        .filter(|((_, no), row)| row.value.membership == joined && *no != view.room.no)
        .count();
    let members = Scan::prefix((view.room.no, joined.key())).limit(GUESTS_PER_ROOM_MAX);
    let mut guests = 0_u64;
    for ((_, _, user), ()) in LOCAL_MEMBER_BY_ROOM.scan_with(reader, members)? {
        if user == subject.user_id {
            continue;
        }
        let account = ACCOUNT_BY_ID.get(reader, (&user,))?;
        guests += u64::from(account.is_some_and(|account| policy.is_guest_like(&account.class)));
    }
    Ok(Counts {
        rooms_joined: Some(u64::try_from(in_rooms).unwrap_or(u64::MAX)),
        guests_in_room: Some(guests),
        ..Counts::default()
    })
}

/// Where the aliases a scope names point, and pointed.
fn pins(reader: &impl Read, scope: &Scope, found: &mut Pins) -> Result<(), StorageError> {
    for alias in scope.list().aliases() {
        if let Some(pinned) = LIST_PIN.get(reader, (alias,))? {
            found.note_listed(alias.clone(), pinned.0);
        }
    }
    for alias in scope.never().aliases() {
        for ((_, room), ()) in NEVER_ROOM.scan(reader, (alias,), JOINED_ROOMS_MAX)? {
            found.note_never(alias.clone(), room);
        }
    }
    Ok(())
}

/// The spaces this server has, as the policy walks them.
pub(crate) struct StoredSpaces<'a, R> {
    pub(crate) rooms: &'a crate::Rooms,
    pub(crate) reader: &'a R,
}

#[derive(Deserialize)]
struct ChildContent {
    #[serde(default)]
    via: Vec<String>,
}

impl<R: Read> SpaceChildren for StoredSpaces<'_, R> {
    type Error = StorageError;

    fn children(
        &mut self,
        space: &RoomId,
        worth: &dyn Fn(&ChildEdge) -> bool,
    ) -> Result<Children, StorageError> {
        SCOPE_GUARD.get(self.reader, (space,))?;
        let Some(room) = OpenRoom::load(self.reader, space)? else {
            return Ok(Children::NotResident);
        };
        if residency(self.reader, &room)? == Residency::Absent {
            return Ok(Children::NotResident);
        }
        let view = RoomView::new(self.rooms, self.reader, &room);
        let state = view.full_state(room.head.state, Some("m.space.child"))?;
        let mut truncated = state.len() > SPACE_EDGES_READ_MAX;
        let mut edges = Vec::new();
        for ((_, child), no) in state.into_iter().take(SPACE_EDGES_READ_MAX) {
            let Ok(child) = OwnedRoomId::try_from(child) else { continue };
            let Some(event) = view.event(no)? else { continue };
            let content = view.shown_content_as::<ChildContent>(&event)?;
            let sender = self.setter(event.pdu.sender())?;
            let first = SPACE_EDGE_FIRST.get(self.reader, (space, &child))?;
            let first_setter = first.map_or_else(
                || sender.clone(),
                |first| Setter { user_id: first.sender, class: first.class },
            );
            let approved = SPACE_APPROVAL.get(self.reader, (space, &child))?.is_some();
            let has_via = content.is_some_and(|content| !content.via.is_empty());
            let edge = ChildEdge { child, has_via, sender, first_setter, approved };
            if !worth(&edge) {
                continue;
            }
            if edges.len() == SPACE_CHILDREN_MAX {
                truncated = true;
                break;
            }
            edges.push(edge);
        }
        Ok(Children::Known { edges, truncated })
    }
}

impl<R: Read> StoredSpaces<'_, R> {
    fn setter(&self, user: &UserId) -> Result<Setter, StorageError> {
        let class = if user.server_name() == self.rooms.inner.server_name {
            ACCOUNT_BY_ID.get(self.reader, (user,))?.map(|account| account.class)
        } else {
            None
        };
        Ok(Setter { user_id: user.to_owned(), class })
    }
}
