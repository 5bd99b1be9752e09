//! The one road by which an event enters a room.
//!
//! Local events are built on the room's growing end, authorized and signed here; events from
//! elsewhere are checked against the state they name. Both end in [`record`], which writes the
//! event, its state, the timeline, the stream and the membership index in the batch of the room.

mod authority;
mod authorize;
mod between;
mod extremities;
mod fetched;
mod gaps;
mod history;
mod index;
mod late;
mod made;
mod outlier;
mod receive;
mod recommend;
mod record;
mod relay;
mod resolve;
mod staging;

use ruma::{CanonicalJsonObject, MilliSecondsSinceUnixEpoch, OwnedUserId, UserId};
use vestibule_events::{BuildError, EventBuilder, Pdu};

use std::sync::Arc;
use vestibule_policy::PermitMismatch;
use vestibule_storage::{StorageError, tables::policy::POLICY_EPOCH};
use vestibule_types::{
    EventNo,
    limits::{DEPTH_MAX, PREV_EVENTS_MAX},
};

use crate::{ElsewhereError, LoggedEvent, RoomTx, StateAt, UnknownRoom};

pub(crate) use self::{
    authority::Authority,
    authorize::power_levels,
    index::membership_of,
    outlier::auth_events_first,
    receive::Case,
    recommend::Desk,
    record::{LIVE, is_member},
};
pub use self::{
    receive::{Incoming, ReceiveError, Received},
    record::Appended,
    staging::{StagedEvent, Staging},
};

/// An event as its sender meant it, before the room gives it a place.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Draft {
    /// Who sends it.
    pub(crate) sender: OwnedUserId,
    /// Its type.
    pub(crate) event_type: String,
    /// Its state key, when it is a state event.
    pub(crate) state_key: Option<String>,
    /// Its content.
    pub(crate) content: CanonicalJsonObject,
    /// The event it redacts, when it is a redaction.
    pub(crate) redacts: Option<ruma::OwnedEventId>,
    /// When it was sent.
    pub(crate) at: MilliSecondsSinceUnixEpoch,
}

impl Draft {
    /// A state event.
    pub(crate) fn state(
        sender: &UserId,
        event_type: &str,
        state_key: &str,
        content: CanonicalJsonObject,
        at: MilliSecondsSinceUnixEpoch,
    ) -> Self {
        Self {
            sender: sender.to_owned(),
            event_type: event_type.to_owned(),
            state_key: Some(state_key.to_owned()),
            content,
            redacts: None,
            at,
        }
    }
}

/// Where in the room's graph a new event lies.
#[derive(Debug)]
pub(crate) struct Place {
    /// What it follows.
    pub(crate) prev: Vec<LoggedEvent>,
    /// What authorizes it.
    pub(crate) auth: Vec<LoggedEvent>,
    /// The state before it.
    pub(crate) before: StateAt,
    /// How deep it lies.
    pub(crate) depth: u64,
}

