//! `GET /_matrix/client/v3/notifications`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3notifications>

use axum::extract::State;
use ruma::{
    api::client::push::get_notifications::v3::{Notification, Request, Response},
    serde::Raw,
};
use tracing::instrument;
use vestibule_http::{Caller, Incoming, MatrixError, Outgoing};
use vestibule_push::{ListNotifications, NotificationsError, Push};

use crate::failure;

#[instrument(name = "client_api.push.get_notifications", skip_all)]
pub(crate) async fn handle(
    State(push): State<Push>,
    Caller(actor): Caller,
    Incoming(request): Incoming<Request>,
) -> Result<Outgoing<Response>, MatrixError> {
    let query = ListNotifications {
        from: request.from,
        limit: request.limit.map(u64::from),
        only_highlights: request.only.as_deref() == Some("highlight"),
    };
    let page = push.notifications(&actor, query).await.map_err(answer)?;
    let shown = page.notifications.into_iter().map(|it| {
        Notification::new(it.actions, Raw::from_json(it.event), it.read, it.room_id, it.at)
    });
    let mut response = Response::new(shown.collect());
    response.next_token = page.next;
    Ok(Outgoing(response))
}

fn answer(error: NotificationsError) -> MatrixError {
    match error {
        NotificationsError::BadToken => MatrixError::invalid_param(error.to_string()),
        NotificationsError::Storage(cause) => failure::storage(cause),
    }
}
