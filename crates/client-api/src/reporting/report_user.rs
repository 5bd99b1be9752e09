//! `POST /_matrix/client/v3/users/{userId}/report`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3usersuseridreport>

use axum::extract::State;
use ruma::api::client::reporting::report_user::v3::{Request, Response};
use tracing::instrument;
use vestibule_http::{Caller, Incoming, MatrixError, Outgoing};
use vestibule_rooms::{Report, Reported, Rooms};

use super::report_answer;

#[instrument(name = "client_api.reporting.report_user", skip_all)]
pub(super) async fn handle(
    State(rooms): State<Rooms>,
    Caller(actor): Caller,
    Incoming(request): Incoming<Request>,
) -> Result<Outgoing<Response>, MatrixError> {
    let about = Reported::User(request.user_id);
    let report = Report { about, reason: request.reason };
    rooms.report(&actor, report).await.map_err(report_answer)?;
    Ok(Outgoing(Response::new()))
}
