//! What a new room begins with: the events of `createRoom`, in the order the specification gives.
//!
//! Pure: nothing here reads or writes.

use ruma::{
    CanonicalJsonObject, CanonicalJsonValue, Int, OwnedRoomAliasId, OwnedUserId, UserId, int,
};
use serde_json::json;
use vestibule_events::RoomVersion;
use vestibule_types::limits::IDENTIFIER_BYTES_MAX;

use super::{CreateRoom, CreateRoomError, Preset};
use crate::{
    content::{canonical, power_level},
    for_servers::shuts_out,
    send::named_aliases,
};

/// One event of the plan.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) event_type: String,
    pub(super) state_key: String,
    pub(super) content: CanonicalJsonObject,
}

impl Step {
    fn new(event_type: &str, content: &serde_json::Value) -> Self {
        Self {
            event_type: event_type.to_owned(),
            state_key: String::new(),
            content: canonical(content),
        }
    }
}

/// Everything a new room begins with, except its creator's join and the invitations.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) create: CanonicalJsonObject,
    pub(super) power_levels: Step,
    pub(super) rest: Vec<Step>,
    pub(super) invites: Vec<OwnedUserId>,
}

/// Lays out a room.
pub(super) fn plan(
    creator: &UserId,
    command: &CreateRoom,
    version: RoomVersion,
    alias: Option<&OwnedRoomAliasId>,
) -> Result<Plan, CreateRoomError> {
    let mut invites: Vec<OwnedUserId> = Vec::new();
    for invitee in &command.invite {
        if invitee != creator && !invites.contains(invitee) {
            invites.push(invitee.clone());
        }
    }
    check_initial_state(creator, command, alias)?;
    let create = create_content(creator, command, version, &invites)?;
    let power_levels = power_levels(creator, command, version, &create, &invites)?;

    let mut rest = Vec::new();
    if let Some(alias) = alias {
        rest.push(Step::new("m.room.canonical_alias", &json!({ "alias": alias })));
    }
    rest.extend(preset_state(command));
    for event in &command.initial_state {
        rest.push(Step {
            event_type: event.event_type.clone(),
            state_key: event.state_key.clone(),
            content: event.content.clone(),
        });
    }
    if let Some(name) = &command.name {
        rest.push(Step::new("m.room.name", &json!({ "name": name })));
    }
    if let Some(topic) = &command.topic {
        let block = json!({
            "topic": topic,
            "m.topic": { "m.text": [{ "body": topic }] },
        });
        rest.push(Step::new("m.room.topic", &block));
    }
    Ok(Plan { create, power_levels, rest, invites })
}

