//! The PDU formats of every room version: canonical JSON, hashes, signatures, redaction.
//!
//! An event is kept as its canonical JSON bytes; [`Pdu`] is a parsed view that owns those bytes.
//! Nothing here performs I/O, reads a clock or draws randomness: the seed of a key, the time of an
//! event and the keys of other servers are arguments.
//!
//! Deliberately absent: room versions 1 and 2 (see [`RoomVersion`]) and deciding whether an event
//! is allowed, which is `vestibule-state-res`.

mod address_invite;
mod auth_types;
mod build;
mod canonical;
mod client;
mod device_signature;
mod format;
mod pdu;
mod policy_server;
mod redact;
mod signed_text;
mod signing_key;
mod verify;
mod version;

pub use self::{
    address_invite::{AddressKey, address_keys, address_keys_that_signed},
    auth_types::{AuthTypesError, auth_types, auth_types_of},
    build::{BuildError, EventBuilder},
    canonical::{ContentError, canonical_content, canonical_content_of},
    client::{Unsigned, client_event, client_event_from_bytes, stripped_state},
    device_signature::DeviceSigningKey,
    format::FormatError,
    pdu::{Pdu, PduError, StateKey},
    policy_server::is_recommended,
    redact::{redact, redact_json},
    signed_text::signed_text,
    signing_key::{KeyError, SigningKey},
    verify::{
        PublicKeys, Verified, VerifyError, cosign, required_signatures, required_signers,
        signing_keys, verify, verify_json,
    },
    version::{RoomVersion, RoomVersionError},
};
