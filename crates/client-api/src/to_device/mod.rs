//! Messages from device to device.

mod send_event_to_device;

use ruma::api::client::to_device;
use vestibule_policy::{Ability, EndpointRule};

use crate::ClientRoutes;

pub(crate) fn routes(routes: ClientRoutes) -> ClientRoutes {
    routes.mount::<to_device::send_event_to_device::v3::Request, _>(
        EndpointRule::May(Ability::ToDevice),
        send_event_to_device::handle,
    )
}
