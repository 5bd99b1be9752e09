//! Who may do what, by power.

use std::{collections::HashSet, sync::Arc};

use ruma::{
    Int, OwnedUserId, UserId,
    events::room::power_levels::UserPowerLevel,
    int,
    room_version_rules::AuthorizationRules,
    serde::deserialize_v1_powerlevel,
    state_res::events::{RoomCreateEvent, RoomPowerLevelsEvent},
};
use serde::Deserialize;
use serde_json::{Map, Value};
use vestibule_events::Pdu;

use crate::AuthError;

/// The power of a user; the creators of version 12 rooms have more than any number.
pub type Power = UserPowerLevel;

/// The power levels of a room, as the authorization rules read them.
pub struct PowerLevels {
    rules: &'static AuthorizationRules,
    creators: HashSet<OwnedUserId>,
    event: Option<RoomPowerLevelsEvent<Arc<Pdu>>>,
}

impl PowerLevels {
    /// Reads the create event and the power levels event of a room's state.
    pub fn new(create: &Pdu, power_levels: Option<Arc<Pdu>>) -> Result<Self, AuthError> {
        let rules = &create.version().rules().authorization;
        let creators = RoomCreateEvent::new(create).creators(rules).map_err(AuthError::new)?;
        Ok(Self { rules, creators, event: power_levels.map(RoomPowerLevelsEvent::new) })
    }

    /// The creators: one user, and in version 12 those it named beside itself.
    #[must_use]
    pub fn creators(&self) -> &HashSet<OwnedUserId> {
        &self.creators
    }

    /// The power of a user.
    pub fn user(&self, user_id: &UserId) -> Result<Power, AuthError> {
        let is_creator = self.creators.contains(user_id);
        if is_creator && self.rules.explicitly_privilege_room_creators {
            return Ok(Power::Infinite);
        }
        let level = match &self.event {
            Some(event) => event.user_power_level(user_id, self.rules).map_err(AuthError::new)?,
            None if is_creator => int!(100),
            None => int!(0),
        };
        Ok(Power::Int(level))
    }

    /// The power needed to send an event of a type.
    pub fn to_send(&self, kind: &str, is_state: bool) -> Result<Int, AuthError> {
        let state_key = is_state.then_some("");
        match &self.event {
            Some(event) => {
                event.event_power_level(&kind.into(), state_key, self.rules).map_err(AuthError::new)
            }
            None if is_state => Ok(int!(50)),
            None => Ok(int!(0)),
        }
    }

    /// The power needed to invite.
    pub fn to_invite(&self) -> Result<Int, AuthError> {
        self.level("invite", int!(0))
    }

    /// The power needed to remove a member.
    pub fn to_kick(&self) -> Result<Int, AuthError> {
        self.level("kick", int!(50))
    }

    /// The power needed to ban.
    pub fn to_ban(&self) -> Result<Int, AuthError> {
        self.level("ban", int!(50))
    }

    /// The power needed to redact events of others.
    pub fn to_redact(&self) -> Result<Int, AuthError> {
        self.level("redact", int!(50))
    }

    /// Whether a redaction takes effect on its target. The target's server may redact what its own users
    /// sent, whoever of them asks; of everybody else, those with enough power.
    pub fn redaction_applies(&self, redaction: &Pdu, target: &Pdu) -> Result<bool, AuthError> {
        if redaction.room_id() != target.room_id() {
            return Ok(false);
        }
        if redaction.sender().server_name() == target.sender().server_name() {
            return Ok(true);
        }
        Ok(self.user(redaction.sender())? >= Power::Int(self.to_redact()?))
    }

    fn level(&self, field: &str, default: Int) -> Result<Int, AuthError> {
        let Some(event) = &self.event else { return Ok(default) };
        let malformed = |error: serde_json::Error| AuthError::new(format!("`{field}`: {error}"));
        let content: Map<String, Value> =
            serde_json::from_str(event.content().get()).map_err(malformed)?;
        match content.get(field) {
            None => Ok(default),
            Some(level) if self.rules.integer_power_levels => {
                Int::deserialize(level).map_err(malformed)
            }
            Some(level) => deserialize_v1_powerlevel(level).map_err(malformed),
        }
    }
}
