//! `GET /_matrix/federation/v1/hierarchy/{roomId}`: a space as a server in it tells of it.

use ruma::{
    RoomId, ServerName,
    api::federation::space::get_hierarchy::v1::Request,
    room::{JoinRuleSummary, RoomSummary as Told},
    serde::Raw,
};
use vestibule_remote::CallOptions;
use vestibule_rooms::{ElsewhereError, PublicRoom, RoomSummary, SpaceElsewhere};
use vestibule_types::limits::{HIERARCHY_ANSWER_BYTES_MAX, LOOKUP_MAX};

use super::failure::{failed, is_absent};
use crate::Federation;

impl Federation {
    /// Asks a server about a space. `None` when it does not know it, or does not tell us.
    pub(super) async fn ask_for_space(
        &self,
        server: &ServerName,
        room_id: &RoomId,
    ) -> Result<Option<SpaceElsewhere>, ElsewhereError> {
        let options = CallOptions {
            answer_bytes_max: HIERARCHY_ANSWER_BYTES_MAX,
            time_max: LOOKUP_MAX,
            ..CallOptions::default()
        };
        let request = Request::new(room_id.to_owned());
        let answer = match self.remote().call_with(server, request, options).await {
            Ok(answer) => answer,
            Err(error) if is_absent(&error) => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        if answer.room.summary.room_id != room_id {
            return Err(ElsewhereError::BadAnswer("it is about another room".to_owned()));
        }
        let children_state = answer.room.children_state.into_iter();
        Ok(Some(SpaceElsewhere {
            summary: summary(answer.room.summary),
            children_state: children_state.map(Raw::into_json).collect(),
            children: answer.children.into_iter().map(summary).collect(),
        }))
    }
}

/// A room as it was told, in our words.
fn summary(told: Told) -> RoomSummary {
    let allowed_room_ids = match &told.join_rule {
        JoinRuleSummary::Restricted(rule) | JoinRuleSummary::KnockRestricted(rule) => {
            rule.allowed_room_ids.clone()
        }
        _ => Vec::new(),
    };
    let room = PublicRoom {
        join_rule: told.join_rule.as_str().to_owned(),
        room_id: told.room_id,
        name: told.name.filter(|name| !name.is_empty()),
        topic: told.topic.filter(|topic| !topic.is_empty()),
        avatar_url: told.avatar_url.map(|url| url.to_string()),
        canonical_alias: told.canonical_alias,
        room_type: told.room_type.map(|kind| kind.to_string()),
        joined_members: told.num_joined_members.into(),
        world_readable: told.world_readable,
        guest_can_join: told.guest_can_join,
    };
    RoomSummary {
        room,
        allowed_room_ids,
        encryption: told.encryption.map(|algorithm| algorithm.to_string()),
        version: told.room_version.map(|version| version.to_string()).unwrap_or_default(),
    }
}
