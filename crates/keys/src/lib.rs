//! End-to-end key exchange: device keys, one-time keys, cross-signing, key backup.
//!
//! This server sees public keys and ciphertext only. What it owes people is that each one-time key
//! is given out once, that a signature it shows was checked, that everybody concerned is told when
//! a device list changes, and that low-trust classes reach nobody they share no room with.
//!
//! Other servers are asked through [`RemoteKeys`]; `federation` implements it.

mod remote;
mod service;

pub use self::{
    remote::{
        ClaimedKeys, DeviceIds, RemoteDevice, RemoteDeviceList, RemoteKeys, RemoteKeysError,
        ShownKeys,
    },
    service::{Keys, KeysParts},
};
