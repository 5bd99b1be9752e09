//! The suffix that some classes' names carry.

use ruma::UserId;
use vestibule_storage::{StorageError, Tx, tables::user_data::PROFILE_FIELD};

use super::touch;
use crate::facts::DISPLAYNAME;

/// The name with the suffix, once.
pub(crate) fn with_suffix(name: &str, suffix: Option<&str>) -> String {
    match suffix {
        Some(suffix) => format!("{}{suffix}", without_suffix(name, Some(suffix))),
        None => name.to_owned(),
    }
}

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
        (Some(name), new) => Some(with_suffix(name, new)),
        (None, Some(new)) => Some(with_suffix(user_id.localpart(), Some(new))),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suffix_is_there_once_however_often_it_was_written() {
        let suffix = Some(" (guest)");
        assert_eq!(with_suffix("Ada", suffix), "Ada (guest)");
        assert_eq!(with_suffix("Ada (guest)", suffix), "Ada (guest)");
        assert_eq!(with_suffix("Ada (guest) (guest)", suffix), "Ada (guest)");
        assert_eq!(with_suffix("Ada", None), "Ada");
        assert_eq!(with_suffix("Ada", Some("")), "Ada");
    }
}
