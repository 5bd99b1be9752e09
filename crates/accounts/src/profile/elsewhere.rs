//! Profiles of other servers' users. Federation asks for them; the server plugs it in.

use std::collections::BTreeMap;

use ruma::UserId;
use serde_json::Value;
use vestibule_types::BoxFuture;

/// Why another server did not tell a profile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProfileElsewhereError {
    /// It could not be asked, or did not answer as it should.
    #[error("the user's server could not be asked")]
    Unreachable,
    /// It does not tell.
    #[error("the user's server does not show this profile")]
    Refused,
}

/// Asks other servers for profiles.
pub trait ProfilesElsewhere: Send + Sync + 'static {
    /// The profile of a user of another server; `None` when that server knows no such user.
    fn profile<'a>(
        &'a self,
        user_id: &'a UserId,
    ) -> BoxFuture<'a, Result<Option<BTreeMap<String, Value>>, ProfileElsewhereError>>;
}
