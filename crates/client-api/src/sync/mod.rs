//! Telling clients what is new.

mod sync_events;

use ruma::api::client::sync;
use vestibule_http::MatrixError;
use vestibule_policy::EndpointRule;
use vestibule_sync::SyncError;

use crate::{ClientRoutes, failure};

pub(crate) fn routes(routes: ClientRoutes) -> ClientRoutes {
    routes.mount::<sync::sync_events::v3::Request, _>(
        EndpointRule::Authenticated,
        sync_events::handle,
    )
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
