//! Proving to be the owner of an account, for operations of other services.

use std::net::IpAddr;

use vestibule_types::Actor;

use super::{Attempt, Question, UiaError};
use crate::Accounts;

impl Accounts {
    /// Returns once the caller proved to be the owner of their account, else says what is missing.
    /// A proof for one operation is none for another.
    pub async fn prove_owner(
        &self,
        actor: &Actor,
        operation: &str,
        attempt: Option<Attempt>,
        peer: IpAddr,
    ) -> Result<(), UiaError> {
        let flows = self.owner_flows(actor.user_id()).await?;
        let question = Question::of_owner(operation, flows, actor.user_id(), peer);
        self.authenticate(&question, attempt).await.map(drop)
    }
}
