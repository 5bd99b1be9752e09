//! The durable jobs of rooms.

use ruma::{OwnedRoomId, OwnedUserId, RoomId, UserId};
use serde::de::DeserializeOwned;
use vestibule_accounts::job::{
    FORGET_WORDS, ForgetWords, LEAVE_ALL, LeaveAll, PROFILE_FAN_OUT, ProfileFanOut,
};
use vestibule_storage::{
    Scan, StorageError,
    tables::{
        account::ACCOUNT_BY_CLASS,
        room::{ROOM_BY_MEMBER, ROOM_BY_NO, StoredMembership},
    },
};
use vestibule_types::{ClassName, limits::JOINED_ROOMS_MAX};

use super::triggers::AboutRoom;
use crate::{
    Leave, MembershipError, OutsideRoom, Rooms,
    ask::Ask,
    facts::guest_can_join,
    membership::{LEAVE_TOLD, UNDO_JOIN, UndoJoin, UntoldLeave},
    purge::{PURGE_HISTORY, PurgeHistory},
    server_notice::{NOTICE_TO_ALL, NoticeToAll},
};

/// Look at every scoped member of a room, or of all rooms below a space.
pub(super) const SCOPE: &str = "room_scope";
/// Take every guest out of a room that does not admit guests any more.
pub(super) const GUEST_ACCESS: &str = "room_guest_access";

/// Bring the server's own user into a space the policy follows, or out of one it does not follow.
pub(super) const FOLLOW_SPACE: &str = "space_follow";

/// Take everybody of ours out of a room that was blocked.
pub(super) const BLOCKED: &str = "room_blocked";

/// The kinds of jobs that [`Rooms::run_job`] knows.
pub const JOB_KINDS: [&str; 11] = [
    FORGET_WORDS,
    SCOPE,
    GUEST_ACCESS,
    FOLLOW_SPACE,
    BLOCKED,
    LEAVE_ALL,
    PROFILE_FAN_OUT,
    LEAVE_TOLD,
    UNDO_JOIN,
    NOTICE_TO_ALL,
    PURGE_HISTORY,
];