/// What the request's own state may not say, in a room of its own or anywhere.
fn check_initial_state(
    creator: &UserId,
    command: &CreateRoom,
    alias: Option<&OwnedRoomAliasId>,
) -> Result<(), CreateRoomError> {
    let invalid = |reason: &str| Err(CreateRoomError::InvalidState(reason.to_owned()));
    for event in &command.initial_state {
        match event.event_type.as_str() {
            "m.room.create" | "m.room.member" => {
                return invalid("a room is not created, nor are its members made, by its state");
            }
            "m.room.server_acl" if shuts_out(&event.content, creator.server_name()) => {
                return invalid("the access control list shuts this server out");
            }
            "m.room.canonical_alias" => {
                let named = named_aliases(&event.content).map_err(|_| CreateRoomError::BadAlias)?;
                let stray =
                    named.into_iter().find(|name| alias.is_none_or(|own| own.as_str() != name));
                if let Some(stray) = stray {
                    return Err(CreateRoomError::AliasElsewhere(stray));
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn create_content(
    creator: &UserId,
    command: &CreateRoom,
    version: RoomVersion,
    invites: &[OwnedUserId],
) -> Result<CanonicalJsonObject, CreateRoomError> {
    let mut content = command.creation_content.clone();
    content.remove("creator");
    if version.create_names_creator() {
        content.insert("creator".to_owned(), CanonicalJsonValue::String(creator.to_string()));
    }
    content
        .insert("room_version".to_owned(), CanonicalJsonValue::String(version.as_str().to_owned()));
    let privileged = version.rules().authorization.additional_room_creators;
    if privileged && command.preset() == Preset::TrustedPrivateChat {
        let mut creators: Vec<CanonicalJsonValue> = match content.remove("additional_creators") {
            Some(CanonicalJsonValue::Array(creators)) => creators,
            None => Vec::new(),
            Some(_) => {
                return Err(CreateRoomError::BadCreation(
                    "additional_creators must be a list of user ids".to_owned(),
                ));
            }
        };
        for invitee in invites {
            let value = CanonicalJsonValue::String(invitee.to_string());
            if !creators.contains(&value) {
                creators.push(value);
            }
        }
        if !creators.is_empty() {
            content.insert("additional_creators".to_owned(), CanonicalJsonValue::Array(creators));
        }
    }
    let too_long = |user: &CanonicalJsonValue| {
        user.as_str().is_some_and(|user| user.len() > IDENTIFIER_BYTES_MAX)
    };
    if let Some(CanonicalJsonValue::Array(creators)) = content.get("additional_creators")
        && privileged
        && creators.iter().any(too_long)
    {
        return Err(CreateRoomError::BadCreation("an additional creator's id is too long".into()));
    }
    Ok(content)
}

/// The creators of a room whose version gives them power no level takes away.
fn privileged_creators(
    creator: &UserId,
    version: RoomVersion,
    create: &CanonicalJsonObject,
) -> Option<Vec<String>> {
    if !version.rules().authorization.explicitly_privilege_room_creators {
        return None;
    }
    let mut creators = vec![creator.to_string()];
    if let Some(CanonicalJsonValue::Array(more)) = create.get("additional_creators") {
        creators.extend(more.iter().filter_map(|it| it.as_str().map(ToOwned::to_owned)));
    }
    Some(creators)
}

fn power_levels(
    creator: &UserId,
    command: &CreateRoom,
    version: RoomVersion,
    create: &CanonicalJsonObject,
    invites: &[OwnedUserId],
) -> Result<Step, CreateRoomError> {
    let privileged = privileged_creators(creator, version, create);
    let mut users = serde_json::Map::new();
    if privileged.is_none() {
        users.insert(creator.to_string(), json!(100));
        if command.preset() == Preset::TrustedPrivateChat {
            users.extend(invites.iter().map(|invitee| (invitee.to_string(), json!(100))));
        }
    }
    let state_default = command.power_level_content_override.get("state_default");
    let above = state_default.and_then(power_level).unwrap_or_default().saturating_add(1);
    let tombstone =
        if privileged.is_some() { Int::new_saturating(above.max(150)) } else { int!(100) };
    let content = json!({
        "users": users,
        "users_default": 0,
        "events": {
            "m.room.name": 50,
            "m.room.power_levels": 100,
            "m.room.history_visibility": 100,
            "m.room.canonical_alias": 50,
            "m.room.avatar": 50,
            "m.room.tombstone": tombstone,
            "m.room.server_acl": 100,
            "m.room.encryption": 100,
        },
        "events_default": 0,
        "state_default": 50,
        "ban": 50,
        "kick": 50,
        "redact": 50,
        "invite": if command.preset() == Preset::PublicChat { 50 } else { 0 },
        "notifications": { "room": 50 },
    });
    let mut step = Step::new("m.room.power_levels", &content);
    // The override replaces top-level keys one by one.
    for (key, value) in &command.power_level_content_override {
        step.content.insert(key.clone(), value.clone());
    }
    if let (Some(creators), Some(CanonicalJsonValue::Object(users))) =
        (privileged, step.content.get("users"))
        && let Some(creator) = creators.iter().find(|creator| users.contains_key(*creator))
    {
        let reason = format!("{creator} creates the room and cannot be in its `users`");
        return Err(CreateRoomError::InvalidState(reason));
    }
    Ok(step)
}

/// What the preset sets and the request's own state does not.
fn preset_state(command: &CreateRoom) -> Vec<Step> {
    let (join_rule, guest_access) = match command.preset() {
        Preset::PublicChat => ("public", "forbidden"),
        Preset::PrivateChat | Preset::TrustedPrivateChat => ("invite", "can_join"),
    };
    let steps = [
        Step::new("m.room.join_rules", &json!({ "join_rule": join_rule })),
        Step::new("m.room.history_visibility", &json!({ "history_visibility": "shared" })),
        Step::new("m.room.guest_access", &json!({ "guest_access": guest_access })),
    ];
    steps
        .into_iter()
        .filter(|step| {
            !command
                .initial_state
                .iter()
                .any(|own| own.event_type == step.event_type && own.state_key.is_empty())
        })
        .collect()
}
