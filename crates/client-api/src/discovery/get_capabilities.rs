//! `GET /_matrix/client/v3/capabilities`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3capabilities>

use std::{collections::BTreeMap, sync::Arc};

use axum::extract::State;
use serde_json::{Value, json};
use vestibule_accounts::Accounts;
use vestibule_http::{Caller, OutgoingJson};
use vestibule_policy::{Ability, Policy, PolicyHandle};
use vestibule_types::Actor;

use crate::ClientApiSettings;

/// The room versions this server can speak.
const ROOM_VERSIONS: [&str; 10] = ["3", "4", "5", "6", "7", "8", "9", "10", "11", "12"];

pub(crate) async fn handle(
    State(settings): State<Arc<ClientApiSettings>>,
    State(policy): State<PolicyHandle>,
    State(accounts): State<Accounts>,
    Caller(actor): Caller,
) -> OutgoingJson<Value> {
    let policy = policy.current();
    let available: BTreeMap<_, _> =
        ROOM_VERSIONS.iter().map(|version| (*version, "stable")).collect();
    let may = |ability| enabled(&policy, &actor, ability);
    let mut capabilities = json!({
        "m.room_versions": {
            "default": settings.default_room_version.as_str(),
            "available": available,
        },
        "m.change_password": { "enabled": may(Ability::ManageAccount) },
        "m.set_displayname": { "enabled": may(Ability::SetDisplayname) },
        "m.set_avatar_url": { "enabled": may(Ability::SetAvatar) },
        "m.profile_fields": profile_fields(&policy, &actor),
        "m.3pid_changes": { "enabled": accounts.has_email() && may(Ability::ManageAccount) },
        "m.get_login_token": {
            "enabled": accounts.config().sessions.login_tokens && may(Ability::ManageAccount),
        },
    });
    // Whoever may do neither is not told that there is such a thing.
    let moderation = may(Ability::Administer).then(|| json!({ "lock": true, "suspend": true }));
    if let Some(told) = capabilities.as_object_mut() {
        told.extend(moderation.map(|it| ("m.account_moderation".to_owned(), it)));
    }
    OutgoingJson(json!({ "capabilities": capabilities }))
}

fn enabled(policy: &Policy, actor: &Actor, ability: Ability) -> bool {
    policy.class(actor.class()).is_some_and(|class| class.may(ability))
}

/// Which fields of their profile the caller may change.
fn profile_fields(policy: &Policy, actor: &Actor) -> Value {
    let named = [("displayname", Ability::SetDisplayname), ("avatar_url", Ability::SetAvatar)];
    let list = |wanted: bool| -> Vec<&str> {
        let fields = named.iter().filter(|(_, it)| enabled(policy, actor, *it) == wanted);
        fields.map(|(field, _)| *field).collect()
    };
    let (allowed, disallowed) = (list(true), list(false));
    match (enabled(policy, actor, Ability::SetProfileField), disallowed.is_empty()) {
        (true, true) => json!({ "enabled": true }),
        (true, false) => json!({ "enabled": true, "disallowed": disallowed }),
        (false, _) => json!({ "enabled": !allowed.is_empty(), "allowed": allowed }),
    }
}
