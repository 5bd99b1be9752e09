//! Looking at one member: may they stay?

use ruma::{OwnedUserId, RoomId, UserId};
use vestibule_policy::{Subject, WhenRoomLeavesScope, kind};
use vestibule_storage::{
    Scan, Stamped, StorageError,
    tables::room::{LOCAL_MEMBER_BY_ROOM, ROOM_BY_MEMBER, StoredMembership},
};
use vestibule_types::limits::LOCAL_MEMBERS_MAX;

use super::jobs::{JobError, earliest};
use crate::{
    AppendError, MembershipError, RoomTx, Rooms,
    append::Authority,
    ask::{Ask, AskError, Deed, bare_membership, subject},
    membership::member_content,
};

/// What became of a member that was looked at.
enum Fate {
    /// Their door is open.
    Stays,
    /// They are frozen, and go at this moment.
    FrozenUntil(u64),
    /// They are out.
    Left,
}

impl Rooms {
    /// Looks at the scoped members of a room, and of the rooms a space leads to.
    pub(super) async fn sweep_room_and_below(
        &self,
        room_id: &RoomId,
    ) -> Result<Option<u64>, JobError> {
        let policy = self.inner.policy.current();
        let is_space = policy
            .classes()
            .any(|class| class.scope().is_some_and(|scope| !scope.spaces().is_empty()));
        if is_space && self.is_space(room_id).await? {
            // Whatever the edge led to may be out of scope now, however deep it lies.
            return self.sweep_all().await;
        }
        let mut next = None;
        for member in self.local_members(room_id).await? {
            if policy.is_scoped(&member.class) {
                next = earliest(next, self.sweep_member(room_id, &member.user_id).await?);
            }
        }
        Ok(next)
    }

    async fn is_space(&self, room_id: &RoomId) -> Result<bool, StorageError> {
        let summary = self.with_view(room_id, |view| view.summary()).await?;
        Ok(summary.is_some_and(|summary| summary.is_space()))
    }

    /// The joined members of ours, as the policy sees them.
    pub(super) async fn local_members(
        &self,
        room_id: &RoomId,
    ) -> Result<Vec<Subject>, StorageError> {
        let members = self
            .with_view(room_id, |view| {
                let joined = (view.room.no, StoredMembership::Join.key());
                let scan = Scan::prefix(joined).limit(LOCAL_MEMBERS_MAX);
                let rows = LOCAL_MEMBER_BY_ROOM.scan_with(&view.reader, scan)?;
                rows.into_iter().map(|((_, _, user), ())| subject(&view.reader, &user)).collect()
            })
            .await?;
        Ok(members.unwrap_or_default())
    }

    /// The users of ours with a membership in a room.
    pub(super) async fn local_users(
        &self,
        room_id: &RoomId,
        membership: StoredMembership,
    ) -> Result<Vec<OwnedUserId>, StorageError> {
        let users = self.with_view(room_id, move |view| {
            let scan = Scan::prefix((view.room.no, membership.key())).limit(LOCAL_MEMBERS_MAX);
            let rows = LOCAL_MEMBER_BY_ROOM.scan_with(&view.reader, scan)?;
            Ok::<_, StorageError>(rows.into_iter().map(|((_, _, user), ())| user).collect())
        });
        Ok(users.await?.unwrap_or_default())
    }

