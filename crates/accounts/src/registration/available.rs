//! Is this name free?

use std::{net::IpAddr, time::Duration};

use tracing::instrument;
use vestibule_storage::StorageError;

use crate::{
    Accounts, RegistrationMode,
    service::counted_address,
    username::{UsernameError, chosen_user_id},
};

/// Why a name cannot be registered.
#[derive(Debug, thiserror::Error)]
pub enum AvailableError {
    /// Nobody can register here.
    #[error("registration is closed")]
    Closed,
    /// It cannot be a name.
    #[error(transparent)]
    Username(#[from] UsernameError),
    /// It is or was somebody's.
    #[error("the user name is taken")]
    Taken,
    /// Too many questions.
    #[error("too many requests")]
    Limited(Duration),
    /// It could not be looked up.
    #[error("could not look the name up")]
    Storage(#[from] StorageError),
}

impl Accounts {
    /// Whether the name could be registered now.
    #[instrument(name = "accounts.registration.username_available", skip_all)]
    pub async fn username_available(
        &self,
        username: &str,
        peer: IpAddr,
    ) -> Result<(), AvailableError> {
        self.charge_lookup(peer).map_err(AvailableError::Limited)?;
        if self.0.config.registration.mode == RegistrationMode::Closed {
            return Err(AvailableError::Closed);
        }
        let user_id = chosen_user_id(username, self.server_name())?;
        if self.is_taken(&user_id).await? { Err(AvailableError::Taken) } else { Ok(()) }
    }

    /// Whether a registration token would let somebody register. `Ok(None)` when registration is
    /// closed to tokens.
    #[instrument(name = "accounts.registration.token_validity", skip_all)]
    pub async fn registration_token_valid(
        &self,
        token: &str,
        peer: IpAddr,
    ) -> Result<bool, AvailableError> {
        self.charge_lookup(peer).map_err(AvailableError::Limited)?;
        if self.0.config.registration.mode == RegistrationMode::Closed {
            return Err(AvailableError::Closed);
        }
        Ok(self.registration_token_is_good(token).await?)
    }

    pub(crate) fn charge_lookup(&self, peer: IpAddr) -> Result<(), Duration> {
        match counted_address(peer) {
            Some(address) => self.0.throttles.lookups.charge(&address, self.0.monotonic()),
            None => Ok(()),
        }
    }
}
