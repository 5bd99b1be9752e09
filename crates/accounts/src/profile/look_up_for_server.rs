//! Showing profiles to other servers.

use std::collections::BTreeMap;

use ruma::{ServerName, UserId};
use serde_json::Value;
use tracing::instrument;
use vestibule_storage::StorageError;

use super::LookUpProfileError;
use crate::{Accounts, facts};

/// Why a profile is not shown to another server.
#[derive(Debug, thiserror::Error)]
pub enum ProfileForServerError {
    /// The user is of another server.
    #[error("the user is not of this server")]
    Foreign,
    /// There is no such user here.
    #[error("there is no such user")]
    UnknownUser,
    /// The policy shows the profile only where a room is shared.
    #[error("this profile is not shown to your server")]
    Hidden,
    /// The profile could not be read.
    #[error("could not read the profile")]
    Storage(#[from] StorageError),
}

impl From<LookUpProfileError> for ProfileForServerError {
    fn from(error: LookUpProfileError) -> Self {
        match error {
            LookUpProfileError::UnknownUser => Self::UnknownUser,
            // Nobody else's server is asked on behalf of a server.
            LookUpProfileError::Elsewhere(_) => Self::Foreign,
            LookUpProfileError::Denied(_) => Self::Hidden,
            LookUpProfileError::Storage(cause) => Self::Storage(cause),
        }
    }
}

impl Accounts {
    /// The profile of a user of this server, or one field of it, for another server. The profiles of
    /// classes of low trust are shown only to servers in a room with them, where the policy says so.
    #[instrument(name = "accounts.profile.look_up_for_server", skip_all)]
    pub async fn profile_for_server(
        &self,
        server: &ServerName,
        user_id: &UserId,
        field: Option<&str>,
    ) -> Result<BTreeMap<String, Value>, ProfileForServerError> {
        if user_id.server_name() != self.0.config.server_name {
            return Err(ProfileForServerError::Foreign);
        }
        if !self.is_shown_to(server, user_id).await? {
            return Err(ProfileForServerError::Hidden);
        }
        let mut profile = self.profile(None, user_id, None).await?;
        profile.retain(|name, _| field.is_none_or(|field| field == name));
        Ok(profile)
    }

    async fn is_shown_to(
        &self,
        server: &ServerName,
        user_id: &UserId,
    ) -> Result<bool, ProfileForServerError> {
        let policy = self.0.policy.current();
        let user = user_id.to_owned();
        let account = self.0.store.read(move |read| facts::account(read, &user)).await?;
        let account = account.ok_or(ProfileForServerError::UnknownUser)?;
        if !policy.profiles_need_shared_room() || !policy.is_scoped(&account.class) {
            return Ok(true);
        }
        match self.0.acquaintance.get() {
            Some(acquaintance) => Ok(acquaintance.share_room_with_server(user_id, server).await?),
            None => Ok(false),
        }
    }
}
