//! What a room's successor takes over.

use ruma::{CanonicalJsonObject, CanonicalJsonValue, OwnedRoomAliasId, OwnedUserId, UserId};
use vestibule_events::RoomVersion;
use vestibule_storage::{
    Read, Scan, StorageError,
    tables::{
        directory::PUBLICATION_BY_ROOM,
        room::{MEMBER_BY_ROOM, StoredMembership},
    },
};
use vestibule_types::limits::BANS_COPIED_MAX;

use crate::{RoomView, content::canonical, directory::names_of};

/// The state a successor copies, in the order it is set.
const COPIED: [&str; 8] = [
    "m.room.join_rules",
    "m.room.history_visibility",
    "m.room.guest_access",
    "m.room.server_acl",
    "m.room.encryption",
    "m.room.name",
    "m.room.avatar",
    "m.room.topic",
];

/// What a room leaves to its successor.
#[derive(Clone, Debug)]
pub(super) struct Inheritance {
    pub(super) create: CanonicalJsonObject,
    pub(super) power_levels: CanonicalJsonObject,
    pub(super) state: Vec<(String, String, CanonicalJsonObject)>,
    pub(super) canonical_alias: Option<CanonicalJsonObject>,
    pub(super) aliases: Vec<OwnedRoomAliasId>,
    pub(super) bans: Vec<OwnedUserId>,
    pub(super) published: bool,
    pub(super) is_public: bool,
    pub(super) last_event: String,
}

impl Inheritance {
    /// Reads what a room has to leave.
    pub(super) fn of<R: Read>(view: &RoomView<'_, R>) -> Result<Self, StorageError> {
        let content = |kind: &str| -> Result<Option<CanonicalJsonObject>, StorageError> {
            let event = view.state_event(kind, "")?;
            Ok(event.and_then(|event| event.pdu.content_as().ok()))
        };
        let mut state = Vec::new();
        for kind in COPIED {
            if let Some(content) = content(kind)? {
                state.push((kind.to_owned(), String::new(), content));
            }
        }
        let is_public = state.iter().any(|(kind, _, content)| {
            let rule = content.get("join_rule").and_then(CanonicalJsonValue::as_str);
            kind == "m.room.join_rules" && rule == Some("public")
        });
        for ((kind, key), no) in view.full_state(view.room.head.state, Some("m.space.child"))? {
            let child = view.event(no)?;
            if let Some(content) = child.and_then(|event| event.pdu.content_as().ok()) {
                state.push((kind, key, content));
            }
        }
        let banned = Scan::prefix((view.room.no, StoredMembership::Ban.key()));
        let bans = MEMBER_BY_ROOM.scan_with(&view.reader, banned.limit(BANS_COPIED_MAX))?;
        let last = match view.room.head.extremities.last() {
            Some(no) => view.event(*no)?,
            None => None,
        };
        Ok(Self {
            create: content("m.room.create")?.unwrap_or_default(),
            power_levels: content("m.room.power_levels")?.unwrap_or_default(),
            state,
            canonical_alias: content("m.room.canonical_alias")?,
            aliases: names_of(&view.reader, &view.room.room_id)?,
            bans: bans.into_iter().map(|((_, _, user), _)| user).collect(),
            published: PUBLICATION_BY_ROOM.get(&view.reader, (view.room.no,))?.is_some(),
            is_public,
            last_event: last.map(|event| event.pdu.event_id().to_string()).unwrap_or_default(),
        })
    }

    /// The power levels of the successor: those of the old room, as the new version wants them.
    pub(super) fn new_power_levels(
        &self,
        creator: &UserId,
        create: &CanonicalJsonObject,
        version: RoomVersion,
    ) -> CanonicalJsonObject {
        let mut content = self.power_levels.clone();
        let rules = &version.rules().authorization;
        let users = content
            .entry("users".to_owned())
            .or_insert_with(|| CanonicalJsonValue::Object(CanonicalJsonObject::new()));
        let CanonicalJsonValue::Object(users) = users else { return content };
        if rules.explicitly_privilege_room_creators {
            users.remove(creator.as_str());
            if let Some(CanonicalJsonValue::Array(more)) = create.get("additional_creators") {
                for creator in more.iter().filter_map(CanonicalJsonValue::as_str) {
                    users.remove(creator);
                }
            }
            raise_tombstone(&mut content);
        } else {
            let level = CanonicalJsonValue::Integer(ruma::int!(100));
            users.insert(creator.to_string(), level);
        }
        content
    }

    /// The power levels that close the old room: nobody talks any more, nobody is invited.
    pub(super) fn closing_power_levels(&self) -> CanonicalJsonObject {
        let mut content = self.power_levels.clone();
        let level = |key: &str| match self.power_levels.get(key) {
            Some(CanonicalJsonValue::Integer(level)) => i64::from(*level),
            _ => 0,
        };
        let restricted = (level("users_default") + 1).max(50);
        for key in ["events_default", "invite"] {
            let raised = ruma::Int::new_saturating(restricted.max(level(key)));
            content.insert(key.to_owned(), CanonicalJsonValue::Integer(raised));
        }
        content
    }
}

/// Where creators stand above all levels, only they should be able to close the room.
fn raise_tombstone(content: &mut CanonicalJsonObject) {
    let events = content
        .entry("events".to_owned())
        .or_insert_with(|| CanonicalJsonValue::Object(CanonicalJsonObject::new()));
    if let CanonicalJsonValue::Object(events) = events {
        events.insert("m.room.tombstone".to_owned(), CanonicalJsonValue::Integer(ruma::int!(150)));
    }
}

/// The content of a tombstone.
pub(super) fn tombstone(successor: &ruma::RoomId) -> CanonicalJsonObject {
    canonical(&serde_json::json!({
        "body": "This room has been replaced",
        "replacement_room": successor,
    }))
}
