//! Signed tokens of guests who have no rows.

use serde::{Deserialize, Serialize};

use super::account::TokenDigest;
use crate::{Table, value};

/// What guest tokens are signed with.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredGuestTokenKey(pub [u8; 32]);
value!(StoredGuestTokenKey, 1);

impl std::fmt::Debug for StoredGuestTokenKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StoredGuestTokenKey(..)")
    }
}

/// What is known of all unused tokens that were logged out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredRefusedTokens {
    /// How many are remembered one by one.
    pub count: u64,
    /// Those that end until then are refused without being remembered, in milliseconds since the Unix epoch.
    pub until: u64,
}
value!(StoredRefusedTokens, 1);

/// The key; made once.
pub const GUEST_TOKEN_KEY: Table<(u8,), StoredGuestTokenKey> =
    Table::new(0x0C00, "guest_token_key");
/// Unused tokens that were logged out, by when they end, in milliseconds since the Unix epoch.
pub const REFUSED_GUEST_TOKEN: Table<(u64, TokenDigest), ()> =
    Table::new(0x0C01, "refused_guest_token");
/// How many they are.
pub const REFUSED_GUEST_TOKENS: Table<(u8,), StoredRefusedTokens> =
    Table::new(0x0C02, "refused_guest_tokens");
