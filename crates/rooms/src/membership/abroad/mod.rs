//! Memberships in rooms this server is not in: each takes a handshake with a server that is.

mod invite;
mod join;
mod knock;
mod leave;
mod tell_leave;
mod turn;
mod undo;
mod vias;

use std::sync::Arc;

use ruma::{CanonicalJsonObject, RoomId, UserId};
use tokio::sync::oneshot;
use vestibule_events::{EventBuilder, Pdu};
use vestibule_policy::Obligation;
use vestibule_storage::{StorageError, carried};

pub use self::knock::pruned_state;
pub(crate) use self::{
    invite::Abroad,
    tell_leave::{LEAVE_TOLD, UntoldLeave},
    turn::Turns,
    undo::{UNDO_JOIN, UndoJoin},
};
use super::{MembershipError, member_content, own_reason, put_profile};
use crate::{
    AppendError, ElsewhereError, Prepared, Rooms, Wanted,
    ask::{Ask, name_suffix},
};

impl Rooms {
    /// Whether a membership in a room is changed here: a user of ours is joined, or nobody is any
    /// more, anywhere. Otherwise what is stored of the room, if anything, is out of date.
    pub(crate) async fn is_here(&self, room_id: &RoomId) -> Result<bool, StorageError> {
        let here = self.with_view(room_id, |view| {
            Ok::<_, StorageError>(view.is_resident()? || view.servers(1)?.is_empty())
        });
        Ok(here.await?.unwrap_or(false))
    }

    /// Whether a room may be on its way here: somebody of ours has a handshake under way for it.
    #[must_use]
    pub fn is_on_its_way(&self, room_id: &RoomId) -> bool {
        self.inner.turns.is_taken(room_id)
    }

    /// Waits until the handshakes for a room that are under way are over.
    pub async fn after_handshakes(&self, room_id: &RoomId) {
        drop(self.inner.turns.wait(room_id).await);
    }

    /// Runs a handshake to its end, whether or not the client waits for it: another server may have
    /// let our user in when the client hangs up.
    async fn see_through<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, MembershipError>> + Send + 'static,
    ) -> Result<T, MembershipError> {
        let (tell, told) = oneshot::channel();
        let handshake = carried(async move {
            // Whoever asked may have gone away.
            drop(tell.send(work.await));
        });
        self.inner.env.spawner.spawn("rooms.handshake", Box::pin(handshake));
        told.await.unwrap_or_else(|_| Err(StorageError::Closed.into()))
    }

    /// The content of a membership elsewhere, with the user's profile as the decision obliges to.
    async fn content_abroad(
        &self,
        ask: &Ask,
        (wanted, reason): (Wanted, Option<&str>),
        obligations: &[Obligation],
    ) -> Result<CanonicalJsonObject, MembershipError> {
        let reason = own_reason(reason, obligations)?;
        let mut content = member_content(wanted.as_str(), reason);
        let (user, suffix) = (ask.user_id.clone(), name_suffix(obligations).map(str::to_owned));
        self.inner
            .store
            .read(move |snapshot| {
                put_profile(snapshot, &mut content, &user, suffix.as_deref())?;
                Ok(content)
            })
            .await
    }

    /// Builds and signs the membership that was laid out for us.
    fn sign_prepared(
        &self,
        (room_id, user, wanted): (&RoomId, &UserId, Wanted),
        prepared: Prepared,
        mut content: CanonicalJsonObject,
    ) -> Result<Arc<Pdu>, MembershipError> {
        super::put_text(&mut content, "membership", wanted.as_str());
        if let Some(voucher) = prepared.voucher {
            super::put_text(&mut content, "join_authorised_via_users_server", voucher.as_str());
        }
        let builder = EventBuilder {
            room_id: Some(room_id.to_owned()),
            sender: user.to_owned(),
            event_type: "m.room.member".to_owned(),
            state_key: Some(user.to_string()),
            content,
            origin_server_ts: self.inner.env.now(),
            prev_events: prepared.prev_events,
            auth_events: prepared.auth_events,
            depth: prepared.depth,
            redacts: None,
        };
        let inner = &self.inner;
        let pdu = builder.build_and_sign(prepared.version, &inner.signing_key, &inner.server_name);
        Ok(Arc::new(pdu.map_err(AppendError::from)?))
    }
}

/// Whether another server may be asked after one that answered like this. A refusal is a refusal;
/// a server that is not in the room, or cannot know, does not speak for the room.
fn is_worth_another(error: &MembershipError) -> bool {
    match error {
        MembershipError::Elsewhere(ElsewhereError::Refused { status, errcode, .. }) => {
            matches!(*status, 404 | 429)
                || *status >= 500
                || matches!(
                    errcode.as_str(),
                    "M_UNABLE_TO_AUTHORISE_JOIN" | "M_UNABLE_TO_GRANT_JOIN"
                )
        }
        // What it tells of the room forbids the membership it let our user have: others may know better.
        MembershipError::Append(AppendError::Forbidden(_))
        | MembershipError::Elsewhere(ElsewhereError::Unreachable | ElsewhereError::BadAnswer(_)) => {
            true
        }
        _ => false,
    }
}
