//! `GET /policy/recorded`: decisions of late with their facts, to try another policy on.

use axum::extract::State;
use vestibule_http::OutgoingJson;
use vestibule_policy::Recording;

use crate::AdminServices;

pub(crate) async fn handle(State(services): State<AdminServices>) -> OutgoingJson<Recording> {
    OutgoingJson(services.policy.recording())
}
