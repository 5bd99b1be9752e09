//! `PUT /_matrix/federation/v1/invite/{roomId}/{eventId}`
//!
//! <https://spec.matrix.org/v1.19/server-server-api/#put_matrixfederationv1inviteroomideventid>
//!
//! Names no room version, so it is for rooms of versions 1 and 2, which this server does not speak.

use ruma::{
    RoomVersionId,
    api::federation::membership::create_invite::v1::{Request, Response},
};
use tracing::instrument;
use vestibule_federation::BringInviteError;
use vestibule_http::{Incoming, MatrixError, Outgoing};

use super::answer;
use crate::guard::Origin;

#[instrument(name = "federation_api.membership.invite_v1", skip_all)]
pub(crate) async fn handle(
    Origin(_): Origin,
    Incoming(_): Incoming<Request>,
) -> Result<Outgoing<Response>, MatrixError> {
    Err(answer::invite(BringInviteError::UnknownVersion(RoomVersionId::V1)))
}
