//! Bodies that several endpoints share.

use ruma::OwnedUserId;
use serde::Deserialize;
use serde_json::value::RawValue;
use vestibule_events::{ContentError, canonical_content};
use vestibule_http::MatrixError;

/// `reason`, and nothing else that matters.
#[derive(Debug, Default, Deserialize)]
pub(super) struct ReasonBody {
    pub(super) reason: Option<String>,
}

/// A user, and why.
#[derive(Debug, Deserialize)]
pub(super) struct MemberBody {
    pub(super) user_id: OwnedUserId,
    pub(super) reason: Option<String>,
}

/// An event content as the client wrote it, in canonical form.
pub(super) fn content(raw: &RawValue) -> Result<ruma::CanonicalJsonObject, MatrixError> {
    canonical_content(raw).map_err(|error| match error {
        ContentError::NotAnObject | ContentError::TooDeep | ContentError::NotCanonical(_) => {
            MatrixError::bad_json(error.to_string())
        }
    })
}
