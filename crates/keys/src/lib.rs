//! End-to-end key exchange: device keys, one-time keys, cross-signing, key backup.
//!
//! This server sees public keys and ciphertext only. What it owes people is that each one-time key
//! is given out once, that no forged signature is stored or shown, that everybody concerned is told when
//! a device list changes, and that low-trust classes reach nobody they share no room with.
//!
//! Other servers are asked through [`RemoteKeys`]; `federation` implements it.

mod ask;
pub mod backup;
mod claim_keys;
mod dehydrated;
mod elsewhere;
mod list;
mod object;
mod query_keys;
mod remote;
mod service;
mod show;
mod signing_keys;
mod upload_keys;
mod upload_signatures;

pub use self::{
    claim_keys::{ClaimKeys, ClaimKeysError, Claimed, Claims},
    dehydrated::{
        DehydratedDevice, DehydratedDeviceError, PutDehydratedDevice, PutDehydratedDeviceError,
    },
    list::{DeviceListUpdate, OwnDevice, OwnDeviceList, ReceiveUpdateError, SigningKeyUpdate},
    object::ObjectError,
    query_keys::{Queried, QueryKeys, QueryKeysError},
    remote::{
        ClaimedKeys, DeviceIds, Json, RemoteDevice, RemoteDeviceList, RemoteKeys, RemoteKeysError,
        ShownKeys,
    },
    service::{Keys, KeysParts},
    signing_keys::{UploadSigningKeys, UploadSigningKeysError},
    upload_keys::{UploadKeys, UploadKeysError},
    upload_signatures::{SignatureFailure, SignatureFailures, SignedKeys, UploadSignaturesError},
};
