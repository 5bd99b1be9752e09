//! What has to be known of a room before events of other servers are let in.

use std::collections::HashMap;

use ruma::{OwnedEventId, OwnedServerName, RoomId, ServerName};
use serde::Deserialize;
use vestibule_events::RoomVersion;
use vestibule_storage::{
    Read, StorageError,
    tables::room::{EVENT_BY_ID, EVENT_STATE},
};
use vestibule_types::{EventNo, limits::PREV_EVENTS_MAX};

use crate::{RoomView, Rooms};

/// A room as it is before events are let in.
#[derive(Clone, Debug)]
pub struct InboundRoom {
    /// Its version.
    pub version: RoomVersion,
    /// Whether a user of ours is in it.
    pub resident: bool,
    /// Whether its access control list lets the asking server take part.
    pub allowed: bool,
    /// Its policy server, when it uses one.
    pub policy_server: Option<PolicyServer>,
    /// Its ends, newest last, as many as an event can name.
    pub ends: Vec<OwnedEventId>,
}

/// The server whose recommendation the events of a room need (server-server API, "Policy Servers").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyServer {
    /// Its name.
    pub via: OwnedServerName,
    /// Its public key, as the room's state has it: unpadded base64.
    pub ed25519: String,
}

/// What is known of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKnown {
    /// It lies in the room's graph.
    Judged,
    /// It is here, but the state around it is not known.
    Outlier,
}

#[derive(Deserialize)]
struct PolicyContent {
    via: OwnedServerName,
    public_keys: PublicKeys,
}

#[derive(Deserialize)]
struct PublicKeys {
    ed25519: String,
}

impl Rooms {
    /// A room as it is before events from `origin` are let in. `None` for one that is not here.
    pub async fn inbound_room(
        &self,
        room_id: &RoomId,
        origin: &ServerName,
    ) -> Result<Option<InboundRoom>, StorageError> {
        let origin = origin.to_owned();
        self.with_view(room_id, move |view| {
            let mut ends = Vec::new();
            let newest = view.room.head.extremities.iter().rev().take(PREV_EVENTS_MAX);
            for no in newest {
                ends.extend(view.event(*no)?.map(|event| event.pdu.event_id().clone()));
            }
            ends.reverse();
            Ok(InboundRoom {
                version: view.room.version,
                resident: view.is_resident()?,
                allowed: view.acl_allows(&origin)?,
                policy_server: view.policy_server()?,
                ends,
            })
        })
        .await
    }

    /// What is known of events, by id; those that are not of the room are not in the answer.
    pub async fn known_events(
        &self,
        room_id: &RoomId,
        ids: Vec<OwnedEventId>,
    ) -> Result<HashMap<OwnedEventId, EventKnown>, StorageError> {
        let known = self.with_view(room_id, move |view| {
            let room = view.room.no;
            let places = EVENT_BY_ID.multi_get(&view.reader, ids.iter().map(|id| (id,)))?;
            let here: Vec<(OwnedEventId, EventNo)> = ids
                .into_iter()
                .zip(places)
                .filter_map(|(id, place)| Some((id, place.filter(|it| it.room == room)?.event)))
                .collect();
            let around =
                EVENT_STATE.multi_get(&view.reader, here.iter().map(|(_, no)| (room, *no)))?;
            let known = here.into_iter().zip(around).map(|((id, _), around)| match around {
                Some(_) => (id, EventKnown::Judged),
                None => (id, EventKnown::Outlier),
            });
            Ok::<_, StorageError>(known.collect())
        });
        Ok(known.await?.unwrap_or_default())
    }
}

impl<R: Read> RoomView<'_, R> {
    /// The policy server the room uses now: one that a valid `m.room.policy` names and that has somebody
    /// in the room.
    pub fn policy_server(&self) -> Result<Option<PolicyServer>, StorageError> {
        let content = self.shown_state::<PolicyContent>("m.room.policy", "")?;
        let Some(content) = content else { return Ok(None) };
        let here = self.has_server(&content.via)?;
        Ok(here.then_some(PolicyServer { via: content.via, ed25519: content.public_keys.ed25519 }))
    }
}
