//! Devices of the caller.

mod delete_device;
mod delete_devices;
mod get_device;
mod get_devices;
mod update_device;

use ruma::api::client::device;
use vestibule_policy::{Ability, EndpointRule};

use crate::ClientRoutes;

pub(crate) fn routes(routes: ClientRoutes) -> ClientRoutes {
    use EndpointRule::{Authenticated, May};
    let manage = May(Ability::ManageDevices);
    routes
        .mount::<device::get_devices::v3::Request, _>(Authenticated, get_devices::handle)
        .mount::<device::get_device::v3::Request, _>(Authenticated, get_device::handle)
        .mount::<device::update_device::v3::Request, _>(Authenticated, update_device::handle)
        .mount::<device::delete_device::v3::Request, _>(manage, delete_device::handle)
        .mount::<device::delete_devices::v3::Request, _>(manage, delete_devices::handle)
}

/// A device as clients see it.
fn shown(device: vestibule_accounts::Device) -> device::Device {
    let mut shown = device::Device::new(device.device_id);
    shown.display_name = device.display_name;
    if let Some(seen) = device.last_seen {
        shown.last_seen_ip = seen.address;
        shown.last_seen_ts = ruma::UInt::new(seen.at).map(ruma::MilliSecondsSinceUnixEpoch);
    }
    shown
}