/// Why a job has to be tried again.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// Nobody here knows this kind of job, or its payload is damaged.
    #[error("the job cannot be read")]
    Unreadable,
    /// The database failed.
    #[error("the job could not read or write the database")]
    Storage(#[from] StorageError),
    /// A membership could not be changed.
    #[error("the job could not change a membership")]
    Membership(#[from] MembershipError),
}

/// What a job must not run beside: whatever else is about the same room, the same user, or waits for
/// the same other server. Of other kinds one runs at a time.
#[must_use]
pub fn job_lane(kind: &str, payload: &[u8]) -> String {
    let of_room = |about: AboutRoom| format!("room {}", about.room_id);
    let of_user = |user: OwnedUserId| format!("user {user}");
    let lane = match kind {
        SCOPE | GUEST_ACCESS | FOLLOW_SPACE | BLOCKED => read(payload).map(of_room),
        LEAVE_ALL => read(payload).map(|about: LeaveAll| of_user(about.user_id)),
        PROFILE_FAN_OUT => read(payload).map(|about: ProfileFanOut| of_user(about.user_id)),
        FORGET_WORDS => read(payload).map(|about: ForgetWords| of_user(about.user_id)),
        LEAVE_TOLD => read(payload).map(|leave: UntoldLeave| {
            leave.vias.first().map_or_else(|| of_user(leave.user_id), |it| format!("server {it}"))
        }),
        UNDO_JOIN => read(payload).map(|undo: UndoJoin| format!("server {}", undo.server())),
        _ => Err(JobError::Unreadable),
    };
    lane.unwrap_or_else(|_| kind.to_owned())
}

impl Rooms {
    /// Does a durable job. Returns when to run it once more, in milliseconds since the Unix epoch.
    pub async fn run_job(&self, kind: &str, payload: &[u8]) -> Result<Option<u64>, JobError> {
        match kind {
            SCOPE => {
                let about: AboutRoom = read(payload)?;
                self.sweep_room_and_below(&about.room_id).await
            }
            GUEST_ACCESS => {
                let about: AboutRoom = read(payload)?;
                self.take_guests_out(&about.room_id).await?;
                Ok(None)
            }
            FOLLOW_SPACE => {
                let about: AboutRoom = read(payload)?;
                self.follow_space(&about.room_id).await?;
                Ok(None)
            }
            BLOCKED => {
                let about: AboutRoom = read(payload)?;
                self.empty_blocked(&about.room_id).await?;
                Ok(None)
            }
            LEAVE_ALL => {
                let about: LeaveAll = read(payload)?;
                self.presence().forget(&about.user_id, self.presence_moment());
                self.leave_all(&about.user_id).await?;
                self.forget_grants_of(&about.user_id).await?;
                Ok(None)
            }
            LEAVE_TOLD => {
                let leave: UntoldLeave = read(payload)?;
                Ok(self.tell_leave(&leave).await?)
            }
            FORGET_WORDS => {
                self.forget_words(&read::<ForgetWords>(payload)?.user_id).await?;
                Ok(None)
            }
            PROFILE_FAN_OUT => {
                let about: ProfileFanOut = read(payload)?;
                self.carry_profile(&about.user_id).await?;
                Ok(None)
            }
            NOTICE_TO_ALL => {
                self.notice_page(&read::<NoticeToAll>(payload)?).await?;
                Ok(None)
            }
            PURGE_HISTORY => {
                self.purge_on(&read::<PurgeHistory>(payload)?).await?;
                Ok(None)
            }
            UNDO_JOIN => Ok(self.undo_join(&read::<UndoJoin>(payload)?).await?),
            _ => Err(JobError::Unreadable),
        }
    }

    /// Looks at every member of a scoped class in every room: after a reload, and every hour.
    /// Returns the earliest moment at which a frozen member has to go.
    pub async fn sweep_all(&self) -> Result<Option<u64>, JobError> {
        self.forget_ended_links().await?;
        self.note_seen_inside().await?;
        let policy = self.inner.policy.current();
        let mut next: Option<u64> = None;
        let scoped = policy.classes().filter(|class| class.scope().is_some());
        for class in scoped.map(|class| class.name().clone()).collect::<Vec<_>>() {
            for user in self.accounts_of(class).await? {
                for room_id in self.rooms_of(&user, StoredMembership::Join).await? {
                    let due = self.sweep_member(&room_id, &user).await?;
                    next = earliest(next, due);
                }
            }
        }
        Ok(next)
    }

    async fn accounts_of(&self, class: ClassName) -> Result<Vec<OwnedUserId>, StorageError> {
        self.inner
            .store
            .read(move |snapshot| {
                let scan = Scan::prefix((&class,)).limit(usize::MAX);
                let rows = ACCOUNT_BY_CLASS.scan_with(snapshot, scan)?;
                Ok(rows.into_iter().map(|((_, user), ())| user).collect())
            })
            .await
    }

    /// The rooms in which a local user has a membership.
    pub(crate) async fn rooms_of(
        &self,
        user: &UserId,
        membership: StoredMembership,
    ) -> Result<Vec<OwnedRoomId>, StorageError> {
        let user = user.to_owned();
        self.inner
            .store
            .read(move |snapshot| {
                let mut rooms = Vec::new();
                for ((_, no), row) in ROOM_BY_MEMBER.scan(snapshot, (&user,), JOINED_ROOMS_MAX)? {
                    if row.value.membership == membership {
                        rooms.extend(ROOM_BY_NO.get(snapshot, (no,))?.map(|room| room.room_id));
                    }
                }
                Ok(rooms)
            })
            .await
    }

    /// An account is gone: it leaves every room and declines every invitation.
    async fn leave_all(&self, user: &UserId) -> Result<(), JobError> {
        for membership in
            [StoredMembership::Join, StoredMembership::Invite, StoredMembership::Knock]
        {
            for room_id in self.rooms_of(user, membership).await? {
                self.leave_unattended(&room_id, user).await?;
            }
        }
        let whose = user.to_owned();
        let outside = self.inner.store.read(move |it| OutsideRoom::all_of(it, &whose)).await?;
        let waiting =
            |membership| matches!(membership, StoredMembership::Invite | StoredMembership::Knock);
        for room in outside.into_iter().filter(|room| waiting(room.membership)) {
            self.leave_unattended(&room.room_id, user).await?;
        }
        Ok(())
    }

    /// Takes every guest out of a room whose resolved state does not admit guests.
    async fn take_guests_out(&self, room_id: &RoomId) -> Result<(), JobError> {
        let admits = self.with_view(room_id, |view| guest_can_join(&view)).await?;
        if admits.unwrap_or(true) {
            return Ok(());
        }
        for guest in self.local_members(room_id).await? {
            if guest.is_spec_guest {
                self.leave_unattended(room_id, &guest.user_id).await?;
            }
        }
        Ok(())
    }

    /// Takes everybody of ours out of a room, as long as it is blocked.
    async fn empty_blocked(&self, room_id: &RoomId) -> Result<(), JobError> {
        let blocked = self.with_view::<_, StorageError, _>(room_id, |view| Ok(view.room.blocked));
        if !blocked.await?.unwrap_or(false) {
            return Ok(());
        }
        for membership in
            [StoredMembership::Invite, StoredMembership::Knock, StoredMembership::Join]
        {
            for user in self.local_users(room_id, membership).await? {
                self.leave_unattended(room_id, &user).await?;
            }
        }
        Ok(())
    }

    /// Takes a user out of a room without anybody asking. Being out already is fine.
    pub(super) async fn leave_unattended(
        &self,
        room_id: &RoomId,
        user: &UserId,
    ) -> Result<(), JobError> {
        let ask = Ask::unattended(user, self.inner.env.now());
        if !self.is_here(room_id).await? {
            let command = Leave { room_id: room_id.to_owned(), reason: None };
            return match self.take_leave(&ask, &command).await {
                Ok(()) | Err(MembershipError::WrongMembership(_)) => Ok(()),
                Err(error) => Err(error.into()),
            };
        }
        match self.in_room_recommended(room_id, move |room| room.leave(&ask, None)).await {
            Ok(_) | Err(MembershipError::WrongMembership(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// The earlier of two moments, if any.
pub(super) fn earliest(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

fn read<T: DeserializeOwned>(payload: &[u8]) -> Result<T, JobError> {
    serde_json::from_slice(payload).map_err(|_| JobError::Unreadable)
}
