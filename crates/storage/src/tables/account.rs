//! Accounts, their devices and the tokens that prove who somebody is.
//!
//! A row of `ACCOUNT_BY_ID` is never removed: a name that was given out once is not given out
//! again. Tokens are kept as SHA-256 digests, so reading the database lends nobody a session.

use ruma::{OwnedDeviceId, OwnedUserId};
use serde::{Deserialize, Serialize};
use vestibule_types::ClassName;

use crate::{Table, key_part, value};

/// What an account may still do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum StoredAccountState {
    /// Everything its class may.
    #[default]
    Active,
    /// Only what the specification leaves to suspended accounts.
    Suspended,
    /// Nothing but logging out.
    Locked,
    /// Gone; its name stays taken.
    Deactivated,
    /// As locked; when it is unlocked, it is suspended.
    LockedWhileSuspended,
}

/// An account of this server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredAccount {
    /// Its class: the only place it is read from.
    pub class: ClassName,
    /// What it may still do.
    pub state: StoredAccountState,
    /// The argon2id hash of its password, in the PHC format; `None` for accounts without one.
    pub password: Option<String>,
    /// When it was made, in milliseconds since the Unix epoch. For an account that was a guest,
    /// when it stopped being one.
    pub created_at: u64,
    /// When it was deactivated.
    pub deactivated_at: Option<u64>,
    /// Whether its owner asked to be forgotten.
    pub erased: bool,
    /// The application service that made it.
    pub appservice: Option<String>,
}
value!(StoredAccount, 1);

/// What is remembered of a guest while it is one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredGuest {
    /// The prefixes its address is counted under: an IPv4 address, or the /64 and the /48 of an
    /// IPv6 address.
    pub prefixes: Vec<Vec<u8>>,
}
value!(StoredGuest, 1);

/// A device of an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredDevice {
    /// The name its owner gave it.
    pub display_name: Option<String>,
    /// When it was first logged in, in milliseconds since the Unix epoch.
    pub created_at: u64,
}
value!(StoredDevice, 1);

/// When and from where a device was last seen. Written rarely; may lag behind by minutes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredSeen {
    /// Milliseconds since the Unix epoch.
    pub at: u64,
    /// The address it came from.
    pub address: Option<String>,
}
value!(StoredSeen, 1);

/// What an access token stands for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredSession {
    /// Whose it is.
    pub user_id: OwnedUserId,
    /// The device it was given to.
    pub device_id: OwnedDeviceId,
    /// When it stops working, in milliseconds since the Unix epoch.
    pub expires_at: Option<u64>,
    /// The refresh token this session came from. The first use of the session revokes it.
    pub replaces: Option<TokenDigest>,
}
value!(StoredSession, 1);

/// What a refresh token stands for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredRefresh {
    /// Whose it is.
    pub user_id: OwnedUserId,
    /// The device it was given to.
    pub device_id: OwnedDeviceId,
    /// The access token that was given out beside it.
    pub access: TokenDigest,
    /// The refresh token this one came from. The first use of this one revokes it.
    pub replaces: Option<TokenDigest>,
    /// What it was last exchanged for, while that is unused.
    pub next: Option<StoredExchange>,
}
value!(StoredRefresh, 1);

/// The pair a refresh token was exchanged for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredExchange {
    /// The new access token.
    pub access: TokenDigest,
    /// The new refresh token.
    pub refresh: TokenDigest,
}

/// The SHA-256 digest of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TokenDigest(pub [u8; 32]);
key_part!(TokenDigest([u8; 32]));

/// A token that lets its holder register.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredRegistrationToken {
    /// How many accounts may be made with it; `None` for any number.
    pub uses_max: Option<u64>,
    /// How many were.
    pub uses: u64,
    /// When it stops working, in milliseconds since the Unix epoch.
    pub expires_at: Option<u64>,
    /// The class of the accounts made with it.
    pub class: Option<ClassName>,
    /// When it was made, in milliseconds since the Unix epoch.
    pub created_at: u64,
}
value!(StoredRegistrationToken, 1);

/// How many guests were made in a stretch of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredTally {
    /// The number of the stretch since the Unix epoch.
    pub period: u64,
    /// How many.
    pub count: u64,
}
value!(StoredTally, 1);

/// Accounts by their identifier.
pub const ACCOUNT_BY_ID: Table<(OwnedUserId,), StoredAccount> = Table::new(0x0100, "account_by_id");
/// Accounts by class, for listing.
pub const ACCOUNT_BY_CLASS: Table<(ClassName, OwnedUserId), ()> =
    Table::new(0x0101, "account_by_class");
/// How many admins there are that are not deactivated: the guard of the last one.
pub const ADMIN_COUNT: Table<(u8,), u64> = Table::new(0x0102, "admin_count");
/// Devices of an account.
pub const DEVICE_BY_USER: Table<(OwnedUserId, OwnedDeviceId), StoredDevice> =
    Table::new(0x0103, "device_by_user");
/// When a device was last seen.
pub const SEEN_BY_DEVICE: Table<(OwnedUserId, OwnedDeviceId), StoredSeen> =
    Table::new(0x0104, "seen_by_device");
/// What the client of a device called itself when it was last seen.
pub const AGENT_BY_DEVICE: Table<(OwnedUserId, OwnedDeviceId), String> =
    Table::new(0x0982, "agent_by_device");
/// Sessions by the digest of their access token.
pub const SESSION_BY_TOKEN: Table<(TokenDigest,), StoredSession> =
    Table::new(0x0105, "session_by_token");
/// Refresh tokens by their digest.
pub const REFRESH_BY_TOKEN: Table<(TokenDigest,), StoredRefresh> =
    Table::new(0x0106, "refresh_by_token");
/// The tokens of a device: 0 for access tokens, 1 for refresh tokens, 2 for the last access tokens that
/// ended because somebody logged in on the device.
pub const TOKEN_BY_DEVICE: Table<(OwnedUserId, OwnedDeviceId, u8, TokenDigest), ()> =
    Table::new(0x0107, "token_by_device");
/// The guard of the tokens and devices of an account: whoever adds one or removes them all
/// writes it.
pub const SESSION_GUARD: Table<(OwnedUserId,), u64> = Table::new(0x0108, "session_guard");
/// Registration tokens.
pub const REGISTRATION_TOKEN: Table<(String,), StoredRegistrationToken> =
    Table::new(0x0109, "registration_token");
/// Users who asked to be forgotten, and when, in milliseconds since the Unix epoch: who was not joined when
/// they wrote something is shown it as if it were redacted.
pub const ERASED_USER: Table<(OwnedUserId,), u64> = Table::new(0x0B41, "erased_user");
/// What is remembered of guests.
pub const GUEST_BY_ID: Table<(OwnedUserId,), StoredGuest> = Table::new(0x010A, "guest_by_id");
/// How many guests there are.
pub const GUESTS_LIVE: Table<(u8,), u64> = Table::new(0x010B, "guests_live");
/// How many guests there are by network prefix.
pub const GUESTS_BY_ADDRESS: Table<(Vec<u8>,), u64> = Table::new(0x010C, "guests_by_address");
/// How many guests a network prefix made on a day: day since the Unix epoch, prefix.
pub const GUESTS_BY_DAY: Table<(u64, Vec<u8>), u64> = Table::new(0x010D, "guests_by_day");
/// How many guests were made in the current minute.
pub const GUESTS_OF_MINUTE: Table<(u8,), StoredTally> = Table::new(0x010E, "guests_of_minute");
