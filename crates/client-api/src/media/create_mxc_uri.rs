//! `POST /_matrix/media/v1/create`
//!
//! <https://spec.matrix.org/v1.19/client-server-api/#post_matrixmediav1create>

use std::time::Duration;

use axum::extract::State;
use ruma::{
    MilliSecondsSinceUnixEpoch, OwnedMxcUri, UInt,
    api::client::media::create_mxc_uri::v1::{Request, Response},
};
use tracing::instrument;
use vestibule_http::{Caller, Incoming, MatrixError, Outgoing};
use vestibule_media::{CreateMediaError, Media};

use crate::failure;

#[instrument(name = "client_api.media.create_mxc_uri", skip_all)]
pub(crate) async fn handle(
    State(media): State<Media>,
    Caller(actor): Caller,
    Incoming(_): Incoming<Request>,
) -> Result<Outgoing<Response>, MatrixError> {
    let made = media.create_media(&actor).await.map_err(answer)?;
    let uri = OwnedMxcUri::from(format!("mxc://{}/{}", media.server_name(), made.id));
    let mut response = Response::new(uri);
    response.unused_expires_at =
        made.expires_at.map(|at| MilliSecondsSinceUnixEpoch(UInt::new_saturating(at)));
    Ok(Outgoing(response))
}

fn answer(error: CreateMediaError) -> MatrixError {
    match error {
        CreateMediaError::Denied(denial) => denial.into(),
        CreateMediaError::TooMany(wait) => MatrixError::limit_exceeded(Duration::from_millis(wait)),
        CreateMediaError::Storage(cause) => failure::storage(cause),
    }
}
