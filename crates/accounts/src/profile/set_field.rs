//! Setting and removing profile fields.

use std::net::IpAddr;

use ruma::{OwnedUserId, UserId};
use serde_json::Value;
use tracing::instrument;
use vestibule_policy::{Denial, kind, shown_name};
use vestibule_storage::{
    StorageError, Tx, jobs,
    tables::user_data::{PROFILE_FIELD, PROFILE_GUARD},
};
use vestibule_types::{Actor, limits};

use crate::{
    Accounts,
    facts::{AVATAR_URL, DISPLAYNAME},
    gate::{OwnAct, Prepared, Refusal},
    job::{self, ProfileFanOut},
};

/// More fields than the size bound lets a profile have: `{"a":1}` repeated.
const FIELDS_MAX: usize = limits::PROFILE_BYTES_MAX / 6;

/// A new value for a profile field.
#[derive(Clone, Debug)]
pub struct SetProfileField {
    /// Whose profile.
    pub user_id: OwnedUserId,
    /// Which field.
    pub field: String,
    /// The value; `None` removes the field.
    pub value: Option<Value>,
    /// Where the request comes from.
    pub peer: Option<IpAddr>,
}

/// Why a profile field kept its value.
#[derive(Debug, thiserror::Error)]
pub enum SetProfileFieldError {
    /// It is somebody else's profile.
    #[error("this is somebody else's profile")]
    NotOwn,
    /// The name of the field breaks the grammar.
    #[error("this cannot be the name of a profile field")]
    Field,
    /// The name of the field is too long.
    #[error("the name of the profile field is too long")]
    KeyTooLong,
    /// The value is not of the field's type, or too long.
    #[error("this cannot be the value of the profile field")]
    Value,
    /// The whole profile would be too large.
    #[error("the profile would be too large")]
    TooLarge,
    /// The policy refuses.
    #[error(transparent)]
    Denied(#[from] Denial),
    /// The field could not be stored.
    #[error("could not store the profile")]
    Storage(#[from] StorageError),
}

impl From<Refusal> for SetProfileFieldError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Denied(denial) => Self::Denied(denial),
            Refusal::Storage(error) => Self::Storage(error),
        }
    }
}

impl Accounts {
    /// Sets or removes a field of the caller's own profile.
    #[instrument(name = "accounts.profile.set_field", skip_all)]
    pub async fn set_profile_field(
        &self,
        actor: &Actor,
        command: SetProfileField,
    ) -> Result<(), SetProfileFieldError> {
        if actor.user_id() != command.user_id {
            return Err(SetProfileFieldError::NotOwn);
        }
        check_field(&command.field)?;
        let value = match command.value {
            Some(value) => checked_value(&command.field, value)?,
            None => None,
        };
        let act = match (command.field.as_str(), &value) {
            (DISPLAYNAME, name) => {
                OwnAct::SetDisplayname(name.as_ref().and_then(Value::as_str).map(str::to_owned))
            }
            (AVATAR_URL, _) => OwnAct::SetAvatar,
            _ => OwnAct::SetProfileField,
        };
        let prepared = self.prepare(actor, act, command.peer).await?;
        let change =
            Change { user_id: command.user_id, field: command.field, value, now: self.0.now_ms() };
        self.0.write(actor.user_id(), move |tx| change.write(tx, &prepared)).await?;
        self.0.ring();
        Ok(())
    }
}

struct Change {
    user_id: OwnedUserId,
    field: String,
    value: Option<Value>,
    now: u64,
}

impl Change {
    fn write(&self, tx: &mut Tx<'_>, prepared: &Prepared) -> Result<(), SetProfileFieldError> {
        let spent = prepared.spend::<kind::SetProfile>(tx, &self.user_id)?;
        touch(tx, &self.user_id)?;
        let value = match (&*self.field, spent.name_suffix()) {
            (DISPLAYNAME, Some(suffix)) => {
                let name = self.value.as_ref().and_then(Value::as_str);
                Some(Value::from(shown_name(name, self.user_id.localpart(), suffix)))
            }
            _ => self.value.clone(),
        };
        let before = PROFILE_FIELD.get(tx, (&self.user_id, self.field.as_str()))?;
        let after = value.map(|value| value.to_string());
        if before == after {
            return Ok(());
        }
        match &after {
            Some(json) => {
                self.check_size(tx, json)?;
                PROFILE_FIELD.put(tx, (&self.user_id, self.field.as_str()), json)?;
            }
            None => PROFILE_FIELD.delete(tx, (&self.user_id, self.field.as_str()))?,
        }
        if [DISPLAYNAME, AVATAR_URL].contains(&self.field.as_str()) {
            let payload = job::encode(&ProfileFanOut { user_id: self.user_id.clone() });
            jobs::enqueue(tx, job::PROFILE_FAN_OUT, payload, self.now)?;
        }
        Ok(())
    }

    /// The bound on the whole profile. The guard that every change writes makes the scan hold.
    fn check_size(&self, tx: &Tx<'_>, json: &str) -> Result<(), SetProfileFieldError> {
        let rows = PROFILE_FIELD.scan(tx, (&self.user_id,), FIELDS_MAX)?;
        let others = rows.iter().filter(|((_, field), _)| *field != self.field);
        let size = |field: &str, json: &str| field.len() + json.len() + r#""":,"#.len();
        let whole = others.map(|((_, field), json)| size(field, json)).sum::<usize>()
            + size(&self.field, json)
            + 1;
        if whole > limits::PROFILE_BYTES_MAX {
            return Err(SetProfileFieldError::TooLarge);
        }
        Ok(())
    }
}

/// Makes scans of a profile hold: whoever changes a field writes this.
pub(crate) fn touch(tx: &mut Tx<'_>, user_id: &UserId) -> Result<(), StorageError> {
    let changes = PROFILE_GUARD.get(tx, (user_id,))?.unwrap_or_default();
    PROFILE_GUARD.put(tx, (user_id,), &changes.wrapping_add(1))
}

/// The grammar of field names: the common namespaced identifiers.
fn check_field(field: &str) -> Result<(), SetProfileFieldError> {
    if field.len() > limits::PROFILE_KEY_BYTES_MAX {
        return Err(SetProfileFieldError::KeyTooLong);
    }
    let allowed = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || b"-_.".contains(&c);
    let begins_well = field.bytes().next().is_some_and(|c| c.is_ascii_lowercase());
    if begins_well && field.bytes().all(allowed) {
        Ok(())
    } else {
        Err(SetProfileFieldError::Field)
    }
}

/// Display name and avatar are texts; an empty one, or `null`, removes the field.
fn checked_value(field: &str, value: Value) -> Result<Option<Value>, SetProfileFieldError> {
    if ![DISPLAYNAME, AVATAR_URL].contains(&field) {
        return Ok(Some(value));
    }
    match value {
        Value::Null => Ok(None),
        Value::String(text) if text.is_empty() => Ok(None),
        Value::String(text) if text.len() <= limits::DISPLAYNAME_BYTES_MAX => {
            Ok(Some(Value::String(text)))
        }
        _ => Err(SetProfileFieldError::Value),
    }
}
