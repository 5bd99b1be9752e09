//! Path and query arguments that the types of the endpoints do not hold.

use axum::extract::FromRequestParts;
use http::request::Parts;
use ruma::{OwnedServerName, ServerName, UInt};
use serde::Deserialize;
use vestibule_http::MatrixError;
pub(crate) use vestibule_http::{PathArgs, QueryArgs};
use vestibule_rooms::RelatedBy;
use vestibule_types::limits::VIAS_READ_MAX;

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
        let servers = named("via")
            .and_then(|via| if via.is_empty() { named("server_name") } else { Ok(via) });
        servers.map(Self).map_err(|error| MatrixError::invalid_param(error.to_string()))
    }
}

/// What a filter in the query says of relations to the events it lets through.
#[derive(Debug)]
pub(crate) struct Related(pub(crate) RelatedBy);

#[derive(Deserialize)]
struct Filtered {
    filter: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for Related {
    type Rejection = MatrixError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, MatrixError> {
        let args = QueryArgs::<Filtered>::from_request_parts(parts, state).await?.0;
        // Clients that send an empty one mean none.
        let filter = args.filter.filter(|filter| !filter.is_empty());
        let related =
            filter.map_or_else(|| Ok(RelatedBy::default()), |it| serde_json::from_str(&it));
        related.map(Self).map_err(|error| MatrixError::invalid_param(format!("`filter`: {error}")))
    }
}

/// How many things a client wants on a page, where that has to be more than none.
pub(crate) fn page_size(limit: Option<UInt>, usual: usize) -> Result<usize, MatrixError> {
    match limit.map(|limit| usize::try_from(u64::from(limit)).unwrap_or(usize::MAX)) {
        Some(0) => Err(MatrixError::invalid_param("`limit` must be greater than zero")),
        Some(limit) => Ok(limit),
        None => Ok(usual),
    }
}
