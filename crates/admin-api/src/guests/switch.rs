//! `PUT /guests/switch`: guests off, or as the configuration says.

use axum::extract::State;
use vestibule_http::{Caller, IncomingJson, MatrixError, OutgoingJson};
use vestibule_types::Credential;

use super::show;
use crate::{AdminServices, GuestsAnswer, GuestsSwitch, reload};

pub(crate) async fn handle(
    State(services): State<AdminServices>,
    Caller(actor): Caller,
    IncomingJson(switch): IncomingJson<GuestsSwitch>,
) -> Result<OutgoingJson<GuestsAnswer>, MatrixError> {
    let by = match actor.credential() {
        Credential::Operator => None,
        Credential::StoredSession | Credential::GuestToken => Some(actor.user_id().to_owned()),
    };
    let done = services.maintenance.switch_guests(switch, by).await;
    done.map_err(|error| reload::answer(&error))?;
    Ok(OutgoingJson(show::answer(&services).await?))
}
