//! What the client-server API may reach, and who its tokens belong to.

use std::sync::Arc;

use axum::{extract::FromRef, response::IntoResponse};
use ruma::{RoomVersionId, api::client::discovery::discover_support::Contact, serde::Base64};
use vestibule_accounts::{Accounts, NewGuest, Resolved, Sighting};
use vestibule_http::{Authenticator, Escort, Gate, MatrixError, Presented, Recognised, Visit};
use vestibule_keys::Keys;
use vestibule_media::Media;
use vestibule_policy::{AccountState, CallRefusal, EndpointRule, PolicyHandle, Subject};
use vestibule_push::Push;
use vestibule_rooms::Rooms;
use vestibule_search::Search;
use vestibule_sync::Sync;
use vestibule_types::{Actor, BoxFuture};

use crate::failure;

/// The services behind this surface. Handlers extract one field, never the whole.
#[derive(Clone, Debug)]
pub struct ClientApi {
    /// Accounts, sessions, devices, profiles, account data.
    pub accounts: Accounts,
    /// Rooms.
    pub rooms: Rooms,
    /// End-to-end keys.
    pub keys: Keys,
    /// Files.
    pub media: Media,
    /// Telling devices of news.
    pub push: Push,
    /// What is new.
    pub sync: Sync,
    /// Finding messages.
    pub search: Search,
    /// The policy in force.
    pub policy: PolicyHandle,
    /// What the operator decided about this surface.
    pub settings: Arc<ClientApiSettings>,
}

/// The services as every request is handed them: one reference for all.
#[derive(Clone, Debug)]
pub struct Services(Arc<ClientApi>);

impl From<ClientApi> for Services {
    fn from(api: ClientApi) -> Self {
        Self(Arc::new(api))
    }
}

/// What the operator decided about this surface.
#[derive(Clone, Debug)]
pub struct ClientApiSettings {
    /// Where clients reach this server; told to them by `/.well-known/matrix/client` and after a
    /// login.
    pub public_base_url: Option<String>,
    /// The public key of the policy server at this name, told by `/.well-known/matrix/policy_server`.
    pub policy_server_key: Option<Base64>,
    /// Who can be asked for help, told by `/.well-known/matrix/support`.
    pub support: Option<Support>,
    /// The version of new rooms.
    pub default_room_version: RoomVersionId,
}

/// Who can be asked for help with this server.
#[derive(Clone, Debug)]
pub struct Support {
    /// People, each with a role.
    pub contacts: Vec<Contact>,
    /// A page of the web.
    pub page: Option<String>,
}

impl FromRef<Services> for Accounts {
    fn from_ref(Services(api): &Services) -> Self {
        api.accounts.clone()
    }
}

impl FromRef<Services> for Rooms {
    fn from_ref(Services(api): &Services) -> Self {
        api.rooms.clone()
    }
}

impl FromRef<Services> for Keys {
    fn from_ref(Services(api): &Services) -> Self {
        api.keys.clone()
    }
}

impl FromRef<Services> for Media {
    fn from_ref(Services(api): &Services) -> Self {
        api.media.clone()
    }
}

impl FromRef<Services> for Push {
    fn from_ref(Services(api): &Services) -> Self {
        api.push.clone()
    }
}

impl FromRef<Services> for Sync {
    fn from_ref(Services(api): &Services) -> Self {
        api.sync.clone()
    }
}

impl FromRef<Services> for Search {
    fn from_ref(Services(api): &Services) -> Self {
        api.search.clone()
    }
}

impl FromRef<Services> for Arc<ClientApiSettings> {
    fn from_ref(Services(api): &Services) -> Self {
        Arc::clone(&api.settings)
    }
}

impl FromRef<Services> for PolicyHandle {
    fn from_ref(Services(api): &Services) -> Self {
        api.policy.clone()
    }
}

/// Asks the policy which class may call which endpoint, and counts requests to those that the
/// specification wants limited.
pub(crate) struct ClientGate {
    accounts: Accounts,
    policy: PolicyHandle,
}

impl ClientGate {
    pub(crate) fn new(api: &ClientApi) -> Self {
        Self { accounts: api.accounts.clone(), policy: api.policy.clone() }
    }

    /// Notes for the operator who was refused which endpoint.
    fn refused(&self, visit: &Visit<'_, EndpointRule>, refusal: CallRefusal) -> MatrixError {
        if let (Some(actor), CallRefusal::Denied(denial)) = (visit.caller, &refusal) {
            let endpoint = format!("{} {}", visit.method, visit.endpoint);
            self.accounts.ledger().refuse_call(actor, denial.reason, &endpoint);
        }
        refusal.into()
    }
}

impl Gate<EndpointRule> for ClientGate {
    fn admit(&self, visit: &Visit<'_, EndpointRule>) -> Result<(), MatrixError> {
        let class = visit.caller.map(Actor::ruling_class);
        let may = self.policy.current().may_call(class, visit.rule);
        may.map_err(|refusal| self.refused(visit, refusal))?;
        if visit.limited {
            self.accounts.charge_request(visit.caller, visit.address)?;
        }
        Ok(())
    }
}

/// Looks access tokens up, and turns away accounts that are locked or suspended from what their
/// state withholds.
pub(crate) struct TokenAuthenticator {
    accounts: Accounts,
    policy: PolicyHandle,
}

impl TokenAuthenticator {
    pub(crate) fn new(api: &ClientApi) -> Self {
        Self { accounts: api.accounts.clone(), policy: api.policy.clone() }
    }

    /// Lets an account through whose state withholds something, where it does not withhold this.
    fn admit(
        &self,
        actor: Actor,
        state: AccountState,
        rule: EndpointRule,
    ) -> Result<Option<Recognised>, MatrixError> {
        let class = actor.ruling_class().clone();
        let mut subject = Subject::new(actor.user_id().to_owned(), class, None);
        subject.state = state;
        self.policy.current().admit(&subject, rule)?;
        Ok(Some(actor.into()))
    }
}

/// Answers the requests of a guest without rows as theirs.
fn escort(guest: NewGuest) -> Escort {
    Escort::new(move |work| {
        let guest = guest.clone();
        Box::pin(async move {
            let Some(answer) = guest.act(work).await else {
                return MatrixError::unknown_token(false).into_response();
            };
            // An act that was kept back for want of rows could not know why.
            if answer.status().is_success() {
                return answer;
            }
            match guest.refusal().await {
                Some(denial) => MatrixError::from(denial).into_response(),
                None => answer,
            }
        })
    })
}

impl Authenticator<EndpointRule> for TokenAuthenticator {
    fn authenticate<'a>(
        &'a self,
        presented: Presented<'a, EndpointRule>,
    ) -> BoxFuture<'a, Result<Option<Recognised>, MatrixError>> {
        Box::pin(async move {
            let seen =
                Sighting { address: Some(presented.address), user_agent: presented.user_agent };
            let resolved = self.accounts.resolve(presented.token, seen).await;
            match resolved.map_err(failure::storage)? {
                Resolved::Unknown => Ok(None),
                Resolved::Expired => Err(MatrixError::unknown_token(true)),
                Resolved::Active(actor) => Ok(Some(actor.into())),
                Resolved::Arriving(actor, guest) => {
                    Ok(Some(Recognised { actor, escort: Some(escort(guest)) }))
                }
                Resolved::Suspended(actor) => {
                    self.admit(actor, AccountState::Suspended, presented.rule)
                }
                Resolved::Locked(actor) => self.admit(actor, AccountState::Locked, presented.rule),
            }
        })
    }
}
