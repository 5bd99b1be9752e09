//! What the operations are made of.

use std::sync::Arc;

use ruma::OwnedUserId;
use vestibule_accounts::Accounts;
use vestibule_federation::Federation;
use vestibule_media::Media;
use vestibule_policy::PolicyHandle;
use vestibule_rooms::Rooms;
use vestibule_types::{BoxFuture, Environment};

use crate::{DatabaseAnswer, GuestsSwitch};

/// What only the server itself can do.
pub trait Maintenance: Send + Sync + 'static {
    /// Reads the whole database.
    fn check_database(&self) -> BoxFuture<'_, Result<DatabaseAnswer, MaintenanceError>>;

    /// Switches guests off, or back to what the configuration says. `by` is the admin who asks; nobody for
    /// the operator at the machine.
    fn switch_guests(
        &self,
        switch: GuestsSwitch,
        by: Option<OwnedUserId>,
    ) -> BoxFuture<'_, Result<(), MaintenanceError>>;

    /// Reads the configuration file again; on success says what is in force now.
    fn reload(&self) -> BoxFuture<'_, Result<String, MaintenanceError>>;
}

/// Why the server could not.
#[derive(Debug, thiserror::Error)]
pub enum MaintenanceError {
    /// What was asked is refused, and the operator is told why.
    #[error("{0}")]
    Refused(String),
    /// It failed.
    #[error("it failed")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// The collaborators of the operations.
#[derive(Clone)]
pub struct AdminServices {
    /// Accounts and registration tokens.
    pub accounts: Accounts,
    /// Rooms, for questions to the policy.
    pub rooms: Rooms,
    /// Files.
    pub media: Media,
    /// Other servers.
    pub federation: Federation,
    /// The policy in force.
    pub policy: PolicyHandle,
    /// What time it is.
    pub environment: Environment,
    /// The server itself.
    pub maintenance: Arc<dyn Maintenance>,
}

impl std::fmt::Debug for AdminServices {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AdminServices").finish_non_exhaustive()
    }
}
