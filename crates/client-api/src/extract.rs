//! Path and query arguments of endpoints whose body has to be kept as it came.

use axum::extract::{FromRequestParts, Path, Query};
use http::request::Parts;
use ruma::{OwnedServerName, ServerName};
use serde::de::DeserializeOwned;
use vestibule_http::MatrixError;
use vestibule_types::limits::VIAS_READ_MAX;

/// The arguments in the path, in their order.
#[derive(Debug)]
pub(crate) struct PathArgs<T>(pub(crate) T);

/// The arguments of the query.
#[derive(Debug)]
pub(crate) struct QueryArgs<T>(pub(crate) T);

impl<T, S> FromRequestParts<S> for PathArgs<T>
where
    T: DeserializeOwned + Send,
    S: Send + Sync,
{
    type Rejection = MatrixError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, MatrixError> {
        let Path(args) = Path::<T>::from_request_parts(parts, state)
            .await
            .map_err(|error| MatrixError::invalid_param(error.body_text()))?;
        Ok(Self(args))
    }
}

impl<T, S> FromRequestParts<S> for QueryArgs<T>
where
    T: DeserializeOwned + Send,
    S: Send + Sync,
{
    type Rejection = MatrixError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, MatrixError> {
        let Query(args) = Query::<T>::from_request_parts(parts, state)
            .await
            .map_err(|error| MatrixError::invalid_param(error.body_text()))?;
        Ok(Self(args))
    }
}

/// Servers to ask about a room: `via`, and `server_name` as older clients call it.
#[derive(Debug)]
pub(crate) struct Vias(pub(crate) Vec<OwnedServerName>);

impl<S: Send + Sync> FromRequestParts<S> for Vias {
    type Rejection = MatrixError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, MatrixError> {
        let pairs = QueryArgs::<Vec<(String, String)>>::from_request_parts(parts, state).await?.0;
        let named = |wanted: &str| {
            let named = pairs.iter().filter(|(name, _)| name == wanted).take(VIAS_READ_MAX);
            let servers = named.map(|(_, server)| ServerName::parse(server));
            servers.collect::<Result<Vec<_>, _>>()
        };
        let servers = named("via").and_then(|via| match via.is_empty() {
            true => named("server_name"),
            false => Ok(via),
        });
        servers.map(Self).map_err(|error| MatrixError::invalid_param(error.to_string()))
    }
}
