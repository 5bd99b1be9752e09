//! Spaces, and rooms seen from outside.

mod get_hierarchy;
mod get_summary;

use ruma::api::client::{room, space};
use serde::Serialize;
use vestibule_http::Login;
use vestibule_policy::EndpointRule;
use vestibule_rooms::RoomSummary;

use crate::ClientRoutes;

pub(crate) fn routes(routes: ClientRoutes) -> ClientRoutes {
    use EndpointRule::{Authenticated, PublicDirectory};
    routes
        .mount::<space::get_hierarchy::v1::Request, _>(Authenticated, get_hierarchy::handle)
        .mount_with_login::<room::get_summary::v1::Request, _>(
        PublicDirectory,
        Login::Optional,
        get_summary::handle,
    )
}

/// A room as the specification describes it to those who are not in it.
#[derive(Debug, Serialize)]
struct Summary {
    room_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    topic: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    avatar_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    canonical_alias: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    room_type: Option<String>,
    join_rule: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    allowed_room_ids: Vec<String>,
    num_joined_members: u64,
    world_readable: bool,
    guest_can_join: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    encryption: Option<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    room_version: String,
}

impl From<RoomSummary> for Summary {
    fn from(room: RoomSummary) -> Self {
        let restricted = matches!(room.join_rule.as_str(), "restricted" | "knock_restricted");
        let allowed = room.allowed_room_ids.into_iter().filter(|_| restricted);
        Self {
            room_id: room.room_id.to_string(),
            name: room.name,
            topic: room.topic,
            avatar_url: room.avatar_url,
            canonical_alias: room.canonical_alias.map(|alias| alias.to_string()),
            room_type: room.room_type,
            join_rule: room.join_rule,
            allowed_room_ids: allowed.map(|room_id| room_id.to_string()).collect(),
            num_joined_members: room.joined_members,
            world_readable: room.world_readable,
            guest_can_join: room.guest_can_join,
            encryption: room.encryption,
            room_version: room.version,
        }
    }
}
