//! Whose messages somebody does not want to see (client-server API, "Ignoring users").

use std::collections::{BTreeMap, HashSet};

use ruma::{OwnedUserId, UserId};
use serde::Deserialize;
use serde_json::Value;
use vestibule_storage::{Read, StorageError, tables::user_data::ACCOUNT_DATA};

#[derive(Deserialize)]
struct IgnoredUsers {
    ignored_users: BTreeMap<OwnedUserId, Value>,
}

/// Whose messages and invitations a user does not want to see.
pub fn ignored_users<R: Read>(
    reader: &R,
    user: &UserId,
) -> Result<HashSet<OwnedUserId>, StorageError> {
    let row = ACCOUNT_DATA.get(reader, (user, "", "m.ignored_user_list"))?;
    let content = row.and_then(|row| serde_json::from_str::<IgnoredUsers>(&row.value).ok());
    Ok(content.map(|content| content.ignored_users.into_keys().collect()).unwrap_or_default())
}
