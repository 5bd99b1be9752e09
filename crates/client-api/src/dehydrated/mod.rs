//! Dehydrated devices (MSC3814), which are not in the specification.

mod delete_dehydrated_device;
mod get_dehydrated_device;
mod get_events;
mod get_events_by_body;
mod put_dehydrated_device;

use http::Method;
use ruma::OwnedDeviceId;
use serde::Serialize;
use vestibule_http::{Login, MatrixError};
use vestibule_keys::DehydratedDeviceError;
use vestibule_policy::{Ability, EndpointRule};
use vestibule_sync::DehydratedEventsError;

use crate::{ClientRoutes, failure};

const DEVICE: &str = "/_matrix/client/unstable/org.matrix.msc3814.v1/dehydrated_device";
const EVENTS: &str =
    "/_matrix/client/unstable/org.matrix.msc3814.v1/dehydrated_device/{device_id}/events";

/// Such a device is for later logins, as backups are: whoever may keep those may have one.
pub(crate) fn routes(routes: ClientRoutes) -> ClientRoutes {
    let door = (EndpointRule::May(Ability::KeyBackup), Login::Required);
    routes
        .mount_at(Method::PUT, DEVICE, door, put_dehydrated_device::handle)
        .mount_at(Method::GET, DEVICE, door, get_dehydrated_device::handle)
        .mount_at(Method::DELETE, DEVICE, door, delete_dehydrated_device::handle)
        .mount_at(Method::GET, EVENTS, door, get_events::handle)
        .mount_at(Method::POST, EVENTS, door, get_events_by_body::handle)
}

/// Which device it is about.
#[derive(Debug, Serialize)]
struct Named {
    device_id: OwnedDeviceId,
}

fn device_answer(error: DehydratedDeviceError) -> MatrixError {
    let message = error.to_string();
    match error {
        DehydratedDeviceError::None => MatrixError::not_found(message),
        DehydratedDeviceError::Storage(cause) => failure::storage(cause),
    }
}

fn events_answer(error: DehydratedEventsError) -> MatrixError {
    let message = error.to_string();
    match error {
        DehydratedEventsError::NotDehydrated => MatrixError::forbidden(message),
        DehydratedEventsError::BadToken => MatrixError::invalid_param(message),
        DehydratedEventsError::Storage(cause) => failure::storage(cause),
    }
}
