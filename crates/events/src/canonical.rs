//! Canonical JSON of what clients and servers hand in.

use ruma::{CanonicalJsonObject, CanonicalJsonValue};
use serde::Serialize;
use serde_json::value::RawValue;
use vestibule_types::{json_depth, limits::CONTENT_DEPTH_MAX};

/// Why a body cannot become the content of an event.
#[derive(Debug, thiserror::Error)]
pub enum ContentError {
    /// Not a JSON object.
    #[error("the content of an event is a JSON object")]
    NotAnObject,
    /// Objects and arrays lie deeper in each other than [`CONTENT_DEPTH_MAX`].
    #[error("the content is nested more than {CONTENT_DEPTH_MAX} levels deep")]
    TooDeep,
    /// A float, an integer out of range, or no JSON at all.
    #[error("the content is not canonical JSON: {0}")]
    NotCanonical(String),
}

/// The content a client sent, as canonical JSON: no floats, integers within ±(2^53 − 1), nesting
/// bounded. Of a key given twice the last one counts.
pub fn canonical_content(content: &RawValue) -> Result<CanonicalJsonObject, ContentError> {
    let text = content.get();
    if json_depth(text.as_bytes()) > CONTENT_DEPTH_MAX {
        return Err(ContentError::TooDeep);
    }
    object(text)
}

/// The canonical form of a content this server wrote itself, such as one of `ruma`'s content types.
pub fn canonical_content_of(content: &impl Serialize) -> Result<CanonicalJsonObject, ContentError> {
    match ruma::canonical_json::to_canonical_value(content) {
        Ok(CanonicalJsonValue::Object(object)) => Ok(object),
        Ok(_) => Err(ContentError::NotAnObject),
        Err(error) => Err(ContentError::NotCanonical(error.to_string())),
    }
}

/// Parses text as a canonical JSON object. Nesting is bounded by the parser (128 levels).
pub(crate) fn object(text: &str) -> Result<CanonicalJsonObject, ContentError> {
    match serde_json::from_str::<CanonicalJsonValue>(text) {
        Ok(CanonicalJsonValue::Object(object)) => Ok(object),
        Ok(_) => Err(ContentError::NotAnObject),
        Err(error) => Err(ContentError::NotCanonical(error.to_string())),
    }
}
