//! `GET /policy/explain`: the same decision the act itself would meet, in words.

use axum::extract::State;
use ruma::{OwnedRoomId, OwnedRoomOrAliasId};
use serde::Deserialize;
use serde_json::Value;
use vestibule_http::{MatrixError, OutgoingJson, QueryArgs, internal};
use vestibule_policy::Action;
use vestibule_rooms::{Deed, DirectoryError};

use crate::{AdminServices, user_name::any_user};

#[derive(Debug, Deserialize)]
pub(crate) struct Question {
    user: String,
    action: String,
    room: String,
}

pub(crate) async fn handle(
    State(services): State<AdminServices>,
    QueryArgs(question): QueryArgs<Question>,
) -> Result<OutgoingJson<Value>, MatrixError> {
    let user_id = any_user(&question.user, services.accounts.server_name())?;
    let room_id = room_of(&services, &question.room).await?;
    let deed = deed_of(&question.action, room_id)?;
    let decision = services.rooms.explain(&user_id, deed).await;
    let decision = decision.map_err(|cause| internal(&cause))?;
    let decision =
        decision.ok_or_else(|| MatrixError::not_found(format!("there is no account {user_id}")))?;
    let explanation = decision.explain();
    let mut answer = serde_json::to_value(&explanation).map_err(|cause| internal(&cause))?;
    if let Some(answer) = answer.as_object_mut() {
        answer.insert("text".to_owned(), explanation.to_string().into());
    }
    Ok(OutgoingJson(answer))
}

pub(crate) async fn room_of(
    services: &AdminServices,
    room: &str,
) -> Result<OwnedRoomId, MatrixError> {
    let parsed = OwnedRoomOrAliasId::try_from(room);
    let parsed = parsed.map_err(|reason| {
        MatrixError::invalid_param(format!("{room:?} is no room id or alias: {reason}"))
    })?;
    services.rooms.find_room(&parsed).await.map_err(|error| match error {
        DirectoryError::Ask(cause) => internal(&cause),
        other => MatrixError::not_found(format!("{room}: {other}")),
    })
}

/// An action in a room, by the name the policy gives it.
fn deed_of(action: &str, room: OwnedRoomId) -> Result<Deed, MatrixError> {
    let about = room.clone();
    let deed = match Action::in_room(action, &about) {
        Some(Action::Join { .. }) => Deed::Join(room),
        Some(Action::Stay { .. }) => Deed::Stay(room),
        Some(Action::Discover { .. }) => Deed::Discover(room),
        Some(Action::Peek { .. }) => Deed::Peek(room),
        Some(Action::Knock { .. }) => Deed::Knock(room),
        Some(Action::Leave { .. }) => Deed::Leave(room),
        Some(Action::SendEvent { event_type, .. }) => Deed::SendEvent(room, event_type.to_owned()),
        Some(Action::SendState { opens: true, .. }) => Deed::MakePublic(room),
        Some(Action::Rename { .. }) => Deed::Rename(room, None),
        Some(Action::SendState { event_type, .. }) => Deed::SendState(room, event_type.to_owned()),
        Some(Action::Redact { own, .. }) => Deed::Redact(room, own),
        Some(Action::UpgradeRoom { .. }) => Deed::UpgradeRoom(room),
        Some(Action::Publish { .. }) => Deed::Publish(room),
        Some(Action::RedeemGuestLink { .. }) => Deed::RedeemGuestLink(room),
        Some(Action::Typing { .. }) => Deed::Typing(room),
        Some(Action::Receipt { .. }) => Deed::Receipt(room),
        Some(Action::ReadMarker { .. }) => Deed::ReadMarker(room),
        _ => {
            let text = format!("{action:?} is none of {ACTIONS}");
            return Err(MatrixError::invalid_param(text));
        }
    };
    Ok(deed)
}

const ACTIONS: &str = "join, stay, discover, peek, knock, leave, send_event[:TYPE], \
                       send_state[:TYPE], redact_own, redact_other, upgrade_room, publish, \
                       typing, receipt, read_marker, redeem_guest_link, rename, make_public";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_that_is_told_is_understood() {
        for action in ACTIONS.split(", ") {
            let action = action.split('[').next().unwrap();
            let room = OwnedRoomId::try_from("!room:example.org").unwrap();
            assert!(deed_of(action, room).is_ok(), "{action}");
        }
    }
}
