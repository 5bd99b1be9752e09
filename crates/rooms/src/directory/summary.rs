//! What those who are not in a room are told of it, in the specification's words.

use ruma::{OwnedRoomAliasId, OwnedRoomId};
use serde::{Deserialize, Deserializer, Serialize};
use vestibule_storage::{
    Read, StorageError,
    tables::room::{MEMBER_COUNT, StoredMembership},
};

use super::resolve_alias::names_of;
use crate::{
    RoomView,
    facts::{guest_can_join, world_readable},
};

/// A room as the public list shows it. Written as JSON it is a `PublishedRoomsChunk` of the specification.
#[derive(Clone, Debug, Serialize)]
pub struct PublicRoom {
    /// The room.
    pub room_id: OwnedRoomId,
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its topic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// The picture of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub avatar_url: Option<String>,
    /// Its canonical alias, when that is one of ours and leads here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canonical_alias: Option<OwnedRoomAliasId>,
    /// Its type, as `m.space`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub room_type: Option<String>,
    /// The rule by which people join.
    pub join_rule: String,
    /// How many are joined.
    #[serde(rename = "num_joined_members")]
    pub joined_members: u64,
    /// Whether anybody may read it.
    pub world_readable: bool,
    /// Whether guests can join.
    pub guest_can_join: bool,
}

/// What a stranger is told of a room. Written as JSON it is a `RoomSummary` of the specification.
#[derive(Clone, Debug, Serialize)]
pub struct RoomSummary {
    /// What the public list shows.
    #[serde(flatten)]
    pub room: PublicRoom,
    /// The rooms whose members may join a restricted room.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allowed_room_ids: Vec<OwnedRoomId>,
    /// The algorithm messages are encrypted with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encryption: Option<String>,
    /// Its version; empty where another server did not tell it.
    #[serde(rename = "room_version", skip_serializing_if = "String::is_empty")]
    pub version: String,
}

impl RoomSummary {
    /// Whether the room is a space, whose children are rooms.
    pub(crate) fn is_space(&self) -> bool {
        self.room.room_type.as_deref() == Some("m.space")
    }
}

#[derive(Deserialize, Default)]
struct Fields {
    name: Option<String>,
    topic: Option<String>,
    #[serde(rename = "m.topic", default, deserialize_with = "lenient")]
    topic_texts: Texts,
    url: Option<String>,
    alias: Option<OwnedRoomAliasId>,
    join_rule: Option<String>,
    algorithm: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    allow: Vec<Allow>,
}

/// A text in several representations, the preferred one first (client-server API, `m.room.topic`).
#[derive(Deserialize, Default)]
struct Texts {
    #[serde(rename = "m.text", default)]
    texts: Vec<Text>,
}

#[derive(Deserialize)]
struct Text {
    body: String,
    mimetype: Option<String>,
}

/// What is not shaped as it should be says nothing, and takes nothing from the other fields.
fn lenient<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Texts, D::Error> {
    let value = serde_json::Value::deserialize(deserializer)?;
    Ok(Texts::deserialize(value).unwrap_or_default())
}

impl Fields {
    /// The topic in plain text.
    fn plain_topic(self) -> Option<String> {
        let mut texts = self.topic_texts.texts.into_iter();
        let plain = texts.find(|it| it.mimetype.as_deref().is_none_or(|kind| kind == "text/plain"));
        plain.map(|text| text.body).or(self.topic).filter(|topic| !topic.is_empty())
    }
}

#[derive(Deserialize)]
struct Allow {
    room_id: Option<OwnedRoomId>,
}

impl<R: Read> RoomView<'_, R> {
    /// What a stranger is told of the room.
    pub fn summary(&self) -> Result<RoomSummary, StorageError> {
        let name = self.fields("m.room.name")?;
        let topic = self.fields("m.room.topic")?;
        let avatar = self.fields("m.room.avatar")?;
        let rules = self.fields("m.room.join_rules")?;
        let create = self.fields("m.room.create")?;
        let alias = self.fields("m.room.canonical_alias")?.alias;
        let ours = names_of(&self.reader, &self.room.room_id)?;
        let join_rule = rules.join_rule.unwrap_or_else(|| "invite".to_owned());
        let restricted = matches!(join_rule.as_str(), "restricted" | "knock_restricted");
        let allowed = rules.allow.into_iter().filter(|_| restricted);
        let room = PublicRoom {
            room_id: self.room.room_id.clone(),
            name: name.name.filter(|name| !name.is_empty()),
            topic: topic.plain_topic(),
            avatar_url: avatar.url,
            canonical_alias: alias.filter(|alias| {
                alias.server_name() != self.rooms.inner.server_name || ours.contains(alias)
            }),
            room_type: create.kind,
            join_rule,
            joined_members: MEMBER_COUNT
                .get(&self.reader, (self.room.no, StoredMembership::Join.key()))?,
            world_readable: world_readable(self)?,
            guest_can_join: guest_can_join(self)?,
        };
        Ok(RoomSummary {
            room,
            allowed_room_ids: allowed.filter_map(|rule| rule.room_id).collect(),
            encryption: self.fields("m.room.encryption")?.algorithm,
            version: self.room.version.as_str().to_owned(),
        })
    }

    fn fields(&self, event_type: &str) -> Result<Fields, StorageError> {
        Ok(self.shown_state(event_type, "")?.unwrap_or_default())
    }
}
