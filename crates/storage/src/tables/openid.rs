//! Tokens with which a user proves to somebody else who they are.

use ruma::OwnedUserId;
use serde::{Deserialize, Serialize};

use super::account::TokenDigest;
use crate::{Table, value};

/// What an `OpenID` token stands for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredOpenidToken {
    /// Whose it is.
    pub user_id: OwnedUserId,
    /// When it stops working, in milliseconds since the Unix epoch.
    pub expires_at: u64,
}
value!(StoredOpenidToken, 1);

/// `OpenID` tokens by their digest.
pub const OPENID_TOKEN: Table<(TokenDigest,), StoredOpenidToken> =
    Table::new(0x0724, "openid_token");
/// The `OpenID` tokens of a user, by when they stop working.
pub const OPENID_TOKEN_BY_USER: Table<(OwnedUserId, u64, TokenDigest), ()> =
    Table::new(0x0725, "openid_token_by_user");