    /// Asks whether a member may stay, and freezes, thaws or takes them out. Returns when a frozen
    /// member has to go.
    pub(super) async fn sweep_member(
        &self,
        room_id: &RoomId,
        user: &UserId,
    ) -> Result<Option<u64>, JobError> {
        let ask = Ask::unattended(user, self.inner.env.now());
        let fate = self.in_room_recommended(room_id, move |room| room.judge(&ask)).await;
        match fate {
            Ok((Fate::FrozenUntil(moment), _)) => Ok(Some(moment)),
            Ok((Fate::Stays | Fate::Left, _)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

impl RoomTx<'_, '_> {
    fn judge(&mut self, ask: &Ask) -> Result<Fate, MembershipError> {
        let no = self.known()?.no;
        let Some(row) = ROOM_BY_MEMBER.get(&*self.tx, (&ask.user_id, no))? else {
            return Ok(Fate::Left);
        };
        if row.value.membership != StoredMembership::Join {
            return Ok(Fate::Left);
        }
        let now: u64 = ask.now.get().into();
        let stays = self.decide(ask, &Deed::Stay(self.room_id.clone()))?.is_allowed();
        let rule = self.rooms.inner.policy.current().when_room_leaves_scope();
        let evict_after = match rule {
            _ if stays => return self.thaw(ask, row),
            WhenRoomLeavesScope::Keep => return self.thaw(ask, row),
            WhenRoomLeavesScope::Evict => 0,
            WhenRoomLeavesScope::Freeze { evict_after_ms } => evict_after_ms,
        };
        let frozen_at = row.value.frozen_at.unwrap_or(now);
        let leaves_at = frozen_at.saturating_add(evict_after);
        if leaves_at <= now {
            return self.evict(ask);
        }
        if row.value.frozen_at.is_none() {
            let mut frozen = row.value;
            frozen.frozen_at = Some(frozen_at);
            let frozen = Stamped { stamp: row.stamp, value: frozen };
            ROOM_BY_MEMBER.put(self.tx, (&ask.user_id, no), &frozen)?;
        }
        Ok(Fate::FrozenUntil(leaves_at))
    }

    fn thaw(
        &mut self,
        ask: &Ask,
        row: Stamped<vestibule_storage::tables::room::StoredMember>,
    ) -> Result<Fate, MembershipError> {
        if row.value.frozen_at.is_some() {
            let no = self.known()?.no;
            let mut thawed = row.value;
            thawed.frozen_at = None;
            let thawed = Stamped { stamp: row.stamp, value: thawed };
            ROOM_BY_MEMBER.put(self.tx, (&ask.user_id, no), &thawed)?;
            // The name they took meanwhile.
            match self.carry_profile(ask) {
                Ok(()) | Err(MembershipError::Append(AppendError::Forbidden(_))) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Fate::Stays)
    }

    fn evict(&mut self, ask: &Ask) -> Result<Fate, MembershipError> {
        match self.leave(ask, None) {
            Ok(()) | Err(MembershipError::WrongMembership(_)) => Ok(Fate::Left),
            Err(error) => Err(error),
        }
    }
}

impl Rooms {
    /// Carries the profile of a user into their membership in every room they are in.
    pub(super) async fn carry_profile(&self, user: &UserId) -> Result<(), JobError> {
        for room_id in self.rooms_of(user, StoredMembership::Join).await? {
            let ask = Ask::unattended(user, self.inner.env.now());
            let renamed =
                self.in_room_recommended(&room_id, move |room| room.carry_profile(&ask)).await;
            match renamed {
                // A room that does not let its member have this name keeps the old one.
                Ok(_) | Err(MembershipError::Append(_) | MembershipError::WrongMembership(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

impl RoomTx<'_, '_> {
    fn carry_profile(&mut self, ask: &Ask) -> Result<(), MembershipError> {
        let user = &ask.user_id;
        let Some(member) = self.member(user)? else { return Ok(()) };
        if member.membership != StoredMembership::Join {
            return Ok(());
        }
        let profile = vestibule_accounts::facts::member_profile(&*self.tx, user)?;
        let deed = Deed::Rename(self.room_id.clone(), profile.displayname.clone());
        let permit = match self.permit::<kind::SetProfile>(ask, &deed) {
            Ok(permit) => permit,
            // Who may not speak here does not get a word in with a name either.
            Err(AskError::Denied(_)) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let content = self.view()?.shown_content_as::<ruma::CanonicalJsonObject>(&member.event)?;
        let before = content.unwrap_or_default();
        let mut content = match bare_membership(permit.obligations()) {
            Some(_) => member_content("join", None),
            None => before.clone(),
        };
        for gone in ["displayname", "avatar_url", "reason", "join_authorised_via_users_server"] {
            content.remove(gone);
        }
        let suffix = crate::ask::name_suffix(permit.obligations());
        crate::membership::put_profile(&*self.tx, &mut content, user, suffix)?;
        if content == before {
            return Ok(());
        }
        let draft =
            crate::append::Draft::state(user, "m.room.member", user.as_str(), content, ask.now);
        self.append_local(Authority::Profile(permit), draft)?;
        Ok(())
    }
}
