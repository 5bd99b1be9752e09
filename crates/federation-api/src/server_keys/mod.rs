//! The keys of this server, and what it knows of those of others.

mod get_remote_server_keys;
mod get_remote_server_keys_batch;
mod get_server_keys;

use http::StatusCode;
use ruma::{
    CanonicalJsonObject,
    api::{error::ErrorKind, federation::discovery},
    serde::Raw,
};
use vestibule_federation::{PublishKeysError, QueryKeysError};
use vestibule_http::{MatrixError, internal, unavailable};

use crate::{BodySize::Usual, FederationRoutes, failure};

pub(crate) fn routes(routes: FederationRoutes) -> FederationRoutes {
    use discovery::{get_remote_server_keys as of_others, get_server_keys as own};
    // Old servers name a key: they are told of all keys, as the specification had it.
    routes
        .mount::<own::v2::Request, _>(Usual, get_server_keys::handle)
        .mount_also::<own::v2::Request, _>(
            "/_matrix/key/v2/server/",
            Usual,
            get_server_keys::handle,
        )
        .mount_also::<own::v2::Request, _>(
            "/_matrix/key/v2/server/{key_id}",
            Usual,
            get_server_keys::handle,
        )
        .mount::<of_others::v2::Request, _>(Usual, get_remote_server_keys::handle)
        .mount_also::<of_others::v2::Request, _>(
            "/_matrix/key/v2/query/{server_name}/{key_id}",
            Usual,
            get_remote_server_keys::handle_with_key,
        )
        .mount::<discovery::get_remote_server_keys_batch::v2::Request, _>(
            Usual,
            get_remote_server_keys_batch::handle,
        )
}

/// The object as it was signed.
fn raw<T>(object: &CanonicalJsonObject) -> Result<Raw<T>, MatrixError> {
    Raw::new(object).map(Raw::cast_unchecked).map_err(|error| internal(&error))
}

fn unpublished(error: PublishKeysError) -> MatrixError {
    match error {
        PublishKeysError::Key(cause) => internal(&cause),
        PublishKeysError::Json(cause) => internal(&cause),
        PublishKeysError::Storage(cause) => failure::storage(cause),
    }
}

fn unanswered(error: QueryKeysError) -> MatrixError {
    match error {
        QueryKeysError::TooMany => {
            MatrixError::new(StatusCode::BAD_REQUEST, ErrorKind::TooLarge, error.to_string())
        }
        QueryKeysError::Busy(cause) => unavailable(&cause),
        QueryKeysError::Own(cause) => unpublished(cause),
        QueryKeysError::Storage(cause) => failure::storage(cause),
    }
}
