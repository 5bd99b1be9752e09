//! What a room's successor takes over.

use ruma::{CanonicalJsonObject, CanonicalJsonValue, OwnedRoomAliasId, OwnedUserId};
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
    /// Who stands above all power levels, in versions that know of that.
    pub(super) creators: Vec<OwnedUserId>,
    pub(super) state: Vec<(String, String, CanonicalJsonObject)>,
    pub(super) canonical_alias: Option<CanonicalJsonObject>,
    pub(super) aliases: Vec<OwnedRoomAliasId>,
    /// Who is banned, and why.
    pub(super) bans: Vec<(OwnedUserId, Option<String>)>,
    pub(super) published: bool,
    pub(super) is_public: bool,
}

impl Inheritance {
    /// Reads what a room has to leave.
    pub(super) fn of<R: Read>(view: &RoomView<'_, R>) -> Result<Self, StorageError> {
        // What the authorization rules read of the old room, they read of the new one.
        let judged = |kind: &str| -> Result<Option<CanonicalJsonObject>, StorageError> {
            let event = view.state_event(kind, "")?;
            Ok(event.and_then(|event| event.pdu.content_as().ok()))
        };
        let mut state = Vec::new();
        for kind in COPIED {
            let content = view.shown_state::<CanonicalJsonObject>(kind, "")?;
            if let Some(content) = content.filter(|content| !content.is_empty()) {
                state.push((kind.to_owned(), String::new(), content));
            }
        }
        let is_public = state.iter().any(|(kind, _, content)| {
            let rule = content.get("join_rule").and_then(CanonicalJsonValue::as_str);
            kind == "m.room.join_rules" && rule == Some("public")
        });
        for ((kind, key), no) in view.full_state(view.room.head.state, Some("m.space.child"))? {
            let Some(child) = view.event(no)? else { continue };
            let content = view.shown_content_as::<CanonicalJsonObject>(&child)?;
            if let Some(content) = content.filter(names_servers) {
                state.push((kind, key, content));
            }
        }
        let create = judged("m.room.create")?.unwrap_or_default();
        Ok(Self {
            creators: creators(view, &create)?,
            create,
            power_levels: judged("m.room.power_levels")?.unwrap_or_default(),
            state,
            canonical_alias: view
                .shown_state::<CanonicalJsonObject>("m.room.canonical_alias", "")?
                .filter(|content| !content.is_empty()),
            aliases: names_of(&view.reader, &view.room.room_id)?,
            bans: bans(view)?,
            published: PUBLICATION_BY_ROOM.get(&view.reader, (view.room.no,))?.is_some(),
            is_public,
        })
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

/// Who is banned from a room, and why, as far as that is still said.
fn bans<R: Read>(
    view: &RoomView<'_, R>,
) -> Result<Vec<(OwnedUserId, Option<String>)>, StorageError> {
    let banned = Scan::prefix((view.room.no, StoredMembership::Ban.key())).limit(BANS_COPIED_MAX);
    let mut bans = Vec::new();
    for ((_, _, user), _) in MEMBER_BY_ROOM.scan_with(&view.reader, banned)? {
        let ban = view.shown_state::<CanonicalJsonObject>("m.room.member", user.as_str())?;
        let reason = ban.and_then(|ban| Some(ban.get("reason")?.as_str()?.to_owned()));
        bans.push((user, reason));
    }
    Ok(bans)
}

/// Who stands above all power levels of a room.
fn creators<R: Read>(
    view: &RoomView<'_, R>,
    create: &CanonicalJsonObject,
) -> Result<Vec<OwnedUserId>, StorageError> {
    if !view.room.version.rules().authorization.explicitly_privilege_room_creators {
        return Ok(Vec::new());
    }
    let sender = view.state_event("m.room.create", "")?.map(|it| it.pdu.sender().to_owned());
    Ok(sender.into_iter().chain(additional_creators(create)).collect())
}

/// The other creators that a creation names.
pub(super) fn additional_creators(
    create: &CanonicalJsonObject,
) -> impl Iterator<Item = OwnedUserId> {
    let named = match create.get("additional_creators") {
        Some(CanonicalJsonValue::Array(named)) => named.as_slice(),
        _ => &[],
    };
    named.iter().filter_map(|it| OwnedUserId::try_from(it.as_str()?).ok())
}

/// Whether the edge of a space leads anywhere: it does not without servers to reach the child through.
fn names_servers(edge: &CanonicalJsonObject) -> bool {
    matches!(edge.get("via"), Some(CanonicalJsonValue::Array(via)) if !via.is_empty())
}

/// The content of a tombstone.
pub(super) fn tombstone(successor: &ruma::RoomId) -> CanonicalJsonObject {
    canonical(&serde_json::json!({
        "body": "This room has been replaced",
        "replacement_room": successor,
    }))
}
