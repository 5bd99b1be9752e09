//! Handing in a membership event: `send_join`, `send_knock`, `send_leave`.

use std::collections::{BTreeMap, BTreeSet};

use ruma::{
    OwnedEventId, ServerName,
    api::federation::membership::{
        RawStrippedState, create_join_event, create_knock_event, create_leave_event,
    },
};
use serde_json::value::RawValue;
use vestibule_events::{Pdu, RoomVersion, Verified};
use vestibule_remote::CallOptions;
use vestibule_rooms::{Answer, ElsewhereError, JoinAnswer, Wanted};
use vestibule_types::limits::{
    JOIN_ANSWER_BYTES_MAX, JOIN_ANSWER_EVENTS_MAX, JOIN_ANSWER_TIME_MAX,
};

use super::failure::{bad, failed};
use crate::{Federation, VerifyEventError};

/// Events parsed in one go, before others get their turn.
const PARSED_AT_ONCE: usize = 100;

impl Federation {
    /// Hands a membership event to the server that laid it out.
    pub(super) async fn hand_in(
        &self,
        server: &ServerName,
        wanted: Wanted,
        pdu: &Pdu,
    ) -> Result<Answer, ElsewhereError> {
        let json = pdu.to_federation_json().map_err(|error| bad(error.to_string()))?;
        let (room_id, event_id) = (pdu.room_id().to_owned(), pdu.event_id().clone());
        match wanted {
            Wanted::Join => self.send_join(server, pdu, json).await.map(Answer::Joined),
            Wanted::Knock => {
                let request = create_knock_event::v1::Request::new(room_id, event_id, json);
                let answer = self.remote().call(server, request).await.map_err(failed)?;
                let shown = answer.knock_room_state.into_iter().map(as_sent);
                Ok(Answer::Knocked(shown.collect()))
            }
            Wanted::Leave => {
                let request = create_leave_event::v2::Request::new(room_id, event_id, json);
                self.remote().call(server, request).await.map_err(failed)?;
                Ok(Answer::Left)
            }
        }
    }

    async fn send_join(
        &self,
        server: &ServerName,
        pdu: &Pdu,
        json: Box<RawValue>,
    ) -> Result<JoinAnswer, ElsewhereError> {
        let (room_id, event_id) = (pdu.room_id().to_owned(), pdu.event_id().clone());
        let request = create_join_event::v2::Request::new(room_id, event_id, json);
        let options = CallOptions {
            answer_bytes_max: JOIN_ANSWER_BYTES_MAX,
            time_max: JOIN_ANSWER_TIME_MAX,
            ..CallOptions::default()
        };
        let answer = self.remote().call_with(server, request, options).await.map_err(failed)?;
        let answer = answer.room_state;
        if answer.members_omitted {
            return Err(bad("the room came without its members"));
        }
        if answer.state.len().max(answer.auth_chain.len()) > JOIN_ANSWER_EVENTS_MAX {
            return Err(bad("the room has too many events"));
        }
        let version = pdu.version();
        let event = match answer.event {
            Some(event) => Some(self.one(&event, version).await?),
            None => None,
        };
        let mut events = BTreeMap::new();
        let state = parse(answer.state, version, &mut events).await;
        parse(answer.auth_chain, version, &mut events).await;
        let skeleton = skeleton(pdu, &state, &events);
        let mut found = JoinAnswer { event, ..JoinAnswer::default() };
        let ids: Vec<OwnedEventId> = events.keys().cloned().collect();
        let verified = self.key_ring().verify_events(events.into_values().collect()).await;
        for (id, verified) in ids.into_iter().zip(verified) {
            match verified {
                Ok(event) if state.contains(event.pdu().event_id()) => found.state.push(event),
                Ok(event) => found.auth_chain.push(event),
                // Nothing was found out about it: a room is not begun without it.
                Err(VerifyEventError::Unavailable(cause)) => {
                    tracing::warn!(%cause, "the events of a room could not be verified");
                    return Err(ElsewhereError::Unreachable);
                }
                Err(error @ VerifyEventError::NoKeys(_)) if skeleton.contains(&id) => {
                    tracing::warn!(%error, "a room is not begun without what its rules stand on");
                    return Err(bad(format!("the room's rules cannot be verified: {error}")));
                }
                Err(error @ VerifyEventError::NoKeys(_)) => {
                    tracing::warn!(%error, "an event of a room that is joined is left out");
                }
                Err(error) => {
                    tracing::debug!(
                        error = &error as &dyn std::error::Error,
                        "an event is left out"
                    );
                }
            }
        }
        Ok(found)
    }

    /// Parses and verifies one event.
    pub(super) async fn one(
        &self,
        json: &RawValue,
        version: RoomVersion,
    ) -> Result<Verified, ElsewhereError> {
        let pdu = Pdu::parse_untrusted(json.get().as_bytes(), version)
            .map_err(|error| bad(error.to_string()))?;
        let verified = self.key_ring().verify_events(vec![pdu]).await.pop();
        verified.ok_or(ElsewhereError::Unreachable)?.map_err(|error| bad(error.to_string()))
    }
}

/// Adds the events that can be read to those found so far, each once. Returns their identifiers.
async fn parse(
    raw: Vec<Box<RawValue>>,
    version: RoomVersion,
    found: &mut BTreeMap<OwnedEventId, Pdu>,
) -> BTreeSet<OwnedEventId> {
    let mut ids = BTreeSet::new();
    for (number, json) in raw.into_iter().enumerate() {
        match Pdu::parse_untrusted(json.get().as_bytes(), version) {
            Ok(pdu) => {
                ids.insert(pdu.event_id().clone());
                found.insert(pdu.event_id().clone(), pdu);
            }
            Err(error) => {
                tracing::debug!(error = &error as &dyn std::error::Error, "an event is left out");
            }
        }
        if number % PARSED_AT_ONCE == PARSED_AT_ONCE - 1 {
            tokio::task::yield_now().await;
        }
    }
    ids
}

/// What the rules of a room stand on: who made it, who has which power, who may come in, which servers
/// take part, what our join names, and everything that authorizes these. Without one of them this server
/// would judge by other rules than everybody else.
fn skeleton(
    join: &Pdu,
    state: &BTreeSet<OwnedEventId>,
    events: &BTreeMap<OwnedEventId, Pdu>,
) -> BTreeSet<OwnedEventId> {
    let rules = state.iter().filter(|id| events.get(*id).is_some_and(is_rule));
    let mut waiting: Vec<&OwnedEventId> = rules.chain(join.auth_events()).collect();
    let mut found = BTreeSet::new();
    while let Some(id) = waiting.pop() {
        let Some(pdu) = events.get(id) else { continue };
        if found.insert(id.clone()) {
            waiting.extend(pdu.auth_events());
        }
    }
    found
}

fn is_rule(pdu: &Pdu) -> bool {
    const RULES: [&str; 4] =
        ["m.room.create", "m.room.power_levels", "m.room.join_rules", "m.room.server_acl"];
    pdu.state_key() == Some("") && RULES.contains(&pdu.kind())
}

/// State for somebody outside of the room, as it was sent.
#[must_use]
pub fn as_sent(state: RawStrippedState) -> Box<RawValue> {
    match state {
        RawStrippedState::Pdu(json) => json,
        #[expect(deprecated, reason = "servers send this form for rooms before version 12")]
        RawStrippedState::Stripped(event) => event.into_json(),
        _ => RawValue::NULL.to_owned(),
    }
}
