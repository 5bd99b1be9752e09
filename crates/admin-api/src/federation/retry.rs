//! `POST /federation/destinations/{server}/retry`: the server is asked again from now on.

use axum::extract::State;
use vestibule_http::{MatrixError, OutgoingJson, PathArgs, internal};

use super::server;
use crate::{AdminServices, RetryAnswer};

pub(crate) async fn handle(
    State(services): State<AdminServices>,
    PathArgs(name): PathArgs<String>,
) -> Result<OutgoingJson<RetryAnswer>, MatrixError> {
    let server = server(name)?;
    let had_failed = services.federation.remote().retry_now(&server).await;
    let had_failed = had_failed.map_err(|cause| internal(&cause))?;
    Ok(OutgoingJson(RetryAnswer { had_failed }))
}
