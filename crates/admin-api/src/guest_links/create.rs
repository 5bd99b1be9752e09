//! `POST /guest_links`

use axum::extract::State;
use vestibule_http::{Caller, IncomingJson, MatrixError, OutgoingJson};
use vestibule_rooms::NewGuestLink as Wanted;

use super::{answer, told};
use crate::{
    AdminServices, GuestLinkAnswer, NewGuestLink, doors::administrator, policy::explain::room_of,
};

pub(crate) async fn handle(
    State(services): State<AdminServices>,
    Caller(actor): Caller,
    IncomingJson(wanted): IncomingJson<NewGuestLink>,
) -> Result<OutgoingJson<GuestLinkAnswer>, MatrixError> {
    let room_id = room_of(&services, &wanted.room).await?;
    let wanted = Wanted { room_id, uses: wanted.uses, life_ms: wanted.expires_in_ms };
    let by = administrator(&services, actor);
    let (link, token) = services.rooms.create_guest_link(&by, wanted).await.map_err(answer)?;
    Ok(OutgoingJson(told(link, Some(token.expose().clone()))))
}
