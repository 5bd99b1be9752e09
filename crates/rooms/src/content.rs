//! Contents the server itself writes.

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
