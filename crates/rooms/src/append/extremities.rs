//! The ends of a room: the events nobody has named as previous yet.
//!
//! They decide the room's current state and what our next event follows, and their number is bounded
//! (`docs/decisions/`, "The ends of a room are merged in silence").

use ruma::{CanonicalJsonObject, OwnedUserId};
use vestibule_accounts::facts::subject;
use vestibule_events::EventBuilder;
use vestibule_policy::{AccountState, Policy};
use vestibule_state_res::Power;
use vestibule_storage::{
    Stamped, StorageError,
    tables::room::{EVENT_STATE, LOCAL_MEMBER_BY_ROOM, StoredEventState, StoredMembership},
};
use vestibule_types::limits::{DEPTH_MAX, EXTREMITIES_MAX, MERGERS_SCAN_MAX};

use super::{AppendError, Draft, power_levels};
use crate::{RoomTx, StateAt};

/// The type of an event that only joins the ends of a room.
const MERGE: &str = "org.matrix.dummy_event";

impl RoomTx<'_, '_> {
    /// Keeps the number of ends within its bound: joins them, or lets the one go that says least.
    /// `now` is the state they come to; what the ends that are left come to is returned.
    pub(super) fn bound_ends(&mut self, now: StateAt) -> Result<StateAt, AppendError> {
        let ends = self.known()?.head.extremities.len();
        if ends < EXTREMITIES_MAX || self.merge_ends(now)? || ends == EXTREMITIES_MAX {
            return Ok(now);
        }
        while self.known()?.head.extremities.len() > EXTREMITIES_MAX {
            let dispensable = self.dispensable_end()?;
            self.known_mut()?.head.extremities.remove(dispensable);
        }
        // The next event of ours names these ends: everybody else takes what they come to for the state
        // before it.
        let left = self.known()?.head.extremities.clone();
        self.resolve_ends(&left)
    }

    /// Joins the ends with an event of a member of ours, as our next event would. Nobody is told of it:
    /// it has no place in the timeline, and other servers find it as the parent of what we send next.
    fn merge_ends(&mut self, now: StateAt) -> Result<bool, AppendError> {
        let Some(sender) = self.merger()? else { return Ok(false) };
        let room = self.known()?.clone();
        let prev = self.ends_of(&room.head.extremities)?;
        let at = self.rooms.inner.env.now();
        let draft = Draft {
            sender,
            event_type: MERGE.to_owned(),
            state_key: None,
            content: CanonicalJsonObject::new(),
            redacts: None,
            at,
        };
        // A policy server would have to sign it first, and a room's writer never waits for the network.
        if self.policy_server_for(&draft)?.is_some() {
            return Ok(false);
        }
        let auth = self.auth_events_for(&draft, now)?;
        let builder = EventBuilder {
            room_id: Some(self.room_id.clone()),
            sender: draft.sender,
            event_type: draft.event_type,
            state_key: None,
            content: draft.content,
            origin_server_ts: at,
            prev_events: prev.iter().map(|event| event.pdu.event_id().to_owned()).collect(),
            auth_events: auth.iter().map(|event| event.pdu.event_id().to_owned()).collect(),
            depth: (room.head.depth + 1).min(DEPTH_MAX),
            redacts: None,
        };
        let inner = &self.rooms.inner;
        let pdu = builder.build_and_sign(room.version, &inner.signing_key, &inner.server_name)?;
        match self.authorize(&pdu, &auth, now) {
            Ok(()) => {}
            Err(AppendError::Forbidden(_)) => return Ok(false),
            Err(other) => return Err(other),
        }
        let no = self.store_event(&pdu, &auth, false)?;
        let around = StoredEventState { before: now, after: now, soft_failed: false };
        let stamp = self.next_stamp();
        EVENT_STATE.put(self.tx, (room.no, no), &Stamped { stamp, value: around })?;
        let joined: Vec<_> = prev.iter().map(|event| event.no).collect();
        let head = &mut self.known_mut()?.head;
        head.extremities.retain(|end| !joined.contains(end));
        head.extremities.push(no);
        head.depth = head.depth.max(pdu.depth());
        Ok(true)
    }

    /// A member of ours in whose name ends may be joined: one with an account in use and in good
    /// standing, and with the power to send.
    fn merger(&self) -> Result<Option<OwnedUserId>, AppendError> {
        let room = self.known()?;
        let power = power_levels(&self.view()?, room.head.state)?;
        let malformed =
            |error: vestibule_state_res::AuthError| AppendError::Forbidden(error.reason);
        let needed = Power::Int(power.to_send(MERGE, false).map_err(malformed)?);
        let policy = self.rooms.inner.policy.current();
        let joined = StoredMembership::Join.key();
        let members =
            LOCAL_MEMBER_BY_ROOM.scan(&self.tx.fixed(), (room.no, joined), MERGERS_SCAN_MAX)?;
        for ((_, _, user), ()) in members {
            if power.user(&user).map_err(malformed)? >= needed && self.is_sound(&policy, &user)? {
                return Ok(Some(user));
            }
        }
        Ok(None)
    }

    fn is_sound(&self, policy: &Policy, user: &OwnedUserId) -> Result<bool, StorageError> {
        let account = subject(&self.tx.fixed(), user)?;
        Ok(account.is_some_and(|account| {
            let trusted = policy.class(&account.class).is_some_and(|class| !class.is_low_trust());
            trusted && account.state == AccountState::Active
        }))
    }

    /// The place of the end that can be spared best: the oldest with the same state as another one, or
    /// else the oldest.
    fn dispensable_end(&self) -> Result<usize, AppendError> {
        let view = self.view()?;
        let mut states = Vec::new();
        for end in &view.room.head.extremities {
            states.push(view.around(*end)?.map(|around| around.value.after));
        }
        let twin = states.iter().enumerate().position(|(place, state)| {
            states.iter().enumerate().any(|(other, its)| other != place && its == state)
        });
        Ok(twin.unwrap_or_default())
    }
}
