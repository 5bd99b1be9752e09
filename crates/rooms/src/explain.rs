//! What the operator asks: why somebody may or may not, and which rooms are open to whom.

use ruma::{OwnedRoomId, OwnedUserId, RoomId, UserId};
use serde::Serialize;
use vestibule_accounts::{SYSTEM_LOCALPART, facts};
use vestibule_policy::{Decision, Outcome, RateFact, Subject};
use vestibule_storage::{
    Scan, Snapshot, StorageError,
    tables::room::{ROOM_BY_NO, StoredRoom},
};
use vestibule_types::{ClassName, limits::PUBLIC_ROOMS_SEARCH_MAX};

use crate::{
    OpenRoom, RoomView, Rooms,
    ask::{Afar, Ask, Deed, decide_for, subject, unwritten_guest},
    directory::names_of,
};

/// A room that a class may be in, and by which rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OpenRoomFinding {
    /// The room.
    pub room_id: OwnedRoomId,
    /// Our names for it.
    pub aliases: Vec<String>,
    /// The rules that opened it, with their evidence.
    pub because: Vec<String>,
}

impl Rooms {
    /// Decides what an account may do, for reading: the same decision the act itself would meet,
    /// without charging its rate. `None` for a name nobody has.
    pub async fn explain(
        &self,
        user_id: &OwnedUserId,
        deed: Deed,
    ) -> Result<Option<Decision>, StorageError> {
        if self.is_nobody(user_id).await? {
            return Ok(None);
        }
        let ask = Ask {
            user_id: user_id.clone(),
            now: self.inner.env.now(),
            address: None,
            rate: RateFact::Charged,
            afar: Afar::default(),
            later: None,
        };
        let who = |snapshot: &Snapshot<'_>, user: &UserId| match facts::subject(snapshot, user)? {
            Some(subject) => Ok(subject),
            None => unwritten_guest(user).map_or_else(|| subject(snapshot, user), Ok),
        };
        self.decide_as((ask, deed, false), who).await.map(Some)
    }

    /// Whether no account has this name, nor a guest that did nothing yet, nor the server itself.
    pub(crate) async fn is_nobody(&self, user_id: &UserId) -> Result<bool, StorageError> {
        let user = user_id.to_owned();
        let nobody = move |snapshot: &Snapshot<'_>| {
            Ok(facts::subject(snapshot, &user)?.is_none()
                && user.localpart() != SYSTEM_LOCALPART
                && unwritten_guest(&user).is_none())
        };
        self.inner.store.read(nobody).await
    }

    /// Every room that an account of this class could join now, with the reason. Looks at no more
    /// than a bounded number of rooms.
    pub async fn open_rooms(
        &self,
        class: &ClassName,
    ) -> Result<Vec<OpenRoomFinding>, StorageError> {
        let (rooms, policy) = (self.clone(), self.inner.policy.current());
        let anybody = format!("@guest-somebody:{}", self.inner.server_name);
        let Ok(user_id) = OwnedUserId::try_from(anybody) else { return Ok(Vec::new()) };
        let ask = Ask {
            user_id: user_id.clone(),
            now: self.inner.env.now(),
            address: None,
            rate: RateFact::Charged,
            afar: Afar::default(),
            later: None,
        };
        let subject = Subject::new(user_id, class.clone(), Some(ask.now));
        self.inner
            .store
            .read(move |snapshot| {
                let mut open = Vec::new();
                let all = Scan::prefix(()).limit(PUBLIC_ROOMS_SEARCH_MAX);
                for ((no,), StoredRoom { room_id, .. }) in ROOM_BY_NO.scan_with(snapshot, all)? {
                    let Some(room) = OpenRoom::load_no(snapshot, no)? else { continue };
                    let view = RoomView::new(&rooms, snapshot, &room);
                    let deed = Deed::Join(room_id.clone());
                    let question = (&subject, &ask, &deed);
                    let decision = decide_for(&policy, snapshot, Some(&view), question)?;
                    if decision.is_allowed() {
                        let aliases = names_of(snapshot, &room_id)?;
                        open.push(OpenRoomFinding {
                            room_id,
                            aliases: aliases.iter().map(ToString::to_string).collect(),
                            because: because(&decision),
                        });
                    }
                }
                Ok(open)
            })
            .await
    }

    /// Whether this server has the room at all.
    pub async fn knows(&self, room_id: &RoomId) -> Result<bool, StorageError> {
        let room_id = room_id.to_owned();
        self.inner
            .store
            .read(move |snapshot| Ok(OpenRoom::load(snapshot, &room_id)?.is_some()))
            .await
    }
}

/// The steps that let a request pass, in words.
fn because(decision: &Decision) -> Vec<String> {
    let passed = decision.trace().iter().filter(|step| step.outcome == Outcome::Pass);
    passed.map(|step| format!("{}: {}", step.rule, step.evidence)).collect()
}
