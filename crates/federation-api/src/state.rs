//! What the server-server API may reach.

use std::sync::Arc;

use axum::extract::FromRef;
use ruma::OwnedServerName;
use vestibule_accounts::Accounts;
use vestibule_federation::Federation;
use vestibule_keys::Keys;
use vestibule_media::Media;
use vestibule_policy::PolicyHandle;
use vestibule_rooms::Rooms;

/// The services behind this surface. Handlers extract one field, never the whole.
#[derive(Clone, Debug)]
pub struct FederationApi {
    /// Accounts and profiles.
    pub accounts: Accounts,
    /// Rooms.
    pub rooms: Rooms,
    /// End-to-end keys.
    pub keys: Keys,
    /// Files.
    pub media: Media,
    /// What this server and others tell each other.
    pub federation: Federation,
    /// The policy in force.
    pub policy: PolicyHandle,
    /// What the operator decided about this surface.
    pub settings: Arc<FederationApiSettings>,
}

/// What the operator decided about this surface.
#[derive(Clone, Debug, Default)]
pub struct FederationApiSettings {
    /// Where other servers reach this one, told by `/.well-known/matrix/server`.
    pub well_known_server: Option<OwnedServerName>,
}

impl FromRef<FederationApi> for Arc<FederationApiSettings> {
    fn from_ref(api: &FederationApi) -> Self {
        Arc::clone(&api.settings)
    }
}

impl FromRef<FederationApi> for Accounts {
    fn from_ref(api: &FederationApi) -> Self {
        api.accounts.clone()
    }
}

impl FromRef<FederationApi> for Rooms {
    fn from_ref(api: &FederationApi) -> Self {
        api.rooms.clone()
    }
}

impl FromRef<FederationApi> for Keys {
    fn from_ref(api: &FederationApi) -> Self {
        api.keys.clone()
    }
}

impl FromRef<FederationApi> for Media {
    fn from_ref(api: &FederationApi) -> Self {
        api.media.clone()
    }
}

impl FromRef<FederationApi> for Federation {
    fn from_ref(api: &FederationApi) -> Self {
        api.federation.clone()
    }
}

impl FromRef<FederationApi> for PolicyHandle {
    fn from_ref(api: &FederationApi) -> Self {
        api.policy.clone()
    }
}