/// Why an event did not enter the room.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// This server does not have the room.
    #[error(transparent)]
    UnknownRoom(#[from] UnknownRoom),
    /// The room's authorization rules refuse it.
    #[error("{0}")]
    Forbidden(String),
    /// It is larger than an event may be.
    #[error("the event is too large")]
    TooLarge,
    /// Its content cannot be an event's content.
    #[error("{0}")]
    BadContent(String),
    /// The permission it came with was for something else, or is out of date.
    #[error("the permission does not cover this event")]
    PermitMismatch(PermitMismatch),
    /// The room's policy server did not sign it.
    #[error(transparent)]
    NotRecommended(ElsewhereError),
    /// The database failed.
    #[error("could not store the event")]
    Storage(#[from] StorageError),
}

impl From<BuildError> for AppendError {
    fn from(error: BuildError) -> Self {
        match error {
            BuildError::TooLarge { .. } | BuildError::FieldTooLong(_) => Self::TooLarge,
            other => Self::BadContent(other.to_string()),
        }
    }
}

impl RoomTx<'_, '_> {
    /// Builds, signs, authorizes and records an event of a local user at the end of the room.
    pub(crate) fn append_local(
        &mut self,
        authority: Authority<'_>,
        draft: Draft,
    ) -> Result<Appended, AppendError> {
        // Nobody but its creator is in a room that is being made.
        let begins = matches!(authority, Authority::Creation(_));
        self.spend(authority, &draft)?;
        if let Some(server) = self.policy_server_for(&draft)?.filter(|_| !begins)
            && let Some(appended) = self.append_recommended(server, &draft)?
        {
            return Ok(appended);
        }
        let place = self.place_for(&draft)?;
        let version = self.known()?.version;
        let inner = &self.rooms.inner;
        let builder = self.builder(draft, &place);
        let pdu = builder.build_and_sign(version, &inner.signing_key, &inner.server_name)?;

        self.authorize(&pdu, &place.auth, place.before)?;
        let prev = place.prev.iter().map(|event| event.no).collect::<Vec<_>>();
        let (room, next) = (self.known()?.no, self.known()?.head.next_event);
        let appended = self.record(Arc::new(pdu), &place.auth, &prev, place.before)?;
        // One that was here already is remembered as it stands in its row.
        if appended.no.0 >= next {
            let auth = place.auth.iter().map(|event| event.no).collect();
            let event = LoggedEvent { no: appended.no, pdu: Arc::clone(&appended.pdu), auth };
            self.made.push((room, event));
        }
        Ok(appended)
    }

    /// Where an event that is sent now lies: what it follows, and what authorizes it.
    pub(crate) fn place_for(&mut self, draft: &Draft) -> Result<Place, AppendError> {
        let room = self.known()?.clone();
        let prev = self.ends_of(&room.head.extremities)?;
        let before = if prev.len() == room.head.extremities.len() {
            room.head.state
        } else {
            self.state_after_all(&prev)?
        };
        let auth = self.auth_events_for(draft, before)?;
        Ok(Place { prev, auth, before, depth: (room.head.depth + 1).min(DEPTH_MAX) })
    }

    /// A draft at its place.
    pub(crate) fn builder(&self, draft: Draft, place: &Place) -> EventBuilder {
        let ids = |events: &[LoggedEvent]| {
            events.iter().map(|event| event.pdu.event_id().to_owned()).collect()
        };
        EventBuilder {
            room_id: Some(self.room_id.clone()),
            sender: draft.sender,
            event_type: draft.event_type,
            state_key: draft.state_key,
            content: draft.content,
            origin_server_ts: draft.at,
            prev_events: ids(&place.prev),
            auth_events: ids(&place.auth),
            depth: place.depth,
            redacts: draft.redacts,
        }
    }

    /// Appends the event that begins the room. It was built before the room had an identifier.
    pub(crate) fn append_create(
        &mut self,
        authority: Authority<'_>,
        pdu: Pdu,
    ) -> Result<Appended, AppendError> {
        let create = Draft {
            sender: pdu.sender().to_owned(),
            event_type: pdu.kind().to_owned(),
            state_key: Some(String::new()),
            content: CanonicalJsonObject::new(),
            redacts: None,
            at: pdu.origin_server_ts(),
        };
        self.spend(authority, &create)?;
        self.authorize(&pdu, &[], crate::state::EMPTY)?;
        self.record(Arc::new(pdu), &[], &[], crate::state::EMPTY)
    }

    /// The events a new one follows: all ends of the room, up to the bound.
    fn ends_of(&self, extremities: &[EventNo]) -> Result<Vec<LoggedEvent>, StorageError> {
        let newest_first = extremities.iter().rev().take(PREV_EVENTS_MAX);
        let mut ends = Vec::new();
        for no in newest_first {
            ends.extend(self.event(*no)?);
        }
        Ok(ends)
    }

    /// Spends what the event is appended by. The stored epoch is read through the transaction, so a
    /// policy change between decision and commit makes the batch run again.
    fn spend(&self, authority: Authority<'_>, draft: &Draft) -> Result<(), AppendError> {
        let epoch = POLICY_EPOCH.get(&*self.tx, (0,))?.unwrap_or_default();
        authority.spend(draft, &self.room_id, epoch).map_err(AppendError::PermitMismatch)
    }
}
