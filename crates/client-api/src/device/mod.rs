//! Devices of the caller.

mod delete_device;
mod delete_devices;
mod get_device;
mod get_devices;
mod update_device;

use ruma::{OwnedDeviceId, api::client::device};
use serde::Serialize;
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

/// A device as clients see it. What is not known is left out: it may be missing, but not null.
#[derive(Debug, Serialize)]
struct Shown {
    device_id: OwnedDeviceId,
    #[serde(skip_serializing_if = "Option::is_none")]
    display_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_seen_ip: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_seen_ts: Option<u64>,
}

fn shown(device: vestibule_accounts::Device) -> Shown {
    let (address, at) = device.last_seen.map(|seen| (seen.address, seen.at)).unzip();
    Shown {
        device_id: device.device_id,
        display_name: device.display_name,
        last_seen_ip: address.flatten(),
        last_seen_ts: at,
    }
}
