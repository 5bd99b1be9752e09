//! Telling the last one who can change a room's power levels, before the room is left without any.

use std::{collections::BTreeSet, time::Duration};

use moka::sync::Cache;
use ruma::{CanonicalJsonObject, OwnedRoomId, OwnedUserId, UserId};
use serde::Deserialize;
use vestibule_policy::{AccountState, GuardAnswer, PowerFacts};
use vestibule_state_res::{Power, PowerLevels};
use vestibule_storage::{
    Read, Scan, StorageError,
    tables::room::{MEMBER_BY_ROOM, MEMBER_COUNT, ROOM_BY_NO, StoredMembership, StoredRoom},
};
use vestibule_types::limits::{
    LAST_ADMIN_REFUSALS_MAX, POWERFUL_USERS_MAX, PUBLIC_ROOMS_SEARCH_MAX,
};

use super::MembershipError;
use crate::{
    OpenRoom, RoomTx, RoomView, Rooms,
    append::power_levels,
    ask::{Ask, subject},
    facts::aliases_of,
};

/// The state event that decides about power.
const POWER_LEVELS: &str = "m.room.power_levels";

/// Who was refused once, and when.
#[derive(Clone, Debug)]
pub(crate) struct Refusals(Cache<(OwnedUserId, OwnedRoomId), Duration>);

impl Refusals {
    pub(crate) fn new() -> Self {
        Self(Cache::new(LAST_ADMIN_REFUSALS_MAX))
    }
}

/// What the guard says to somebody who may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GuardNote {
    /// Nothing.
    None,
    /// Nobody is left who can change the power levels of the room.
    NobodyLeft,
}

#[derive(Deserialize, Default)]
struct Users {
    #[serde(default)]
    users: serde_json::Map<String, serde_json::Value>,
}

impl RoomTx<'_, '_> {
    /// Asks before somebody leaves (`after` is `None`) or changes the power levels to `after`.
    pub(crate) fn guard_last_admin(
        &self,
        ask: &Ask,
        after: Option<&CanonicalJsonObject>,
    ) -> Result<GuardNote, MembershipError> {
        let facts = self.power_facts(ask, after)?;
        let inner = &self.rooms.inner;
        match inner.policy.current().last_admin_guard(facts) {
            GuardAnswer::Proceed => Ok(GuardNote::None),
            GuardAnswer::ProceedAndTell => Ok(GuardNote::NobodyLeft),
            GuardAnswer::RefuseOnce => {
                let place = (ask.user_id.clone(), self.room_id.clone());
                inner.refusals.0.insert(place, inner.env.clock.monotonic());
                Err(MembershipError::LastAdmin)
            }
        }
    }

    fn power_facts(
        &self,
        ask: &Ask,
        after: Option<&CanonicalJsonObject>,
    ) -> Result<PowerFacts, MembershipError> {
        let view = self.view()?;
        let at = view.room.head.state;
        let Ok(power) = power_levels(&view, at) else { return Ok(PowerFacts::default()) };
        let can = |user: &UserId| able(&power, user);
        if !can(&ask.user_id) {
            return Ok(PowerFacts::default());
        }
        let still = after.is_some_and(|after| keeps_power(&power, &ask.user_id, after));
        let joined = StoredMembership::Join.key();
        let members = MEMBER_COUNT.get(&view.reader, (view.room.no, joined))?;
        let mut others_able = 0;
        for user in powerful(&view, &power)? {
            let place = (view.room.no, joined, &user);
            let there = user != ask.user_id && MEMBER_BY_ROOM.get(&view.reader, place)?.is_some();
            others_able += u64::from(there && can(&user));
        }
        let own = subject(&*self.tx, &ask.user_id)?;
        let inner = &self.rooms.inner;
        let refused = inner.refusals.0.get(&(ask.user_id.clone(), self.room_id.clone()));
        let since = |at: Duration| inner.env.clock.monotonic().saturating_sub(at).as_millis();
        Ok(PowerFacts {
            can_change_power: true,
            still_can_afterwards: still,
            others_joined: members.saturating_sub(1),
            others_able,
            is_direct: crate::facts::is_direct(&view, &ask.user_id)?,
            deactivating: own.state == AccountState::Deactivated,
            refused_ms_ago: refused.map(|at| u64::try_from(since(at)).unwrap_or(u64::MAX)),
        })
    }
}

