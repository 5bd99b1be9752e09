//! The suffix that some classes' names carry.

use ruma::UserId;
use vestibule_policy::shown_name;
use vestibule_storage::{StorageError, Tx, tables::user_data::PROFILE_FIELD};

use super::touch;
use crate::facts::DISPLAYNAME;

/// The name without the suffix, however often it was written.
fn without_suffix<'a>(name: &'a str, suffix: Option<&str>) -> &'a str {
    let mut name = name;
    if let Some(suffix) = suffix.filter(|suffix| !suffix.is_empty()) {
        while let Some(shorter) = name.strip_suffix(suffix) {
            name = shorter;
        }
    }
    name
}

/// Takes the old class's suffix off the display name and puts the new one's on. Whether the name
/// changed.
pub(crate) fn rename_for_class(
    tx: &mut Tx<'_>,
    user_id: &UserId,
    (old, new): (Option<&str>, Option<&str>),
) -> Result<bool, StorageError> {
    if old == new {
        return Ok(false);
    }
    let json = PROFILE_FIELD.get(tx, (user_id, DISPLAYNAME))?;
    let before: Option<String> = json.and_then(|json| serde_json::from_str(&json).ok());
    let bare = before.as_deref().map(|name| without_suffix(name, old));
    // A name the server made up out of the suffix alone goes away with it.
    let after = match (bare, new) {
        (Some(name), None) if name == user_id.localpart() => None,
        (name, Some(new)) => Some(shown_name(name, user_id.localpart(), new)),
        (Some(name), None) => Some(name.to_owned()),
        (None, None) => None,
    };
    if before == after {
        return Ok(false);
    }
    touch(tx, user_id)?;
    match after {
        Some(name) => {
            let json = serde_json::Value::from(name).to_string();
            PROFILE_FIELD.put(tx, (user_id, DISPLAYNAME), &json)?;
        }
        None => PROFILE_FIELD.delete(tx, (user_id, DISPLAYNAME))?,
    }
    Ok(true)
}
