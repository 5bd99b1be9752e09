//! Asking for a membership event to sign: `make_join`, `make_knock`, `make_leave`.

use ruma::{
    OwnedEventId, OwnedRoomId, OwnedUserId, RoomVersionId, ServerName,
    api::federation::membership::{prepare_join_event, prepare_knock_event, prepare_leave_event},
};
use serde::Deserialize;
use serde_json::value::RawValue;
use vestibule_events::RoomVersion;
use vestibule_rooms::{ElsewhereError, Handshake, Prepared, Wanted};
use vestibule_types::limits::{AUTH_EVENTS_MAX, DEPTH_MAX, PREV_EVENTS_MAX};

use super::failure::{bad, failed};
use crate::Federation;

/// What is taken from a template. Everything else in the event is ours.
#[derive(Deserialize)]
struct Template {
    room_id: OwnedRoomId,
    sender: OwnedUserId,
    state_key: String,
    r#type: String,
    content: Content,
    prev_events: Vec<OwnedEventId>,
    auth_events: Vec<OwnedEventId>,
    depth: u64,
}

#[derive(Deserialize)]
struct Content {
    membership: String,
    join_authorised_via_users_server: Option<OwnedUserId>,
}

impl Federation {
    /// Asks a server for a membership event of our user.
    pub(super) async fn prepare(
        &self,
        server: &ServerName,
        handshake: &Handshake,
    ) -> Result<Prepared, ElsewhereError> {
        let (version, event) = match handshake.wanted {
            Wanted::Join => self.make_join(server, handshake).await?,
            Wanted::Knock => self.make_knock(server, handshake).await?,
            Wanted::Leave => self.make_leave(server, handshake).await?,
        };
        // Without a version it is one of the two oldest.
        let version = version.unwrap_or(RoomVersionId::V1);
        let version = RoomVersion::try_from(&version)
            .map_err(|_| ElsewhereError::UnknownVersion(version.to_string()))?;
        let template = serde_json::from_str::<Template>(event.get())
            .map_err(|error| bad(format!("the template cannot be read: {error}")))?;
        check(handshake, template, version)
    }

    async fn make_join(
        &self,
        server: &ServerName,
        handshake: &Handshake,
    ) -> Result<(Option<RoomVersionId>, Box<RawValue>), ElsewhereError> {
        let Handshake { room_id, user_id, .. } = handshake.clone();
        let mut request = prepare_join_event::v1::Request::new(room_id, user_id);
        request.ver = versions();
        let answer = self.remote().call(server, request).await.map_err(failed)?;
        Ok((answer.room_version, answer.event))
    }

    async fn make_knock(
        &self,
        server: &ServerName,
        handshake: &Handshake,
    ) -> Result<(Option<RoomVersionId>, Box<RawValue>), ElsewhereError> {
        let Handshake { room_id, user_id, .. } = handshake.clone();
        let mut request = prepare_knock_event::v1::Request::new(room_id, user_id);
        request.ver = versions();
        let answer = self.remote().call(server, request).await.map_err(failed)?;
        Ok((Some(answer.room_version), answer.event))
    }

    async fn make_leave(
        &self,
        server: &ServerName,
        handshake: &Handshake,
    ) -> Result<(Option<RoomVersionId>, Box<RawValue>), ElsewhereError> {
        let Handshake { room_id, user_id, .. } = handshake.clone();
        let request = prepare_leave_event::v1::Request::new(room_id, user_id);
        let answer = self.remote().call(server, request).await.map_err(failed)?;
        Ok((answer.room_version, answer.event))
    }
}

fn versions() -> Vec<RoomVersionId> {
    RoomVersion::ALL.into_iter().map(RoomVersion::id).collect()
}

/// A template must be the membership that was asked for (server-server API, "Joining Rooms").
fn check(
    handshake: &Handshake,
    template: Template,
    version: RoomVersion,
) -> Result<Prepared, ElsewhereError> {
    let is_it = template.r#type == "m.room.member"
        && template.room_id == handshake.room_id
        && template.sender == handshake.user_id
        && template.state_key == handshake.user_id.as_str()
        && template.content.membership == handshake.wanted.as_str();
    if !is_it {
        return Err(bad("the template is another event than the one asked for"));
    }
    let (prev, auth) = (template.prev_events.len(), template.auth_events.len());
    if prev > PREV_EVENTS_MAX || auth > AUTH_EVENTS_MAX || template.depth > DEPTH_MAX {
        return Err(bad("the template names too many events"));
    }
    Ok(Prepared {
        version,
        prev_events: template.prev_events,
        auth_events: template.auth_events,
        depth: template.depth,
        voucher: template.content.join_authorised_via_users_server,
    })
}

#[cfg(test)]
mod tests {
    use ruma::{room_id, user_id};
    use serde_json::{Value, json};

    use super::*;

    fn handshake() -> Handshake {
        Handshake {
            wanted: Wanted::Join,
            room_id: room_id!("!r:there.example").to_owned(),
            user_id: user_id!("@me:here.example").to_owned(),
        }
    }

    fn template(change: impl FnOnce(&mut Value)) -> Result<Prepared, ElsewhereError> {
        let mut template = json!({
            "type": "m.room.member",
            "room_id": "!r:there.example",
            "sender": "@me:here.example",
            "state_key": "@me:here.example",
            "content": { "membership": "join" },
            "prev_events": ["$a"],
            "auth_events": ["$b"],
            "depth": 7,
            "origin": "there.example",
        });
        change(&mut template);
        let template = serde_json::from_value(template).expect("a template");
        check(&handshake(), template, RoomVersion::V11)
    }

    #[test]
    fn takes_the_place_in_the_graph_and_nothing_else() {
        let prepared = template(|_| {}).expect("what was asked for");
        assert_eq!(prepared.depth, 7);
        assert_eq!(prepared.prev_events, ["$a"]);
        assert_eq!(prepared.voucher, None);
    }

    #[test]
    fn refuses_a_template_of_anything_else() {
        for (field, value) in [
            ("type", json!("m.room.power_levels")),
            ("room_id", json!("!other:there.example")),
            ("sender", json!("@you:here.example")),
            ("state_key", json!("@you:here.example")),
            ("content", json!({ "membership": "ban" })),
            ("depth", json!(1_u64 << 60)),
            ("prev_events", json!(vec!["$a"; PREV_EVENTS_MAX + 1])),
        ] {
            let refused = template(|it| it[field] = value);
            assert!(matches!(refused, Err(ElsewhereError::BadAnswer(_))), "{field}");
        }
    }
}
