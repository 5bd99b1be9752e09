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
    routes
        .mount::<discovery::get_server_keys::v2::Request, _>(Usual, get_server_keys::handle)
        .mount::<discovery::get_remote_server_keys::v2::Request, _>(
            Usual,
            get_remote_server_keys::handle,
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
