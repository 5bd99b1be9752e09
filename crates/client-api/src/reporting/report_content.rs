//! `POST /_matrix/client/v3/rooms/{roomId}/report/{eventId}`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3roomsroomidreporteventid>

use axum::extract::State;
use ruma::api::client::room::report_content::v3::{Request, Response};
use tracing::instrument;
use vestibule_http::{Caller, Incoming, MatrixError, Outgoing};
use vestibule_rooms::{Report, Reported, Rooms};

use super::report_answer;

#[instrument(name = "client_api.reporting.report_content", skip_all)]
pub(super) async fn handle(
    State(rooms): State<Rooms>,
    Caller(actor): Caller,
    Incoming(request): Incoming<Request>,
) -> Result<Outgoing<Response>, MatrixError> {
    let about = Reported::Event(request.room_id, request.event_id);
    let report = Report { about, reason: request.reason.unwrap_or_default() };
    rooms.report(&actor, report).await.map_err(report_answer)?;
    Ok(Outgoing(Response::new()))
}
