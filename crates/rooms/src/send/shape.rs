//! What the content of state must be like: what the room's rules read of it, they must be able to read.

use ruma::{CanonicalJsonObject, CanonicalJsonValue, RoomId, UserId};
use vestibule_events::RoomVersion;

use super::{SendError, SendState};
use crate::{RoomTx, append::power_levels, content::power_level, for_servers::shuts_out};

impl RoomTx<'_, '_> {
    /// Refuses contents that would do harm or mean nothing, before anybody is asked whether they may be set.
    pub(super) fn check_content(&self, command: &SendState) -> Result<(), SendError> {
        let version = self.known()?.version;
        let (kind, content) = (command.event_type.as_str(), &command.content);
        if let Some(reason) = malformed(version, kind, content) {
            return Err(SendError::Malformed(reason));
        }
        let own = &self.rooms.inner.server_name;
        match kind {
            "m.room.power_levels" => self.check_creators(version, content),
            "m.room.tombstone" if !leads_on(content, &self.room_id) => {
                Err(SendError::BadContent("`replacement_room` must be another room"))
            }
            "m.room.server_acl" if command.state_key.is_empty() && shuts_out(content, own) => {
                Err(SendError::BadContent("the access control list shuts this server out"))
            }
            _ => Ok(()),
        }
    }

    /// Those who stand above all levels have none.
    fn check_creators(
        &self,
        version: RoomVersion,
        content: &CanonicalJsonObject,
    ) -> Result<(), SendError> {
        let Some(CanonicalJsonValue::Object(users)) = content.get("users") else { return Ok(()) };
        if !version.rules().authorization.explicitly_privilege_room_creators {
            return Ok(());
        }
        let view = self.view()?;
        let power = power_levels(&view, view.room.head.state)?;
        if power.creators().iter().any(|creator| users.contains_key(creator.as_str())) {
            return Err(SendError::Malformed("a creator of the room cannot be in its `users`"));
        }
        Ok(())
    }
}

/// What of a content the authorization rules could not read.
fn malformed(
    version: RoomVersion,
    kind: &str,
    content: &CanonicalJsonObject,
) -> Option<&'static str> {
    let text = |key: &str| content.get(key).and_then(CanonicalJsonValue::as_str);
    match kind {
        "m.room.power_levels" => malformed_levels(version, content),
        "m.room.member" => {
            let known = ["join", "invite", "leave", "ban", "knock"];
            let is_known = text("membership").is_some_and(|it| known.contains(&it));
            (!is_known).then_some("`membership` is missing or unknown")
        }
        "m.room.join_rules" => {
            text("join_rule").is_none().then_some("`join_rule` is missing or no text")
        }
        "m.room.create" => {
            let is_text = content.get("room_version").is_none_or(|it| it.as_str().is_some());
            (!is_text).then_some("`room_version` must be text")
        }
        _ => None,
    }
}

fn malformed_levels(version: RoomVersion, content: &CanonicalJsonObject) -> Option<&'static str> {
    let only_integers = version.rules().authorization.integer_power_levels;
    let is_level = |value: &CanonicalJsonValue| match value {
        CanonicalJsonValue::String(_) if only_integers => false,
        value => power_level(value).is_some(),
    };
    let single =
        ["users_default", "events_default", "state_default", "ban", "redact", "kick", "invite"];
    if !single.iter().filter_map(|key| content.get(*key)).all(is_level) {
        return Some("power levels must be integers");
    }
    for key in ["users", "events", "notifications"] {
        let levels = match content.get(key) {
            None => continue,
            Some(CanonicalJsonValue::Object(levels)) => levels,
            Some(_) => return Some("`users`, `events` and `notifications` must be objects"),
        };
        if !levels.values().all(is_level) {
            return Some("power levels must be integers");
        }
        if key == "users" && levels.keys().any(|user| <&UserId>::try_from(user.as_str()).is_err()) {
            return Some("`users` must be named by their ids");
        }
    }
    None
}

/// Whether a tombstone names a room, and another one than that it closes.
fn leads_on(content: &CanonicalJsonObject, here: &RoomId) -> bool {
    let named = content.get("replacement_room").and_then(CanonicalJsonValue::as_str);
    named.is_some_and(|named| named != here && <&RoomId>::try_from(named).is_ok())
}

/// The aliases that an `m.room.canonical_alias` names.
pub(crate) fn named_aliases(content: &CanonicalJsonObject) -> Result<Vec<String>, SendError> {
    let mut aliases = Vec::new();
    match content.get("alias") {
        Some(CanonicalJsonValue::String(alias)) if !alias.is_empty() => aliases.push(alias.clone()),
        Some(CanonicalJsonValue::String(_) | CanonicalJsonValue::Null) | None => {}
        Some(_) => return Err(SendError::BadContent("`alias` must be a room alias")),
    }
    match content.get("alt_aliases") {
        None => {}
        Some(CanonicalJsonValue::Array(alternatives)) => {
            for alternative in alternatives {
                let CanonicalJsonValue::String(alias) = alternative else {
                    return Err(SendError::BadContent("`alt_aliases` must be room aliases"));
                };
                aliases.push(alias.clone());
            }
        }
        Some(_) => return Err(SendError::BadContent("`alt_aliases` must be a list")),
    }
    Ok(aliases)
}
