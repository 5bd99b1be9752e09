//! Contents the server itself writes, and what it reads in those of others.

use ruma::{CanonicalJsonObject, CanonicalJsonValue};
use serde_json::Value;

/// A content made of plain strings, integers, lists and objects. Whatever canonical JSON cannot
/// carry is left out; the server writes none of it.
pub(crate) fn canonical(content: &Value) -> CanonicalJsonObject {
    match CanonicalJsonValue::try_from(content.clone()) {
        Ok(CanonicalJsonValue::Object(object)) => object,
        _ => CanonicalJsonObject::new(),
    }
}

/// A power level; before version 10 it may be written as text.
pub(crate) fn power_level(value: &CanonicalJsonValue) -> Option<i64> {
    match value {
        CanonicalJsonValue::Integer(level) => Some(i64::from(*level)),
        CanonicalJsonValue::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}
