//! `GET /guest_links`

use axum::extract::State;
use vestibule_http::{MatrixError, OutgoingJson, internal};

use super::told;
use crate::{AdminServices, GuestLinksAnswer};

pub(crate) async fn handle(
    State(services): State<AdminServices>,
) -> Result<OutgoingJson<GuestLinksAnswer>, MatrixError> {
    let links = services.rooms.guest_links().await.map_err(|cause| internal(&cause))?;
    let links = links.into_iter().map(|link| told(link, None)).collect();
    Ok(OutgoingJson(GuestLinksAnswer { links }))
}
