//! Memberships of other servers' users in rooms of ours, and invitations of our users.

mod answer;
mod invite_v1;
mod invite_v2;
mod make_join;
mod make_knock;
mod make_leave;
mod send_join;
mod send_join_v1;
mod send_knock;
mod send_leave;
mod send_leave_v1;

use std::sync::Arc;

use ruma::api::federation::membership::{
    create_invite, create_join_event, create_knock_event, create_leave_event, prepare_join_event,
    prepare_knock_event, prepare_leave_event,
};
use serde_json::value::RawValue;
use vestibule_events::Pdu;
use vestibule_federation::Federation;
use vestibule_http::MatrixError;
use vestibule_rooms::HandedIn;

pub(crate) use self::answer::handshake;
use crate::{BodySize::Usual, FederationRoutes};

pub(crate) fn routes(routes: FederationRoutes) -> FederationRoutes {
    routes
        .mount::<prepare_join_event::v1::Request, _>(Usual, make_join::handle)
        .mount::<create_join_event::v2::Request, _>(Usual, send_join::handle)
        .mount_also::<create_join_event::v2::Request, _>(
            "/_matrix/federation/v1/send_join/{room_id}/{event_id}",
            Usual,
            send_join_v1::handle,
        )
        .mount::<prepare_knock_event::v1::Request, _>(Usual, make_knock::handle)
        .mount::<create_knock_event::v1::Request, _>(Usual, send_knock::handle)
        .mount::<prepare_leave_event::v1::Request, _>(Usual, make_leave::handle)
        .mount::<create_leave_event::v2::Request, _>(Usual, send_leave::handle)
        .mount_also::<create_leave_event::v2::Request, _>(
            "/_matrix/federation/v1/send_leave/{room_id}/{event_id}",
            Usual,
            send_leave_v1::handle,
        )
        .mount::<create_invite::v1::Request, _>(Usual, invite_v1::handle)
        .mount::<create_invite::v2::Request, _>(Usual, invite_v2::handle)
}

/// Lets in what is handed in.
async fn taken(
    federation: &Federation,
    handed_in: &HandedIn,
    pdu: &RawValue,
) -> Result<Arc<Pdu>, MatrixError> {
    federation.take_membership(handed_in, pdu).await.map_err(answer::hand_in)
}
