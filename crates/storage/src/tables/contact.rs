//! What people are reached and recovered by: third-party identifiers, the sessions in which somebody
//! proves to have one, and mail that waits to be sent.

use ruma::OwnedUserId;
use serde::{Deserialize, Serialize};

use super::account::TokenDigest;
use crate::{Stamp, Table, value};

/// A third-party identifier of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredContact {
    /// When somebody proved to have it, in milliseconds since the Unix epoch.
    pub validated_at: u64,
    /// When it was added to the account.
    pub added_at: u64,
}
value!(StoredContact, 1);

/// Whose a third-party identifier is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredContactOwner {
    /// The account.
    pub user_id: OwnedUserId,
}
value!(StoredContactOwner, 1);

/// What a proof of having an address is for; a proof for one thing is none for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StoredValidationPurpose {
    /// Making an account.
    Register,
    /// Adding the address to an account.
    Add,
    /// Setting a new password for the account that has the address.
    Password,
}

/// A session in which somebody proves to have an e-mail address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredValidation {
    /// What the proof is for.
    pub purpose: StoredValidationPurpose,
    /// The address, in canonical form.
    pub address: String,
    /// The digest of what the client made up to name this attempt.
    pub client_secret: TokenDigest,
    /// The newest attempt that was mailed.
    pub send_attempt: u64,
    /// The digest of what the mail holds; `None` when the mail only tells why there is nothing to prove.
    pub token: Option<TokenDigest>,
    /// Where the person wants to be afterwards.
    pub next_link: Option<String>,
    /// When the session is over, in milliseconds since the Unix epoch.
    pub expires_at: u64,
    /// When the address was proven.
    pub validated_at: Option<u64>,
}
value!(StoredValidation, 1);

/// A mail that waits to be sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredMail {
    /// To whom.
    pub to: String,
    /// What it is about.
    pub subject: String,
    /// What it says.
    pub text: String,
    /// How often it was tried.
    pub attempts: u32,
    /// When it means nothing any more, in milliseconds since the Unix epoch.
    pub expires_at: u64,
}
value!(StoredMail, 1);

/// Third-party identifiers of an account: medium, canonical address.
pub const CONTACT_BY_USER: Table<(OwnedUserId, String, String), StoredContact> =
    Table::new(0x0985, "contact_by_user");
/// Whose a third-party identifier is: medium, canonical address.
pub const USER_BY_CONTACT: Table<(String, String), StoredContactOwner> =
    Table::new(0x0986, "user_by_contact");
/// Validation sessions by their identifier.
pub const VALIDATION: Table<(String,), StoredValidation> = Table::new(0x0987, "validation");
/// The validation session of a client secret, an address and a purpose, by the digest of them all.
pub const VALIDATION_BY_CLIENT: Table<(TokenDigest,), String> =
    Table::new(0x0988, "validation_by_client");
/// Validation sessions by when they are over.
pub const VALIDATION_BY_END: Table<(u64, String), ()> = Table::new(0x0989, "validation_by_end");
/// How many validation sessions there are. Key `(0,)`.
pub const VALIDATION_COUNT: Table<(u8,), u64> = Table::new(0x098A, "validation_count");
/// Mail by when it is to be tried: milliseconds since the Unix epoch, slot, stamp.
pub const MAIL_BY_DUE: Table<(u64, u16, Stamp), StoredMail> = Table::new(0x098B, "mail_by_due");
/// How much mail waits. Key `(0,)`.
pub const MAIL_COUNT: Table<(u8,), u64> = Table::new(0x098C, "mail_count");
