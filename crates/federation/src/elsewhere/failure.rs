//! What a failed call means to those who asked for something elsewhere.

use vestibule_remote::RemoteError;
use vestibule_rooms::ElsewhereError;

/// What a failed call to one server comes to.
pub(crate) fn failed(error: RemoteError) -> ElsewhereError {
    let errcode = error.errcode().unwrap_or("M_UNKNOWN").to_owned();
    match error {
        RemoteError::Answered { status, body, .. } => {
            let version = body.get("room_version").and_then(serde_json::Value::as_str);
            if let ("M_INCOMPATIBLE_ROOM_VERSION", Some(version)) = (errcode.as_str(), version) {
                return ElsewhereError::UnknownVersion(version.to_owned());
            }
            // It would read as if this server did not know the client's request.
            if errcode == "M_UNRECOGNIZED" {
                return bad("it does not know what it was asked for");
            }
            let message = body.get("error").and_then(serde_json::Value::as_str);
            let message = message.unwrap_or("the other server refused").to_owned();
            ElsewhereError::Refused { status, errcode, message }
        }
        RemoteError::BadAnswer { reason, .. } => ElsewhereError::BadAnswer(reason),
        RemoteError::BackingOff { .. }
        | RemoteError::Refused(_)
        | RemoteError::Unreachable { .. }
        | RemoteError::Request(_)
        | RemoteError::Storage(_) => ElsewhereError::Unreachable,
    }
}

/// Whether the server says that there is no such thing.
pub(super) fn is_absent(error: &RemoteError) -> bool {
    error.status() == Some(404)
}

/// An answer that is not what was asked for.
pub(super) fn bad(reason: impl Into<String>) -> ElsewhereError {
    ElsewhereError::BadAnswer(reason.into())
}
