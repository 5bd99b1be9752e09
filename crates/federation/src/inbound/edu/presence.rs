//! `m.presence`: who is there (server-server API, "Presence").

use std::time::Duration;

use ruma::{OwnedUserId, ServerName};
use serde::Deserialize;
use serde_json::value::RawValue;
use vestibule_rooms::{Availability, PresenceElsewhere};
use vestibule_types::limits::PRESENCE_PER_EDU_MAX;

use crate::Federation;

#[derive(Deserialize)]
struct Content<'a> {
    #[serde(borrow)]
    push: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Update {
    user_id: OwnedUserId,
    presence: Availability,
    #[serde(default)]
    status_msg: Option<String>,
    #[serde(default)]
    last_active_ago: u64,
    #[serde(default)]
    currently_active: bool,
}

impl Federation {
    /// What is malformed or of somebody else's user is passed over, without the rest.
    pub(super) async fn receive_presence(
        &self,
        origin: &ServerName,
        content: &RawValue,
    ) -> &'static str {
        let rooms = &self.inner.parts.rooms;
        if !rooms.presence().config().receive {
            return "ignored";
        }
        let Ok(content) = serde_json::from_str::<Content<'_>>(content.get()) else {
            return "malformed";
        };
        let mut outcome = "not_in_room";
        for update in content.push.into_iter().take(PRESENCE_PER_EDU_MAX) {
            let Ok(update) = serde_json::from_str::<Update>(update.get()) else { continue };
            let said = PresenceElsewhere {
                state: update.presence,
                status: update.status_msg,
                active_ago: Duration::from_millis(update.last_active_ago),
                currently_active: update.currently_active,
            };
            match rooms.presence_elsewhere(origin, &update.user_id, said).await {
                Ok(true) => outcome = "presence",
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(%error, "presence was not taken");
                    return "failed";
                }
            }
        }
        outcome
    }
}
