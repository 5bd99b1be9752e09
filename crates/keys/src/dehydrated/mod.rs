//! Dehydrated devices (MSC3814): a device nobody is logged in on receives keys of conversations, and
//! whoever logs in next takes them over.
//!
//! Messages to it are told by `sync`, which tells those to any device.

mod delete;
mod get;
mod put;

use ruma::OwnedDeviceId;
use vestibule_storage::StorageError;

pub use self::put::{PutDehydratedDevice, PutDehydratedDeviceError};
use crate::Json;

/// A dehydrated device.
#[derive(Debug)]
pub struct DehydratedDevice {
    /// Its identifier.
    pub device_id: OwnedDeviceId,
    /// What its owner needs to use it again, which only they can read.
    pub data: Json,
}

/// Why nothing can be done with a dehydrated device.
#[derive(Debug, thiserror::Error)]
pub enum DehydratedDeviceError {
    /// There is none.
    #[error("you have no dehydrated device")]
    None,
    /// It could not be read or removed.
    #[error("could not reach the dehydrated device")]
    Storage(#[from] StorageError),
}