/// A room in which nobody is left who can change its power levels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnmanagedRoom {
    /// The room.
    pub room_id: OwnedRoomId,
    /// Our names for it.
    pub aliases: Vec<String>,
    /// How many users are joined.
    pub joined: u64,
}

impl Rooms {
    /// The rooms whose joined users can no longer change the power levels: what the guard told of, and what
    /// was so before. Looks at no more than a bounded number of rooms.
    pub async fn unmanaged_rooms(&self) -> Result<Vec<UnmanagedRoom>, StorageError> {
        let rooms = self.clone();
        let read = self.inner.store.read(move |snapshot| {
            let mut found = Vec::new();
            let all = Scan::prefix(()).limit(PUBLIC_ROOMS_SEARCH_MAX);
            for ((no,), StoredRoom { room_id, .. }) in ROOM_BY_NO.scan_with(snapshot, all)? {
                let Some(room) = OpenRoom::load_no(snapshot, no)? else { continue };
                let view = RoomView::new(&rooms, snapshot, &room);
                let joined = MEMBER_COUNT.get(snapshot, (no, StoredMembership::Join.key()))?;
                if joined > 0 && !is_managed(&view)? {
                    let aliases = aliases_of(snapshot, &room_id)?.into_iter();
                    let aliases = aliases.map(|fact| fact.alias.to_string()).collect();
                    found.push(UnmanagedRoom { room_id, aliases, joined });
                }
            }
            Ok(found)
        });
        read.await
    }

    /// Counts what the guard let happen.
    pub(crate) fn note_unmanaged(note: GuardNote) {
        if note == GuardNote::NobodyLeft {
            metrics::counter!("vestibule_rooms_left_unmanaged_total").increment(1);
        }
    }
}

/// Whether a joined user can change the power levels. Of those the levels do not name, a few are asked: they
/// all have the default.
fn is_managed<R: Read>(view: &RoomView<'_, R>) -> Result<bool, StorageError> {
    let Ok(power) = power_levels(view, view.room.head.state) else { return Ok(true) };
    let joined = StoredMembership::Join.key();
    for user in powerful(view, &power)? {
        let place = (view.room.no, joined, &user);
        if able(&power, &user) && MEMBER_BY_ROOM.get(&view.reader, place)?.is_some() {
            return Ok(true);
        }
    }
    let some = MEMBER_BY_ROOM.scan(&view.reader, (view.room.no, joined), UNNAMED_ASKED)?;
    Ok(some.into_iter().any(|((_, _, user), _)| able(&power, &user)))
}

/// How many joined users are asked whether the default level suffices.
const UNNAMED_ASKED: usize = 16;

/// Whoever the power levels name, and the creators where those stand above them.
fn powerful<R: Read>(
    view: &RoomView<'_, R>,
    power: &PowerLevels,
) -> Result<BTreeSet<OwnedUserId>, StorageError> {
    let event = view.state_event(POWER_LEVELS, "")?;
    let named = event.and_then(|event| event.pdu.content_as::<Users>().ok()).unwrap_or_default();
    let creators = power.creators().iter().cloned();
    let named = named.users.into_iter().take(POWERFUL_USERS_MAX);
    let named = named.filter_map(|(user, _)| OwnedUserId::try_from(user).ok());
    Ok(named.chain(creators).collect())
}

fn able(power: &PowerLevels, user: &UserId) -> bool {
    match (power.user(user), power.to_send(POWER_LEVELS, true)) {
        (Ok(own), Ok(needed)) => own >= Power::Int(needed),
        _ => false,
    }
}

/// Whether somebody's own level stays high enough under new power levels.
fn keeps_power(power: &PowerLevels, user: &UserId, after: &CanonicalJsonObject) -> bool {
    if matches!(power.user(user), Ok(Power::Infinite)) {
        return true;
    }
    let pointer = |path: &[&str]| -> Option<i64> {
        let (last, way) = path.split_last()?;
        let mut object = after;
        for key in way {
            object = match object.get(*key) {
                Some(ruma::CanonicalJsonValue::Object(inner)) => inner,
                _ => return None,
            };
        }
        match object.get(*last) {
            Some(ruma::CanonicalJsonValue::Integer(level)) => Some(i64::from(*level)),
            _ => None,
        }
    };
    let own = pointer(&["users", user.as_str()]).or_else(|| pointer(&["users_default"]));
    let needed = pointer(&["events", POWER_LEVELS]).or_else(|| pointer(&["state_default"]));
    own.unwrap_or(0) >= needed.unwrap_or(50)
}
