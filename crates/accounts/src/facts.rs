//! What other services read about accounts inside their own transactions.

use ruma::{MilliSecondsSinceUnixEpoch, UInt, UserId};
use vestibule_policy::{AccountState, Subject};
use vestibule_storage::{
    Read, StorageError,
    tables::{
        account::{ACCOUNT_BY_ID, StoredAccount, StoredAccountState},
        user_data::PROFILE_FIELD,
    },
};

/// The profile field with the display name.
pub const DISPLAYNAME: &str = "displayname";
/// The profile field with the avatar.
pub const AVATAR_URL: &str = "avatar_url";

/// The row of a local account.
pub fn account(read: &impl Read, user_id: &UserId) -> Result<Option<StoredAccount>, StorageError> {
    ACCOUNT_BY_ID.get(read, (user_id,))
}

/// A local account as the policy wants to see it; `None` when there is none.
pub fn subject(read: &impl Read, user_id: &UserId) -> Result<Option<Subject>, StorageError> {
    Ok(account(read, user_id)?.map(|account| subject_of(user_id, &account)))
}

/// The account of a row as the policy wants to see it.
#[must_use]
pub fn subject_of(user_id: &UserId, account: &StoredAccount) -> Subject {
    let mut subject =
        Subject::new(user_id.to_owned(), account.class.clone(), timestamp(account.created_at));
    subject.state = match account.state {
        StoredAccountState::Active => AccountState::Active,
        StoredAccountState::Suspended => AccountState::Suspended,
        StoredAccountState::Locked | StoredAccountState::LockedWhileSuspended => {
            AccountState::Locked
        }
        StoredAccountState::Deactivated => AccountState::Deactivated,
    };
    subject
}

/// Milliseconds since the Unix epoch as `ruma` wants them.
#[must_use]
pub fn timestamp(milliseconds: u64) -> Option<MilliSecondsSinceUnixEpoch> {
    UInt::new(milliseconds).map(MilliSecondsSinceUnixEpoch)
}

/// What of a profile goes into membership events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemberProfile {
    /// The display name, with the suffix of its class.
    pub displayname: Option<String>,
    /// The avatar.
    pub avatar_url: Option<String>,
}

/// What of a local user's profile goes into membership events.
pub fn member_profile(read: &impl Read, user_id: &UserId) -> Result<MemberProfile, StorageError> {
    let mut fields =
        PROFILE_FIELD.multi_get(read, [(user_id, DISPLAYNAME), (user_id, AVATAR_URL)])?.into_iter();
    let mut text = || fields.next().flatten().and_then(|json| serde_json::from_str(&json).ok());
    Ok(MemberProfile { displayname: text(), avatar_url: text() })
}
