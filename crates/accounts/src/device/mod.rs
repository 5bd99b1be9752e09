//! Devices: what an account is logged in on.

pub mod dehydrated;
mod delete;
mod expire;
mod list;
pub mod list_change;
mod update;
mod whois;

pub use self::{
    delete::{DeleteDevices, DeleteDevicesError},
    list::Device,
    update::UpdateDeviceError,
    whois::{DeviceTrace, WhoisError},
};
