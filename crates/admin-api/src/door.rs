//! Who is an operator.

use std::sync::Arc;

use axum::extract::Request;
use http::{HeaderValue, StatusCode, header::AUTHORIZATION};
use ruma::{OwnedUserId, api::error::ErrorKind};
use vestibule_accounts::{Accounts, Resolved, Sighting};
use vestibule_http::{
    Authenticator, Doorway, Gate, MatrixError, Presented, Recognised, Visit, internal,
};
use vestibule_policy::{Denial, Reason};
use vestibule_types::{Actor, BoxFuture, ClassName, Credential};

/// Whom an endpoint here is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdminRule {
    /// Operators only.
    Operator,
    /// Also people with accounts: the operation asks the policy for a permit, which takes the ability
    /// `moderate`.
    Moderator,
}

/// Lets operators pass and nobody else.
#[derive(Clone, Copy, Debug)]
pub struct AdminDoor;

impl Gate<AdminRule> for AdminDoor {
    fn admit(&self, visit: &Visit<'_, AdminRule>) -> Result<(), MatrixError> {
        match visit.caller {
            Some(actor) if actor.class().is_admin() => Ok(()),
            Some(actor) if visit.rule == AdminRule::Moderator && !actor.is_guest() => Ok(()),
            Some(_) => {
                let status = StatusCode::FORBIDDEN;
                Err(MatrixError::new(status, ErrorKind::Forbidden, "only admins may do this"))
            }
            None => Err(MatrixError::missing_token()),
        }
    }
}

/// For requests over TCP: access tokens, which must belong to an admin.
#[must_use]
pub fn remote_doorway(accounts: Accounts) -> Doorway<AdminRule> {
    Doorway { authenticator: Arc::new(Remote(accounts)), gate: Arc::new(AdminDoor) }
}

struct Remote(Accounts);

impl Authenticator<AdminRule> for Remote {
    fn authenticate<'a>(
        &'a self,
        presented: Presented<'a, AdminRule>,
    ) -> BoxFuture<'a, Result<Option<Recognised>, MatrixError>> {
        Box::pin(async move {
            let seen =
                Sighting { address: Some(presented.address), user_agent: presented.user_agent };
            let resolved = self.0.resolve(presented.token, seen).await;
            match resolved.map_err(|cause| internal(&cause))? {
                // No guest gets past the door, with rows or without.
                Resolved::Active(actor) | Resolved::Arriving(actor, _) => Ok(Some(actor.into())),
                Resolved::Expired => Err(MatrixError::unknown_token(true)),
                // Their tokens are good again afterwards.
                Resolved::Suspended(_) => Err(kept_out(Reason::AccountSuspended)),
                Resolved::Locked(_) => Err(kept_out(Reason::AccountLocked)),
                Resolved::Unknown => Ok(None),
            }
        })
    }
}

fn kept_out(reason: Reason) -> MatrixError {
    Denial::new(reason, false, "the admin API").into()
}

/// For the local socket: whoever may open it is the operator, whatever token they show.
#[must_use]
pub(crate) fn local_doorway(operator: OwnedUserId) -> Doorway<AdminRule> {
    Doorway { authenticator: Arc::new(Local(operator)), gate: Arc::new(AdminDoor) }
}

/// Gives a local request the credential that its connection already is.
pub(crate) async fn introduce(mut request: Request) -> Request {
    let credential = HeaderValue::from_static("Bearer operator");
    request.headers_mut().insert(AUTHORIZATION, credential);
    request
}

struct Local(OwnedUserId);

impl Authenticator<AdminRule> for Local {
    fn authenticate<'a>(
        &'a self,
        _presented: Presented<'a, AdminRule>,
    ) -> BoxFuture<'a, Result<Option<Recognised>, MatrixError>> {
        let actor = Actor::new(self.0.clone(), None, ClassName::admin(), Credential::Operator);
        Box::pin(async move { Ok(Some(actor.into())) })
    }
}
