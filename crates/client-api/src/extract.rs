//! Path and query arguments of endpoints whose body has to be kept as it came.

use axum::extract::FromRequestParts;
use http::request::Parts;
use ruma::{OwnedServerName, ServerName};
use vestibule_http::MatrixError;
pub(crate) use vestibule_http::{PathArgs, QueryArgs};
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
