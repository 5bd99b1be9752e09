//! Showing profiles to other servers.

use std::collections::BTreeMap;

use ruma::{ServerName, UserId};
use serde_json::Value;
use tracing::instrument;
use vestibule_storage::StorageError;

use super::LookUpProfileError;
use crate::Accounts;

/// Why a profile is not shown to another server.
#[derive(Debug, thiserror::Error)]
pub enum ProfileForServerError {
    /// The user is of another server.
    #[error("the user is not of this server")]
    Foreign,
    /// There is no such user here.
    #[error("there is no such user")]
    UnknownUser,
    /// The profile is shown only where a room is shared.
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
    /// classes of low trust are shown only to servers in a room with them.
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
        let mut profile = self.stored_profile(user_id).await?;
        profile.retain(|name, _| field.is_none_or(|field| field == name));
        Ok(profile)
    }

    async fn is_shown_to(
        &self,
        server: &ServerName,
        user_id: &UserId,
    ) -> Result<bool, ProfileForServerError> {
        if !self.is_of_low_trust(user_id).await? {
            return Ok(true);
        }
        match self.0.acquaintance.get() {
            Some(acquaintance) => Ok(acquaintance.share_room_with_server(user_id, server).await?),
            None => Ok(false),
        }
    }
}
