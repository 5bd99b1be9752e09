//! Devices: what an account is logged in on.

mod delete;
mod list;
pub mod list_change;
mod update;

pub use self::{
    delete::{DeleteDevices, DeleteDevicesError},
    list::Device,
    update::UpdateDeviceError,
};
