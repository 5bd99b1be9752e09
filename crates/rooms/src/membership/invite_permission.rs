//! Users who want no invitations (client-server API, "Invite permission").

use ruma::UserId;
use serde::Deserialize;
use vestibule_storage::{Read, StorageError, tables::user_data::ACCOUNT_DATA};

/// The account data that says so.
const INVITE_PERMISSION: &str = "m.invite_permission_config";

#[derive(Deserialize)]
struct Config {
    default_action: Option<String>,
}

/// Whether a user of ours wants no invitations. What cannot be read says nothing.
pub fn blocks_invites(reader: &impl Read, user: &UserId) -> Result<bool, StorageError> {
    let row = ACCOUNT_DATA.get(reader, (user, "", INVITE_PERMISSION))?;
    let config = row.and_then(|row| serde_json::from_str::<Config>(&row.value).ok());
    Ok(config.and_then(|it| it.default_action).as_deref() == Some("block"))
}
