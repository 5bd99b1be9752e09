//! Telling clients what is new.

mod get_event;
mod initial_sync;
mod listen_to_new_events;
mod sliding_sync;
mod sync_events;

use http::{Method, StatusCode};
use ruma::api::client::{peeking, sync};
use vestibule_accounts::SessionEnd;
use vestibule_http::{Login, MatrixError};
use vestibule_policy::{Denial, EndpointRule, Reason};
use vestibule_sync::{ListenError, SlidingError, SyncError};

use crate::{ClientRoutes, failure, room::answer};

/// Deprecated, and without a type.
const EVERYTHING: &str = "/_matrix/client/v3/initialSync";
const EVENT: &str = "/_matrix/client/v3/events/{event_id}";
/// Sliding sync is not in the specification (MSC4186).
const SLIDING: &str = "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync";

pub(crate) fn routes(routes: ClientRoutes) -> ClientRoutes {
    let rule = EndpointRule::Authenticated;
    let login = (rule, Login::Required);
    routes
        .mount::<sync::sync_events::v3::Request, _>(rule, sync_events::handle)
        .mount::<peeking::listen_to_new_events::v3::Request, _>(rule, listen_to_new_events::handle)
        .mount_at(Method::GET, EVERYTHING, login, initial_sync::handle)
        .mount_at(Method::GET, EVENT, login, get_event::handle)
        .mount_at(Method::POST, SLIDING, login, sliding_sync::handle)
}

fn listen_answer(error: ListenError) -> MatrixError {
    match error {
        ListenError::Stream(error) => sync_answer(error),
        ListenError::Room(error) => answer::read(error),
    }
}

fn sliding_answer(error: SlidingError) -> MatrixError {
    let message = error.to_string();
    match error {
        SlidingError::UnknownPos => {
            MatrixError::custom(StatusCode::BAD_REQUEST, "M_UNKNOWN_POS", message)
        }
        SlidingError::Ended(end) => ended(end),
        SlidingError::Bad(_) => MatrixError::invalid_param(message),
        SlidingError::Storage(cause) => failure::storage(cause),
    }
}

pub(crate) fn sync_answer(error: SyncError) -> MatrixError {
    match error {
        SyncError::BadToken | SyncError::UnknownFilter => {
            MatrixError::invalid_param(error.to_string())
        }
        SyncError::Ended(end) => ended(end),
        SyncError::BadFilter(_) => MatrixError::bad_json(error.to_string()),
        SyncError::Storage(cause) => failure::storage(cause),
    }
}

/// What the next request with the same token is answered too.
fn ended(end: SessionEnd) -> MatrixError {
    match end {
        SessionEnd::LoggedOut => MatrixError::unknown_token(false),
        SessionEnd::Locked => Denial::new(Reason::AccountLocked, false, "an active account").into(),
    }
}
