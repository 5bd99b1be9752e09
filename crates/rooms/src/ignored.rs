//! Whose messages somebody does not want to see (client-server API, "Ignoring users").

use std::collections::{BTreeMap, HashSet};

use ruma::{OwnedUserId, UserId};
use serde::Deserialize;
use serde_json::Value;
use vestibule_storage::{Read, StorageError, tables::user_data::ACCOUNT_DATA};

#[derive(Deserialize)]
struct IgnoredUsers {
    /// A name that is no user's takes nothing from the others.
    ignored_users: BTreeMap<String, Value>,
}

/// Whose messages and invitations a user does not want to see.
pub fn ignored_users<R: Read>(
    reader: &R,
    user: &UserId,
) -> Result<HashSet<OwnedUserId>, StorageError> {
    let row = ACCOUNT_DATA.get(reader, (user, "", "m.ignored_user_list"))?;
    let content = row.and_then(|row| serde_json::from_str::<IgnoredUsers>(&row.value).ok());
    let names = content.map(|content| content.ignored_users).unwrap_or_default().into_keys();
    let users = names.filter_map(|name| OwnedUserId::try_from(name).ok());
    // Nobody ignores themselves.
    Ok(users.filter(|ignored| ignored != user).collect())
}
