//! Tokens with which somebody who is logged in lets one more client in.

use ruma::OwnedUserId;
use serde::{Deserialize, Serialize};

use super::account::TokenDigest;
use crate::{Table, value};

/// What a login token stands for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredLoginToken {
    /// Whose it is.
    pub user_id: OwnedUserId,
    /// When it stops working, in milliseconds since the Unix epoch.
    pub expires_at: u64,
}
value!(StoredLoginToken, 1);

/// Login tokens by their digest. Using one removes it.
pub const LOGIN_TOKEN: Table<(TokenDigest,), StoredLoginToken> = Table::new(0x0980, "login_token");
/// The login tokens of a user, by when they stop working.
pub const LOGIN_TOKEN_BY_USER: Table<(OwnedUserId, u64, TokenDigest), ()> =
    Table::new(0x0981, "login_token_by_user");
