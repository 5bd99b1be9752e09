//! Cross-signing keys.

use ruma::OwnedUserId;
use serde::{Deserialize, Serialize};

use crate::{Stamp, Stamped, Table, value};

/// A cross-signing key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredSigningKey {
    /// The public part, in base64 without padding.
    pub public_key: String,
    /// The key as it was uploaded: canonical JSON with the signatures that held, without
    /// `unsigned`.
    pub json: String,
}
value!(StoredSigningKey, 1);

/// The master key in [`CROSS_SIGNING_KEY`].
pub const MASTER: u8 = 0;
/// The self-signing key in [`CROSS_SIGNING_KEY`].
pub const SELF_SIGNING: u8 = 1;
/// The user-signing key in [`CROSS_SIGNING_KEY`].
pub const USER_SIGNING: u8 = 2;

/// The cross-signing keys of a user, by what they are for. Of users of other servers the first two,
/// as their server told.
pub const CROSS_SIGNING_KEY: Table<(OwnedUserId, u8), StoredSigningKey> =
    Table::new(0x0808, "cross_signing_key");
/// Whose keys a user signed, by the position of the newest signature: for telling that user alone.
pub const SIGNED_BY_POSITION: Table<(OwnedUserId, Stamp), StoredSigned> =
    Table::new(0x0809, "signed_by_position");
/// Where somebody is in [`SIGNED_BY_POSITION`]: who signed, and whose key.
pub const SIGNED_POSITION: Table<(OwnedUserId, OwnedUserId), Stamped<()>> =
    Table::new(0x080A, "signed_position");

/// Whose key was signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredSigned {
    /// The owner of the key.
    pub owner: OwnedUserId,
}
value!(StoredSigned, 1);
