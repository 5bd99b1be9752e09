//! Telling clients what is new.

mod sliding_sync;
mod sync_events;

use http::{Method, StatusCode};
use ruma::api::client::sync;
use vestibule_http::{Login, MatrixError};
use vestibule_policy::EndpointRule;
use vestibule_sync::{SlidingError, SyncError};

use crate::{ClientRoutes, failure};

/// Sliding sync is not in the specification (MSC4186).
const SLIDING: &str = "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync";

pub(crate) fn routes(routes: ClientRoutes) -> ClientRoutes {
    let rule = EndpointRule::Authenticated;
    routes.mount::<sync::sync_events::v3::Request, _>(rule, sync_events::handle).mount_at(
        Method::POST,
        SLIDING,
        (rule, Login::Required),
        sliding_sync::handle,
    )
}

fn sliding_answer(error: SlidingError) -> MatrixError {
    let message = error.to_string();
    match error {
        SlidingError::UnknownPos => {
            MatrixError::custom(StatusCode::BAD_REQUEST, "M_UNKNOWN_POS", message)
        }
        SlidingError::Bad(_) => MatrixError::invalid_param(message),
        SlidingError::Storage(cause) => failure::storage(cause),
    }
}

pub(crate) fn sync_answer(error: SyncError) -> MatrixError {
    match error {
        SyncError::BadToken | SyncError::UnknownFilter => {
            MatrixError::invalid_param(error.to_string())
        }
        SyncError::BadFilter(_) => MatrixError::bad_json(error.to_string()),
        SyncError::Storage(cause) => failure::storage(cause),
    }
}
