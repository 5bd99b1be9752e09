//! Whose devices and cross-signing keys a client has to ask for anew, and whose it need not follow
//! any more.
//!
//! Changes are found in the log of device lists; people who came and went in the rooms that
//! changed. Somebody is followed as long as any room is shared with them, encrypted or not: a plain
//! room may become encrypted, and then its members are told of.

use std::collections::BTreeSet;

use ruma::{OwnedUserId, UserId};
use vestibule_rooms::{OpenRoom, RoomView};
use vestibule_storage::{
    Scan, Snapshot, Stamp, Stamped, StorageError,
    tables::{
        cross_signing::SIGNED_BY_POSITION,
        device_list::{DEVICE_LIST_CHANGE, DEVICE_LIST_POSITION, JOINED_ROOM_BY_USER},
        room::{MEMBER_BY_ROOM, StateAt, StoredMember, StoredMembership},
    },
};
use vestibule_types::{
    EventNo, RoomNo,
    limits::{
        JOINED_ROOMS_MAX, LIST_CHANGES_SCAN_MAX, LISTS_TOLD_MAX, MEMBERSHIPS_LOOKED_BACK_MAX,
        PLAIN_ROOM_MEMBERS_TOLD_MAX,
    },
};

use super::{Pass, says_joined};
use crate::{SyncToken, response::DeviceLists};

const MEMBER: &str = "m.room.member";
const ENCRYPTION: &str = "m.room.encryption";
/// Rooms of somebody that are compared together.
const ROOMS_AT_ONCE: usize = 64;

/// Who came and went.
#[derive(Default)]
struct Company {
    changed: BTreeSet<OwnedUserId>,
    /// Those who went out of a room, or out of whose room the user went.
    gone: BTreeSet<OwnedUserId>,
}

