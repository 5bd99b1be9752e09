//! Events, and the state around them.

mod get_event;
mod get_event_by_timestamp;
mod get_missing_events;
mod get_room_state;
mod get_room_state_ids;

use ruma::api::federation::event;

use crate::{BodySize::Usual, FederationRoutes};

pub(crate) fn routes(routes: FederationRoutes) -> FederationRoutes {
    routes
        .mount::<event::get_event::v1::Request, _>(Usual, get_event::handle)
        .mount::<event::get_event_by_timestamp::v1::Request, _>(
            Usual,
            get_event_by_timestamp::handle,
        )
        .mount::<event::get_missing_events::v1::Request, _>(Usual, get_missing_events::handle)
        .mount::<event::get_room_state::v1::Request, _>(Usual, get_room_state::handle)
        .mount::<event::get_room_state_ids::v1::Request, _>(Usual, get_room_state_ids::handle)
}
