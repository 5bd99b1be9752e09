//! The power levels of a successor.

use ruma::{CanonicalJsonObject, CanonicalJsonValue, Int, UserId};
use vestibule_events::RoomVersion;

use super::copy::{Inheritance, additional_creators};
use crate::content::power_level as level;

/// The power levels a successor has one after the other.
#[derive(Debug)]
pub(super) struct Levels {
    /// Those under which everything is copied.
    pub(super) first: CanonicalJsonObject,
    /// Those that stay, where they are others.
    pub(super) last: Option<CanonicalJsonObject>,
}

/// What the creator of a room has that has no power levels yet.
const CREATOR_LEVEL: i64 = 100;
/// What closing a room takes at least where creators stand above all levels: only they should be able to.
const TOMBSTONE_LEVEL: i64 = 150;

impl Inheritance {
    /// The power levels of the successor: those of the old room, as the new version wants them. Whoever
    /// upgrades may have less power than copying takes, and has it only until that is done.
    pub(super) fn levels(
        &self,
        upgrader: &UserId,
        create: &CanonicalJsonObject,
        version: RoomVersion,
    ) -> Levels {
        let rules = &version.rules().authorization;
        let mut stays = self.power_levels.clone();
        if rules.integer_power_levels {
            write_as_integers(&mut stays);
        }
        let highest = highest(&stays);
        if rules.explicitly_privilege_room_creators {
            change(&mut stays, "users", |users| {
                users.remove(upgrader.as_str());
                for creator in additional_creators(create) {
                    users.remove(creator.as_str());
                }
            });
            let state_default = stays.get("state_default").and_then(level).unwrap_or_default();
            let least = TOMBSTONE_LEVEL.max(state_default.saturating_add(1));
            change(&mut stays, "events", |events| {
                let before = events.get("m.room.tombstone").and_then(level).unwrap_or_default();
                set(events, "m.room.tombstone", before.max(least));
            });
            return Levels { first: stays, last: None };
        }
        // Who stood above all levels has the highest where nobody stands above them.
        for creator in &self.creators {
            let level = highest.max(CREATOR_LEVEL);
            change(&mut stays, "users", |users| set(users, creator.as_str(), level));
        }
        let last = Some(stays.clone()).filter(|last| !last.is_empty());
        let enough = match last {
            Some(_) => highest.max(CREATOR_LEVEL).saturating_add(1),
            None => CREATOR_LEVEL,
        };
        change(&mut stays, "users", |users| set(users, upgrader.as_str(), enough));
        Levels { first: stays, last }
    }
}

/// Changes the object at a key; what is none gives way to an empty one.
fn change<T>(
    content: &mut CanonicalJsonObject,
    key: &str,
    work: impl FnOnce(&mut CanonicalJsonObject) -> T,
) {
    let mut part = match content.remove(key) {
        Some(CanonicalJsonValue::Object(part)) => part,
        _ => CanonicalJsonObject::new(),
    };
    work(&mut part);
    content.insert(key.to_owned(), CanonicalJsonValue::Object(part));
}

fn set(levels: &mut CanonicalJsonObject, key: &str, level: i64) {
    levels.insert(key.to_owned(), CanonicalJsonValue::Integer(Int::new_saturating(level)));
}

/// The highest level that is named anywhere.
fn highest(content: &CanonicalJsonObject) -> i64 {
    let levels = content.values().filter_map(|value| match value {
        CanonicalJsonValue::Object(levels) => levels.values().filter_map(level).max(),
        value => level(value),
    });
    levels.max().unwrap_or_default()
}

/// Writes levels that are text as numbers.
fn write_as_integers(content: &mut CanonicalJsonObject) {
    for value in content.values_mut() {
        match value {
            CanonicalJsonValue::Object(levels) => write_as_integers(levels),
            CanonicalJsonValue::String(_) => {
                if let Some(level) = level(value) {
                    *value = CanonicalJsonValue::Integer(Int::new_saturating(level));
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::content::canonical;

    #[test]
    fn levels_written_as_text_become_numbers_and_count() {
        let mut levels = canonical(&json!({
            "ban": "120", "users": { "@a:a": " 7 " }, "events": { "x.y": 3 }, "note": "none",
        }));
        assert_eq!(highest(&levels), 120);
        write_as_integers(&mut levels);
        let expected =
            json!({ "ban": 120, "users": { "@a:a": 7 }, "events": { "x.y": 3 }, "note": "none" });
        assert_eq!(levels, canonical(&expected));
    }
}