impl Pass<'_> {
    /// What changed about other people's devices since the token, given the rooms that changed.
    /// Nothing for a client that begins: it asks for everybody's anyway.
    pub(crate) fn device_lists(
        &self,
        rooms: &[(OpenRoom, Stamped<StoredMember>)],
    ) -> Result<DeviceLists, StorageError> {
        let Some(since) = &self.since else { return Ok(DeviceLists::default()) };
        let mut company = Company::default();
        self.changed_lists(since, &mut company)?;
        self.signed_by_user(since, &mut company)?;
        for (room, member) in rooms {
            self.came_and_went(room, member, &mut company)?;
        }
        let mut left = Vec::new();
        for user in company.gone.difference(&company.changed) {
            let followed = user == self.user() || self.shares_room(user)?;
            if !followed {
                left.push(user.clone());
            }
        }
        Ok(DeviceLists { changed: company.changed.into_iter().collect(), left })
    }

    /// Everybody whose list changed and with whom a room is shared; and the user.
    fn changed_lists(&self, since: &SyncToken, company: &mut Company) -> Result<(), StorageError> {
        let mut users = BTreeSet::new();
        for (slot, _) in self.now.iter() {
            let after = (slot.0, Stamp::end_of(since.positions.get(slot)));
            let left = LIST_CHANGES_SCAN_MAX.saturating_sub(users.len());
            let scan = Scan::prefix((slot.0,)).after(after).limit(left);
            let rows = DEVICE_LIST_CHANGE.scan_with(self.snapshot, scan)?;
            users.extend(rows.into_iter().map(|(_, row)| row.user));
        }
        if users.len() >= LIST_CHANGES_SCAN_MAX {
            return self.changed_company(since, company);
        }
        for user in users {
            if user == self.user() || self.shares_room(&user)? {
                company.changed.insert(user);
            }
        }
        Ok(())
    }

    /// The same the other way round, for a log that is long: everybody in the user's rooms is asked
    /// for when their list changed.
    fn changed_company(
        &self,
        since: &SyncToken,
        company: &mut Company,
    ) -> Result<(), StorageError> {
        let mut people = BTreeSet::from([self.user().to_owned()]);
        let rooms = JOINED_ROOM_BY_USER.scan(self.snapshot, (self.user(),), JOINED_ROOMS_MAX)?;
        for ((_, room), ()) in rooms {
            self.add_members(room, LISTS_TOLD_MAX, &mut people)?;
        }
        let people: Vec<OwnedUserId> = people.into_iter().collect();
        let positions =
            DEVICE_LIST_POSITION.multi_get(self.snapshot, people.iter().map(|user| (user,)))?;
        for (user, position) in people.into_iter().zip(positions) {
            let slot = self.inner.rooms.store().slot_of_user(&user);
            if position.is_some_and(|it| it.stamp.commit > since.positions.get(slot)) {
                company.changed.insert(user);
            }
        }
        Ok(())
    }

    /// Those whose keys the user signed on another device: only the user sees those signatures.
    fn signed_by_user(&self, since: &SyncToken, company: &mut Company) -> Result<(), StorageError> {
        let slot = self.inner.rooms.store().slot_of_user(self.user());
        let after = (self.user(), Stamp::end_of(since.positions.get(slot)));
        let scan = Scan::prefix((self.user(),)).after(after).limit(LISTS_TOLD_MAX);
        let rows = SIGNED_BY_POSITION.scan_with(self.snapshot, scan)?;
        company.changed.extend(rows.into_iter().map(|(_, row)| row.owner));
        Ok(())
    }

    /// Who came into a room that changed, and who went.
    fn came_and_went(
        &self,
        room: &OpenRoom,
        member: &Stamped<StoredMember>,
        company: &mut Company,
    ) -> Result<(), StorageError> {
        let Some(since) = self.since_of(room) else { return Ok(()) };
        let view = RoomView::new(&self.inner.rooms, self.snapshot, room);
        let then = view.state_as_of(since)?;
        if then == room.head.state {
            return Ok(());
        }
        let is_in = member.value.membership == StoredMembership::Join;
        let was_in = self.was_in(&view, then)?;
        match (was_in, is_in) {
            (false, false) => Ok(()),
            (false, true) => self.add_company(&view, company),
            (true, false) => {
                self.add_members(room.no, LISTS_TOLD_MAX, &mut company.gone)?;
                went_before(&view, then, company)
            }
            (true, true) => self.compare(&view, then, company),
        }
    }

    fn was_in(
        &self,
        view: &RoomView<'_, &Snapshot<'_>>,
        then: StateAt,
    ) -> Result<bool, StorageError> {
        let event = view.state_event_at(then, MEMBER, self.user().as_str())?;
        Ok(event.is_some_and(|event| says_joined(&event.pdu)))
    }

    /// Everybody in a room the user came into, or that became encrypted. Of a large room that is
    /// not encrypted nobody: nobody's devices are asked for there.
    fn add_company(
        &self,
        view: &RoomView<'_, &Snapshot<'_>>,
        company: &mut Company,
    ) -> Result<(), StorageError> {
        let encrypted = view.state_event(ENCRYPTION, "")?.is_some();
        let most = if encrypted { LISTS_TOLD_MAX } else { PLAIN_ROOM_MEMBERS_TOLD_MAX };
        let mut people = BTreeSet::new();
        self.add_members(view.room.no, most.saturating_add(1), &mut people)?;
        if people.len() <= most {
            people.remove(self.user());
            company.changed.extend(people);
        }
        Ok(())
    }

    fn compare(
        &self,
        view: &RoomView<'_, &Snapshot<'_>>,
        then: StateAt,
        company: &mut Company,
    ) -> Result<(), StorageError> {
        for change in view.state_diff(then, view.room.head.state)? {
            let (kind, key) = (change.key.0.as_str(), change.key.1.as_str());
            if kind == ENCRYPTION && change.old.is_none() && change.new.is_some() {
                self.add_company(view, company)?;
            }
            if kind != MEMBER {
                continue;
            }
            let Ok(user) = <&UserId>::try_from(key) else { continue };
            let joined = |no| -> Result<bool, StorageError> {
                let Some(no) = no else { return Ok(false) };
                Ok(view.event(no)?.is_some_and(|event| says_joined(&event.pdu)))
            };
            match (joined(change.old)?, joined(change.new)?) {
                (false, true) if user != self.user() => {
                    company.changed.insert(user.to_owned());
                }
                (true, false) => {
                    company.gone.insert(user.to_owned());
                }
                (true, true) if was_away(view, user, (change.old, change.new))? => {
                    if user == self.user() {
                        self.add_company(view, company)?;
                    } else {
                        company.changed.insert(user.to_owned());
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn add_members(
        &self,
        room: RoomNo,
        most: usize,
        people: &mut BTreeSet<OwnedUserId>,
    ) -> Result<(), StorageError> {
        let left = most.saturating_sub(people.len());
        let joined = (room, StoredMembership::Join.key());
        let rows = MEMBER_BY_ROOM.scan(self.snapshot, joined, left)?;
        people.extend(rows.into_iter().map(|((_, _, user), _)| user));
        Ok(())
    }

    /// Whether somebody is in one of the user's rooms: whoever is in few is asked for theirs.
    pub(super) fn shares_room(&self, other: &UserId) -> Result<bool, StorageError> {
        let rooms_of = |user: &UserId, after: Option<RoomNo>| {
            let scan = Scan::prefix((user,)).limit(ROOMS_AT_ONCE);
            let scan = match after {
                Some(room) => scan.after((user, room)),
                None => scan,
            };
            let rows = JOINED_ROOM_BY_USER.scan_with(self.snapshot, scan)?;
            Ok::<Vec<RoomNo>, StorageError>(rows.into_iter().map(|((_, room), ())| room).collect())
        };
        let is_in = |user: &UserId, rooms: &[RoomNo]| {
            let places = rooms.iter().map(|room| (user, *room));
            let found = JOINED_ROOM_BY_USER.multi_get(self.snapshot, places)?;
            Ok::<bool, StorageError>(found.iter().any(Option::is_some))
        };
        let own = rooms_of(self.user(), None)?;
        if own.len() < ROOMS_AT_ONCE {
            return is_in(other, &own);
        }
        let mut theirs = rooms_of(other, None)?;
        while let Some(last) = theirs.last().copied() {
            if is_in(self.user(), &theirs)? {
                return Ok(true);
            }
            theirs = rooms_of(other, Some(last))?;
        }
        Ok(false)
    }
}

/// Those who went out of a room between that time and when the user did.
fn went_before(
    view: &RoomView<'_, &Snapshot<'_>>,
    then: StateAt,
    company: &mut Company,
) -> Result<(), StorageError> {
    for change in view.state_diff(then, view.room.head.state)? {
        let (kind, key) = (change.key.0.as_str(), change.key.1.as_str());
        let (MEMBER, Some(old), Ok(user)) = (kind, change.old, <&UserId>::try_from(key)) else {
            continue;
        };
        if company.gone.len() < LISTS_TOLD_MAX
            && view.event(old)?.is_some_and(|event| says_joined(&event.pdu))
        {
            company.gone.insert(user.to_owned());
        }
    }
    Ok(())
}

/// Whether somebody who is in a room as before was out of it in between: what changed about
/// their devices meanwhile nobody here was told. Goes back over their membership events.
fn was_away(
    view: &RoomView<'_, &Snapshot<'_>>,
    user: &UserId,
    (old, new): (Option<EventNo>, Option<EventNo>),
) -> Result<bool, StorageError> {
    let mut at = new;
    for _ in 0..MEMBERSHIPS_LOOKED_BACK_MAX {
        let Some(no) = at.filter(|_| at != old) else { return Ok(false) };
        let Some(around) = view.around(no)? else { return Ok(true) };
        match view.state_event_at(around.value.before, MEMBER, user.as_str())? {
            Some(before) if says_joined(&before.pdu) => at = Some(before.no),
            _ => return Ok(true),
        }
    }
    // Asking once too often does no harm.
    Ok(true)
}
